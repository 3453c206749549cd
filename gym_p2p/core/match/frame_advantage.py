"""Who of two players runs ahead, averaged.

With every message each of two players reports how far ahead it takes itself to be: its own frame, less the
other's as last known. Both are too large by the one-way delay, so that half the difference of
the two is the truth where both ways take alike::

    ours = (us - them) + delay        theirs = (them - us) + delay        ahead = (ours - theirs) / 2

Frames and not counts of inputs are compared: a count is larger by its sender's input delay, so that
unequal delays would look like one player running ahead.
"""

from __future__ import annotations

from collections import deque

__all__ = ["FrameAdvantage"]

WINDOW = 30
"""Frames that are averaged over, as in GGRS: jitter of single messages must not move the pace."""

LEAST_SAMPLES = 10
"""Before so many there is no figure."""


class FrameAdvantage:
    """How far one peer is behind us, averaged."""

    def __init__(self) -> None:
        self._samples: deque[int] = deque(maxlen=WINDOW)

    def add(self, ours: int, theirs: int) -> None:
        """Take what both sides believe, once for every frame."""
        self._samples.append(ours - theirs)

    @property
    def frames(self) -> float | None:
        """By how many frames we are ahead; negative if behind, ``None`` before enough is known."""
        count = len(self._samples)
        return None if count < LEAST_SAMPLES else sum(self._samples) / (2 * count)
