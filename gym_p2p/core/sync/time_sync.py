"""Keeping the players' frames at the same time: how much slower the one ahead should go, and the input delay.

Knows counts of frames and measured delays; refuses to know clocks and how a frame is waited for. By how much
one player runs ahead is :mod:`gym_p2p.core.match.frame_advantage`'s to say.
"""

from __future__ import annotations

import math
from collections import deque

from gym_p2p.core.match.frame_advantage import WINDOW

__all__ = ["AutoDelay", "Pace", "delay_for"]

PROPORTIONAL = 0.02
"""Of a frame's time, for each frame ahead. The advantage is known late by half the window and the delay,
some 25 frames; below 1 / (e * 25) a delayed loop comes to rest without swinging."""

INTEGRAL = 0.0002
"""Of a frame's time, for each frame ahead and frame played: takes out what a faster clock leaves."""

FORGET_FRAMES = 600
"""In so many frames the integral falls to 1/e: two who slow down for each other must not go on doing so."""

MOST = 0.1
"""The longest lengthening: 60 frames a second become 54.5, which is hardly felt."""

MOST_INTEGRAL = 0.05
"""Clocks do not differ by more; above it a long stall would be remembered for too long."""

LOWER_AFTER = 8
"""Measurements in a row, a second or so apart each, that must call for less before the delay is lowered."""


class Pace:
    """Turns being ahead into a slower pace: never a faster one, never a jump.

    Attributes:
        stretch: by what a frame's time is to be multiplied, from 1 to 1 + :data:`MOST`.
    """

    def __init__(self) -> None:
        self.stretch = 1.0
        self._sum = 0.0
        self._frame = 0

    def observe(self, ahead: float, frame: int) -> float:
        """Take by how many frames we are ahead, as of a frame; return :attr:`stretch`."""
        played = min(WINDOW, max(0, frame - self._frame))
        self._frame = frame
        kept = self._sum * (1 - played / FORGET_FRAMES)
        self._sum = min(MOST_INTEGRAL, max(0.0, kept + INTEGRAL * played * ahead))
        self.stretch = 1.0 + min(MOST, max(0.0, PROPORTIONAL * ahead + self._sum))
        return self.stretch


def delay_for(one_way_ms: float, jitter_ms: float, *, fps: float, most: int) -> int:
    """Return the input delay that covers a path: inputs arrive before the frame that they are for.

    Args:
        one_way_ms: from us to the farthest peer.
        jitter_ms: how much later than that a message may well be.
        fps: frames a second.
        most: the longest delay that the game bears.
    """
    return min(most, math.ceil(max(0.0, one_way_ms + jitter_ms) * fps / 1e3))


class AutoDelay:
    """Follows the measured path with the input delay: up at once, down only when it is sure.

    Attributes:
        frames: the delay to use.
    """

    def __init__(self, *, fps: float, most: int = 8) -> None:
        self.frames = 0
        self._fps = fps
        self._most = most
        self._lower: deque[int] = deque(maxlen=LOWER_AFTER)
        self._settled = False

    def observe(self, one_way_ms: float, jitter_ms: float) -> int | None:
        """Take a measurement; return the new delay if it is another than before.

        Where the measurement lies near the edge between two delays, the longer one stays: it is lowered
        to the longest that any of the newest :data:`LOWER_AFTER` measurements called for, once all of them
        would be content with less even if the path were a quarter of a frame longer.
        """
        wanted = delay_for(one_way_ms, jitter_ms, fps=self._fps, most=self._most)
        if wanted > self.frames or not self._settled:
            return self._change(wanted)
        margin_ms = 250 / self._fps
        self._lower.append(delay_for(one_way_ms + margin_ms, jitter_ms, fps=self._fps, most=self._most))
        enough = max(self._lower)
        if len(self._lower) == LOWER_AFTER and enough < self.frames:
            return self._change(enough)
        return None

    def _change(self, frames: int) -> int | None:
        changed = frames != self.frames or not self._settled
        self.frames, self._settled = frames, True
        self._lower.clear()
        return frames if changed else None
