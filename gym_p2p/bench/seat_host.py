"""A station of ``bench human``: a process that plays a person's seat, alone, and says what that costs."""

from __future__ import annotations

import threading
import time
from typing import Any

import gymnasium

import gym_p2p.envs
import gym_p2p.human.data_channel  # noqa: F401 - what a host has loaded when somebody comes
from gym_p2p.errors import P2PError
from gym_p2p.human.seat import HumanSeat

__all__ = ["SeatStation"]

_PATIENCE_S = 30.0

_GAMES: dict[str, dict[str, Any]] = {
    "Pong": {"id": "ale_py:ALE/Pong-v5", "frameskip": 1, "repeat_action_probability": 0.0},
    "Rally": {"id": "gym_p2p.envs:gym_p2p/Rally-v0", "max_frames": 32_000, "points": 32_000},
}


class _Alone(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Rally for one person: the other seat is played by its policy; what ``step`` costs is kept."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.step_cpu_s = 0.0
        self._policy: Any = None
        self._seen: Any = None
        if isinstance(env.action_space, gymnasium.spaces.Dict):
            self.action_space = env.action_space["left"]
            self._policy = env.get_wrapper_attr("scripted_policy")("right")

    def reset(self, **options: Any) -> Any:
        self._seen, info = self.env.reset(**options)
        return self._seen, info

    def step(self, action: Any) -> Any:
        began = time.thread_time()
        if self._policy is not None:
            action = {"left": action, "right": self._policy(self._seen["right"], 0)}
        self._seen, *rest = self.env.step(action)
        self.step_cpu_s += time.thread_time() - began
        return self._seen, *rest


class SeatStation:
    """A process that hosts a seat.

    Args:
        game: ``"Pong"`` or ``"Rally"``.
        fps: frames a second.
        emulation: of the path to the page.
    """

    def __init__(self, game: str, fps: float, emulation: dict[str, float] | None = None) -> None:
        self._env = _Alone(gymnasium.make(**_GAMES[game], render_mode="rgb_array"))
        self._fps, self._emulation = fps, emulation
        self._link: str | None = None
        self._over = threading.Event()
        self._told = threading.Event()
        self._person: HumanSeat | None = None
        self._thread: threading.Thread | None = None
        self._ended_s: list[float] = []

    def open(self) -> str:
        """Host the seat; return the link to its page."""
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()
        if not self._told.wait(_PATIENCE_S) or self._link is None:
            raise P2PError("no page is served")
        return self._link

    def used(self) -> dict[str, Any]:
        """Return processor times, and when the frames since the last call ended."""
        ended, self._ended_s = self._ended_s, []
        return {
            "at_s": time.monotonic(),
            "cpu_s": time.process_time(),
            "step_cpu_s": self._env.step_cpu_s,
            "ended_s": ended,
        }

    def measured(self) -> dict[str, Any]:
        """Return what the seat itself has measured of its page."""
        assert self._person is not None  # noqa: S101 - it is open
        record = self._person.measured
        facts = record.facts
        assert facts is not None  # noqa: S101 - a person's record has some
        return {
            "latencies_ms": list(record.action_latencies),
            "link": facts.link,
            "shown": facts.frames_shown,
            "skipped": facts.frames_skipped,
        }

    def close(self) -> None:
        """Stop playing. Idempotent."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)
        self._env.close()

    def _tell(self, url: str) -> None:
        self._link = url
        self._told.set()

    def _play(self) -> None:
        person = self._person = HumanSeat(
            self._env,
            fps=self._fps,
            browser=False,
            announce=self._tell,
            countdown_s=0.0,
            emulation=self._emulation,
        )
        with person:
            self._env.reset(seed=1)
            while not self._over.is_set():
                _, _, terminated, truncated, _ = self._env.step(person.action())
                self._ended_s.append(time.monotonic())
                if terminated or truncated:
                    self._env.reset()
