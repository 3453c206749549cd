"""Frames in real time: how long to wait before the next one. Monotonic seconds, passed in."""

from __future__ import annotations

__all__ = ["Pacer"]


class Pacer:
    """Paces frames to ``fps``; ``None`` is as fast as possible."""

    def __init__(self, fps: float | None) -> None:
        self._interval_s = None if fps is None else 1 / fps
        self._due_s: float | None = None

    def wait_s(self, now: float, *, stretch: float = 1.0) -> float:
        """Note that a frame was played; return how long its time still lasts.

        A late frame is not made up for by hurried ones, beyond one frame's time.

        Args:
            now: the time.
            stretch: how much longer than usual this frame lasts, so that others can keep up
                (:attr:`gym_p2p.core.sync.session.SyncSession.stretch`).
        """
        if self._interval_s is None:
            return 0.0
        due = now if self._due_s is None else max(self._due_s, now - self._interval_s)
        self._due_s = due + self._interval_s * stretch
        return max(0.0, due - now)
