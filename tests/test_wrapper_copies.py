"""A wrapper is copied and sent to workers as any environment is, until it has connected."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import gymnasium
import msgspec
import pytest
from mpe2 import simple_spread_v3
from pettingzoo.classic import connect_four_v3

from gym_p2p import P2PEnv, P2PParallelEnv
from gym_p2p.envs.rally import RallyEnv
from gym_p2p.errors import UsageError
from gym_p2p.game.checksum import checksum
from gym_p2p.game.env.game import Game
from tests.game.env.test_agents import Turns
from tests.players import Lobby, auto_peers
from tests.toys import BLEND


def _parallel() -> P2PParallelEnv:
    return P2PParallelEnv(simple_spread_v3.parallel_env(N=2), agents=["agent_0"], room="lab")


MAKERS: dict[str, Callable[[], Any]] = {
    "gymnasium": lambda: P2PEnv(RallyEnv(), seat="left", room="lab", input_delay=2),
    "any_seat": lambda: P2PEnv(RallyEnv(), seat=None, room="lab"),
    "isolated": lambda: P2PEnv(RallyEnv(), seat="left", room="lab", isolate_random=True),
    "seat_of_agents": lambda: P2PEnv(simple_spread_v3.parallel_env(N=2), seat="agent_1", room="lab"),
    "agents": _parallel,
    "watched": lambda: P2PEnv(gymnasium.make("CartPole-v1"), seat="watcher_1", watchers=1),
    "dict": lambda: P2PEnv(gymnasium.make(BLEND, kind="dict"), seat="a"),
    "tuple": lambda: P2PEnv(gymnasium.make(BLEND, kind="tuple"), seat=1),
    "multibinary": lambda: P2PEnv(gymnasium.make(BLEND, kind="multibinary"), seat=1),
    "shared_out": lambda: P2PEnv(
        gymnasium.make(BLEND, kind="multibinary"), seat="r", seats={"l": [0], "r": [1]}
    ),
    "one_has_all": lambda: P2PEnv(gymnasium.make("Pendulum-v1"), seat="player", watchers=1),
    "by_agent": lambda: P2PEnv(Turns(), seat="a"),
    "by_agent_tables": lambda: P2PEnv(Turns(by_agent=True), seat="a"),
    "in_turn": lambda: P2PParallelEnv(connect_four_v3.env(), agents=["player_0"]),
    "a_wrapper_outside": lambda: gymnasium.wrappers.TimeLimit(P2PEnv(RallyEnv(), seat="left", room="lab"), 9),
}
COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda env: pickle.loads(pickle.dumps(env)),  # noqa: S301  # what is tested
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("made_by", MAKERS)
@pytest.mark.parametrize("copied_by", COPIES)
def test_a_wrapper_that_has_not_connected_is_copied(made_by: str, copied_by: str) -> None:
    env = MAKERS[made_by]()
    again = COPIES[copied_by](env)
    session, other = _session(env), _session(again)
    assert session is not other
    assert session.game is not other.game
    assert session.config == other.config
    assert session.seats == other.seats
    assert session.game.describe() == other.game.describe()
    assert _played(session.game) == _played(other.game)
    for made in (env, again):
        made.close()


def test_copies_share_what_cannot_be_copied() -> None:
    class Policy:
        def __init__(self) -> None:
            self.own = threading.Lock()

        def act(self, _seat: Any, _observation: Any, _frame: int) -> int:
            return 0

    policy = Policy()
    env = P2PEnv(RallyEnv(), seat="left", on_peer_loss="stand_in", stand_in=policy.act)
    again = copy.deepcopy(env)
    assert again.p2p.config.sync.stand_in == policy.act
    assert again.env is not env.env


def test_a_copy_plays(lobby: Lobby) -> None:
    env = copy.deepcopy(P2PEnv(RallyEnv(), seat="left", **lobby.options()))
    with auto_peers([lambda: P2PEnv(RallyEnv(), seat="right", **lobby.options())]):
        env.reset(seed=3)
        env.step(env.action_space.sample())
        for copied in COPIES.values():
            with pytest.raises(UsageError, match=r"before its first reset"):
                copied(env)
        env.close()
    with pytest.raises(UsageError, match=r"closed"):
        copy.deepcopy(env)


def _session(env: Any) -> Any:
    return env.get_wrapper_attr("p2p") if isinstance(env, gymnasium.Wrapper) else env.p2p


def _played(game: Game) -> list[bytes]:
    """Return the digests of a reset and a frame."""
    outcomes = [game.reset(3), game.step([game.default_action(seat) for seat in game.seats])]
    return [checksum(msgspec.structs.asdict(outcome)) for outcome in outcomes]
