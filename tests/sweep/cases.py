"""The environments of the sweep, and what is right to say of each."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["CASES", "Case"]


@attrs.frozen
class Case:
    """One environment.

    Attributes:
        env: its name, as for ``gym-p2p join``.
        args: its constructor's arguments.
        right: the verdicts that are true of it.
        needs: the packages that it is in, as pip knows them.
        watchers: seats that look on, where it has a single one that acts.
        frames: how many are played.
        human: whether it is also played with ``render_mode="human"`` on a screen that is not there.
        apart: whether its players need processes of their own, because its objects share what is theirs.
        seats: how its action splits.
    """

    env: str
    args: dict[str, Any] = attrs.field(factory=dict)
    right: frozenset[str] = attrs.field(kw_only=True)
    needs: tuple[str, ...] = ()
    watchers: int = 0
    frames: int = 60
    human: bool = False
    apart: bool = False
    seats: Any = None

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        shown = ",".join(f"{key}={value}" for key, value in self.args.items())
        return f"{self.env}[{shown}]" if shown else self.env


_R, _L, _U = frozenset({"rollback"}), frozenset({"lockstep"}), frozenset({"unfit"})
_CLASSIC, _BUTTERFLY = ("pettingzoo[classic]",), ("pettingzoo[butterfly]",)
_TURNS: tuple[str, ...] = ("tictactoe_v3", "connect_four_v3", "rps_v2", "leduc_holdem_v4", "texas_holdem_v4")
_TURNS += ("texas_holdem_no_limit_v6", "chess_v6", "go_v5")
_GYMNASIUM = ("CartPole-v1", "MountainCarContinuous-v0", "Acrobot-v1", "Pendulum-v1")
_TOYS = ("Taxi-v4", "FrozenLake-v1", "CliffWalking-v1", "Blackjack-v1")

_NOT_STICKY = {"repeat_action_probability": 0.0}
"""Otherwise it repeats actions by chance, of a generator that no saved state has in it."""

CASES = (
    Case("gym_p2p/Rally-v0", right=_R),
    Case("gym_p2p.envs.rally", right=_R),
    *(Case(name, right=_R, watchers=1, human=name == "CartPole-v1") for name in _GYMNASIUM),
    *(Case(name, right=_R, watchers=2) for name in _TOYS),
    Case("LunarLander-v3", right=_L, watchers=1, needs=("box2d",)),
    Case("ale_py:ALE/Pong-v5", {"obs_type": "ram"}, right=_L, watchers=1, needs=("ale-py",)),
    Case("ale_py:ALE/Pong-v5", {"obs_type": "ram", **_NOT_STICKY}, right=_R, watchers=1, needs=("ale-py",)),
    Case("pettingzoo.atari.pong_v3", {"obs_type": "ram"}, right=_R, needs=("multi-agent-ale-py",)),
    Case("pettingzoo.atari.boxing_v2", right=_R, needs=("multi-agent-ale-py",)),
    Case("pettingzoo.atari.warlords_v3", {"obs_type": "ram"}, right=_R, needs=("multi-agent-ale-py",)),
    Case("mpe2.simple_spread_v3", right=_R, needs=("mpe2", "pygame"), human=True),
    Case("mpe2.simple_tag_v3", right=_R, needs=("mpe2", "pygame")),
    Case("lbforaging:Foraging-8x8-2p-2f-v3", right=_R, needs=("lbforaging",)),
    Case("cogrid:Overcooked-CrampedRoom-V0", right=_R, needs=("cogrid",)),
    *(Case(f"pettingzoo.classic.{name}", right=_R, needs=_CLASSIC) for name in _TURNS),
    Case("pettingzoo.classic.hanabi_v5", right=_L, needs=_CLASSIC),
    Case("pettingzoo.butterfly.cooperative_pong_v6", right=_R, needs=_BUTTERFLY),
    Case("pettingzoo.butterfly.knights_archers_zombies_v11", right=_U, needs=_BUTTERFLY),
    Case("pettingzoo.butterfly.pistonball_v6", {"n_pistons": 4}, right=_L, needs=_BUTTERFLY),
    Case("magent2.environments.battle_v4", {"map_size": 12}, right=_L, needs=("magent2",)),
    Case("minigrid:MiniGrid-DoorKey-5x5-v0", right=_R, watchers=1, needs=("minigrid",), human=True),
    Case("minigrid:MiniGrid-Empty-5x5-v0", right=_R, watchers=2, needs=("minigrid",)),
    Case("multigrid.envs:EmptyEnv", {"agents": 2}, right=_R, needs=("multigrid",)),
    Case("rware:rware-tiny-2ag-v2", right=_R, needs=("rware",), apart=True),
    Case("tests.sweep.adapters:crafter", right=_U, watchers=1, needs=("crafter",)),
    Case("tests.sweep.adapters:slime_volley", right=_R, needs=("slimevolleygym", "gym")),
    Case("tests.sweep.adapters:console", right=_R, seats=2),
)
