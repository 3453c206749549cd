"""How evenly frames come in lockstep over a path that is longer than a frame, over real channels."""

from __future__ import annotations

import itertools
import statistics
import time
from functools import partial

import gymnasium

from gym_p2p import P2PEnv
from tests.players import Lobby, together
from tests.toys import BLEND
from tests.waiting import in_time

ONE_WAY_MS = 60.0
LATE_MS = 25.0
"""By so much one player gives the first input after the other; steps would alternate by twice as much."""

FRAMES, EVEN_BY = 60, 40


def _steps_ms(env: P2PEnv, late_ms: float) -> list[float]:
    env.reset(seed=3)
    time.sleep(late_ms / 1e3)
    ends = [time.monotonic()]
    for _ in range(FRAMES):
        env.step(env.action_space.sample())
        ends.append(time.monotonic())
    env.close()
    return [(after - before) * 1e3 for before, after in itertools.pairwise(ends)]


def test_frames_come_evenly_where_the_path_is_longer_than_a_frame(lobby: Lobby) -> None:
    envs = [
        P2PEnv(
            gymnasium.make(BLEND, kind="dict", length=200),
            seat=seat,
            **lobby.options(sync="lockstep", fps=30, emulation={"one_way_ms": ONE_WAY_MS}),
        )
        for seat in ("a", "b")
    ]
    for steps_ms in together(*map(partial, [_steps_ms] * 2, envs, (0.0, LATE_MS))):
        assert isinstance(steps_ms, list), steps_ms
        changes_ms = [abs(after - before) for before, after in itertools.pairwise(steps_ms)]
        with in_time():
            assert statistics.median(changes_ms[EVEN_BY:]) < LATE_MS / 2
            assert statistics.median(steps_ms[EVEN_BY:]) < 1.2 * ONE_WAY_MS
