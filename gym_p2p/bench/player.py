"""One player of a match, in a worker: the product as a user has it, on the bundled game."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

from gym_p2p.bench.anchors import see_loopback
from gym_p2p.bench.figures import times_between
from gym_p2p.envs.rally import RallyEnv
from gym_p2p.errors import UsageError
from gym_p2p.wrapper import P2PEnv

__all__ = ["FRAMES_MOST", "PlayerStation"]

FRAMES_MOST = 32_767
"""The longest game that Rally plays; a longer bench begins another one."""

WARM_UP = 50

HELD_FRAMES = 7
"""For how long an action is held in a match at its own pace."""


class PlayerStation:
    """A player who opens, plays and closes matches on request.

    Args:
        seat: which seat of Rally.
    """

    def __init__(self, seat: str) -> None:
        see_loopback()
        self._seat = seat
        self._env: P2PEnv | None = None
        self._switch_interval_s = sys.getswitchinterval()

    def close(self) -> None:
        """Leave the match. Idempotent."""
        if self._env is not None:
            self._env.close()
            self._env = None

    @property
    def _playing(self) -> P2PEnv:
        if self._env is None:
            raise UsageError("no match is open")
        return self._env

    def open(self, url: str, room: str, options: dict[str, Any]) -> float:
        """Begin a match; return how long ``reset`` took, in milliseconds."""
        self._env = P2PEnv(
            _long_game(), seat=self._seat, server_url=url, room=room, exports=None, upload=False, **options
        )
        began = time.perf_counter()
        self._env.reset()
        return (time.perf_counter() - began) * 1e3

    def play(
        self, *, frames: int, learner_ms: float = 0.0, fps: float | None = None, stock_switching: bool = False
    ) -> dict[str, Any]:
        """Play frames; return what each step and the process's processor time a frame took, in us.

        Args:
            frames: how many.
            learner_ms: computing between two steps, without a pause.
            fps: a step begins this often at most, as counted from the end of the one before, for then the
                two players stay together.
            stock_switching: undo what the product does to the interpreter's switch interval.
        """
        if stock_switching:
            sys.setswitchinterval(self._switch_interval_s)
        env = self._playing
        interval_s = 0.0 if fps is None else 1 / fps
        took_us = []
        cpu_s = time.process_time()
        for _ in range(frames):
            ended = time.perf_counter()
            _compute(ended + learner_ms / 1e3)
            left_s = ended + interval_s - time.perf_counter()
            if left_s > 0:
                time.sleep(left_s)
            began = time.perf_counter()
            _, _, terminated, truncated, info = env.step(0)
            took_us.append((time.perf_counter() - began) * 1e6)
            if terminated or truncated:
                if "p2p" in info:
                    raise UsageError(f"the match ended: {info['p2p']}")
                env.reset()
        cpu_us = (time.process_time() - cpu_s) * 1e6 / max(1, frames)
        return {"step": took_us, "cpu_us": cpu_us}

    def rally(self, frames: int) -> dict[str, Any]:
        """Play frames at the match's own pace, changing the action now and then.

        Returns each step's processor time, in us, the times from one frame's end to the next one's, in ms,
        and the share of these that are on time.
        """
        env, shift = self._playing, 3 if self._seat == "right" else 0
        took_us, ended = [], []
        for frame in range(frames):
            began_ns = time.thread_time_ns()
            env.step((frame + shift) // HELD_FRAMES % 3)
            took_us.append((time.thread_time_ns() - began_ns) / 1e3)
            ended.append(time.perf_counter())
        between, on_time = times_between(ended, env.p2p.config.sync.fps or math.inf)
        return {"step": took_us, "interval": between, "on_time": on_time}

    def rollbacks(self) -> dict[str, Any]:
        """Return what guessing has come to in this match so far."""
        document = self._playing.export_session_metrics()
        rollbacks = document["rollbacks"]
        return {
            "frames": document["frames"]["total"],
            "depths": [event["rollbackFrames"] for event in rollbacks["events"]],
            "again": rollbacks["resimulatedFrames"],
            "stalls": rollbacks["stalls"],
        }

    def bare(self, frames: int) -> list[float]:
        """Step the bare environment; return microseconds each."""
        env = _long_game()
        env.reset(seed=1)
        took_us = []
        for _ in range(frames):
            began = time.perf_counter()
            _, _, terminated, truncated, _ = env.step({"left": 0, "right": 0})
            took_us.append((time.perf_counter() - began) * 1e6)
            if terminated or truncated:
                env.reset()
        env.close()
        return took_us

    def idle(self, seconds: float) -> dict[str, float]:
        """Do nothing; return the processor seconds that the process used, and the polls it made."""
        before, cpu_s = self._polls(), time.process_time()
        time.sleep(seconds)
        return {"cpu_s": time.process_time() - cpu_s, "polls": self._polls() - before}

    def _polls(self) -> int:
        return sum(one["polls"] for one in self._playing.p2p.latency().values() if one is not None)

    def round_trips(self) -> list[float]:
        """Return the round trips that telemetry has seen in this match, in milliseconds, oldest first."""
        known = [one for one in self._playing.p2p.latency().values() if one is not None]
        return [sample["rttMs"] for one in known for sample in one["samples"]]


def _long_game() -> RallyEnv:
    return RallyEnv(points=FRAMES_MOST, max_frames=FRAMES_MOST)


def _compute(until_s: float) -> None:
    """Hold the interpreter lock with pure Python until a time of the performance counter."""
    total = 0
    while time.perf_counter() < until_s:
        for number in range(100):
            total += number
