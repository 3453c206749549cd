"""Prints what a frame of a simulated match costs each player, in microseconds, by how many players there are.

``python scale.py SYNC FRAMES PLAYERS...``. At 60 Hz over 25 ms one way, in a game of next to nothing.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from typing import Any, Literal

import gymnasium
from gymnasium import spaces

from gym_p2p.simulation import simulate

_HELD = 9
"""Frames for which an action is held: guesses that fail are part of it."""


class _ManyEnv(gymnasium.Env[Any, Any]):
    """A sum of everybody's actions: next to nothing happens, and it can be saved."""

    def __init__(self, players: int) -> None:
        self.action_space = spaces.Dict({_seat(n): spaces.Discrete(3) for n in range(players)})
        self.observation_space = spaces.Discrete(1 << 30)
        self._total = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._total = 0
        return 0, {}

    def step(self, action: dict[str, int]) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self._total = (3 * self._total + sum(action.values())) % (1 << 30)
        return self._total, 0.0, False, False, {}

    def get_state(self) -> int:
        return self._total

    def set_state(self, state: int) -> None:
        self._total = state


def frame_cost_us(players: int, sync: Literal["lockstep", "rollback"], frames: int) -> float:
    """Return the processor time of a frame and player, both halves and the environment, in microseconds.

    What a match costs beside its frames is taken off: it is played twice, once much shorter.
    """
    short = max(1, frames // 5)
    spent_us = _spent_us(players, sync, frames) - _spent_us(players, sync, short)
    return spent_us / ((frames - short) * players)


def _spent_us(players: int, sync: Literal["lockstep", "rollback"], frames: int) -> float:
    began = time.process_time()
    simulate(
        lambda: _ManyEnv(players),
        {_seat(n): partial(_action, n) for n in range(players)},
        frames=frames,
        seed=1,
        one_way_ms=25,
        sync=sync,
        input_delay=2 if sync == "lockstep" else 0,
    )
    return (time.process_time() - began) * 1e6


def _action(number: int, _seen: Any, frame: int) -> int:
    return (frame + 2 * number) // _HELD % 3


def _seat(number: int) -> str:
    return f"seat_{number}"


mode: Any = sys.argv[1]
frame_cost_us(2, mode, 10)  # what is imported at first use
costs = {n: frame_cost_us(int(n), mode, int(sys.argv[2])) for n in sys.argv[3:]}
sys.stdout.write(json.dumps(costs) + "\n")
