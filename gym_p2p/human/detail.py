"""How exact the pictures are that a line carries: the rate falls first, and only then what is in them.

Counts, in windows of a second, pictures that were there to be shown and those that the page has got. Refuses
to know what becomes of a picture.
"""

from __future__ import annotations

import enum

import attrs

__all__ = ["Detail", "DetailControl"]

_WINDOW_S = 1.0
_LEAST_PER_S = 10.0
"""Pictures a second; below it a game is a series of stills, and coarser pictures are the lesser harm."""
_LEAST_SHARE = 1 / 3
"""Of games that are slow themselves: how much of their own rate."""
_CALM_SHARE = 0.9
_CALM_WINDOWS, _MOST_CALM_WINDOWS = 3, 60
"""After so many windows of the full rate the next finer detail is tried; after a vain try, twice as many."""


class Detail(enum.IntEnum):
    """What a picture keeps."""

    EXACT = 0
    FEWER_COLOURS = 1
    COARSE = 2
    """Fewer colours, and every second pixel of every second row."""


@attrs.define(eq=False)
class DetailControl:
    """Decides on the detail of the next picture.

    Attributes:
        detail: of it.
    """

    detail: Detail = attrs.field(default=Detail.EXACT, init=False)
    _since: float | None = attrs.field(default=None, init=False)
    _offered: int = attrs.field(default=0, init=False)
    _arrived: int = attrs.field(default=0, init=False)
    _calm: int = attrs.field(default=0, init=False)
    _patience: int = attrs.field(default=_CALM_WINDOWS, init=False)
    _tried: bool = attrs.field(default=False, init=False)

    def offered(self, now: float) -> None:
        """Note that there is a picture to be shown."""
        if self._since is None or self._since + 2 * _WINDOW_S <= now:  # a game that stood still
            self._begin(now)
        elif self._since + _WINDOW_S <= now:
            self._judge(now - self._since)
            self._begin(now)
        self._offered += 1

    def arrived(self) -> None:
        """Note that the page has got a picture."""
        self._arrived += 1

    def _begin(self, now: float) -> None:
        self._since, self._offered, self._arrived = now, 0, 0

    def _judge(self, lasted_s: float) -> None:
        least = min(_LEAST_PER_S * lasted_s, _LEAST_SHARE * self._offered)
        if self._arrived < least:
            if self._tried:
                self._patience = min(2 * self._patience, _MOST_CALM_WINDOWS)
            self._change(+1, tried=False)
        elif self._arrived < _CALM_SHARE * self._offered:
            self._calm = 0
        else:
            self._calm += 1
            if self._calm >= self._patience:
                self._change(-1, tried=True)

    def _change(self, by: int, *, tried: bool) -> None:
        self._calm = 0
        wanted = Detail(max(Detail.EXACT, min(self.detail + by, Detail.COARSE)))
        self._tried = tried and wanted is not self.detail
        self.detail = wanted
