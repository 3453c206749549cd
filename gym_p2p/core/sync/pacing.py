"""Frames in real time: how long to wait before the next one. Monotonic seconds, passed in."""

from __future__ import annotations

from collections.abc import Callable

from gym_p2p.core.sync.even_steps import EvenSteps

__all__ = ["Pacer"]


class Pacer:
    """Paces frames to ``fps``; ``None`` is as fast as possible.

    Args:
        fps: frames a second.
        even: whether every frame waits for everybody's inputs, and is to come evenly.
    """

    def __init__(self, fps: float | None, *, even: bool = False) -> None:
        self._interval_s = None if fps is None else 1 / fps
        self._even = EvenSteps() if even else None
        self._due_s: float | None = None

    def wait_s(
        self,
        now: float,
        *,
        stretch: float = 1.0,
        awaited_s: float = 0.0,
        round_trip_s: Callable[[], float | None] = lambda: None,
    ) -> float:
        """Note that a frame was played; return how long its time still lasts.

        A late frame is not made up for by hurried ones, beyond one frame's time.

        Args:
            now: the time.
            stretch: how much longer than usual this frame lasts, so that others can keep up
                (:attr:`gym_p2p.core.sync.session.SyncSession.stretch`).
            awaited_s: how long it has waited for the others' inputs.
            round_trip_s: returns the one to whoever is farthest away; ``None`` if it is not known.
        """
        if self._interval_s is None:
            return 0.0
        due = now if self._due_s is None else max(self._due_s, now - self._interval_s)
        self._due_s = due + self._interval_s * stretch
        held_back_s = 0.0 if self._even is None else self._even.hold_s(awaited_s, round_trip_s)
        return max(held_back_s, due - now)
