"""The pictures of a match on their way to a page: the newest one, and of it what changed.

A frame is written as differences to one that the page has acknowledged, in the rectangles that differ. Few
are under way at a time, by the path's own round trip; while no more may go, the newest picture waits and
replaces the one before, so that nothing queues up behind a slow line: the rate falls. As few are under way, a
base is never older than they are, and a whole picture is sent where rectangles would not be smaller: a slow
line makes frames rarer, and none larger than a whole one.

Why zlib and no picture format: on Rally's shaded pictures level 1 takes 1 to 2 ms of a frame (Pillow's
lossless WebP 36 ms with method 0, 170 ms with method 4, on the same machine), differences are a sixth of a
whole picture, and neither side needs anything installed: browsers inflate by themselves. The canvas gets all
pixels as they are.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

__all__ = ["Frame", "FrameStream", "Picture", "changed_rectangles", "require_picture"]

Picture = np.ndarray[Any, np.dtype[np.uint8]]
"""Of shape (height, width, 3)."""

FORMAT = 1

# version, flags; number, base (0: none), frame of the episode (-1: of reset), seq of the keys in it;
# width, height, rectangles. Then x, y, width, height of each, and the deflated differences, row by row. A
# whole picture has differences to black; its base says, as any does, that the page needs none before it.
_HEAD = struct.Struct(">BBIIiIHHH")
_RECTANGLE = struct.Struct(">HHHH")
_WHOLE = 1
"""The flag of a whole picture."""

_TILE_PX = 16
_MOST_RECTANGLES = 128
_ALWAYS_UNDER_WAY = 2
"""One that is decoded while the next one travels."""
_MOST_UNDER_WAY = 16

Rectangle = tuple[int, int, int, int]
"""x, y, width, height."""


def require_picture(picture: Any) -> Picture:
    """Return what an environment has rendered as a picture with three colours.

    Raises:
        ValueError: it is none, with what it is.
    """
    array = np.asarray(picture)
    if array.ndim == 2 and array.dtype == np.uint8:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] not in {3, 4} or array.dtype != np.uint8 or not array.size:
        raise ValueError(f"wanted (height, width, 3) of uint8, got {type(picture).__name__} {array.shape}")
    if max(array.shape) >= 1 << 16:
        raise ValueError(f"a side of it has {max(array.shape)} pixels")
    return np.array(array[:, :, :3], order="C")  # a copy: some environments draw into the same one again


def changed_rectangles(before: Picture, now: Picture) -> list[Rectangle]:
    """Return rectangles that together hold every pixel that differs, and none twice.

    They are made of tiles: runs of a row of them, joined downwards where rows have the same run.
    """
    height, width = now.shape[:2]
    differs = (before != now).any(axis=2)
    rows, columns = -(-height // _TILE_PX), -(-width // _TILE_PX)
    padded = np.zeros((rows * _TILE_PX, columns * _TILE_PX), bool)
    padded[:height, :width] = differs
    tiles = np.asarray(padded.reshape(rows, _TILE_PX, columns, _TILE_PX).any(axis=(1, 3)))
    found: list[Rectangle] = []
    growing: dict[tuple[int, int], int] = {}
    for row in range(rows + 1):
        runs = set(_runs(tiles[row])) if row < rows else set()
        ended = [run for run in growing if run not in runs]
        found += [_in_pixels(run, growing.pop(run), row, width, height) for run in ended]
        for run in runs:
            growing.setdefault(run, row)
    if len(found) > _MOST_RECTANGLES:
        return [_around(found)]
    return found


def _runs(tiles: np.ndarray[Any, np.dtype[np.bool_]]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], tiles.view(np.int8), [0]))))
    yield from ((int(begin), int(end)) for begin, end in edges.reshape(-1, 2))


def _in_pixels(run: tuple[int, int], top: int, bottom: int, width: int, height: int) -> Rectangle:
    x, y = run[0] * _TILE_PX, top * _TILE_PX
    return x, y, min(run[1] * _TILE_PX, width) - x, min(bottom * _TILE_PX, height) - y


def _around(rectangles: list[Rectangle]) -> Rectangle:
    left, top = min(r[0] for r in rectangles), min(r[1] for r in rectangles)
    right, bottom = max(r[0] + r[2] for r in rectangles), max(r[1] + r[3] for r in rectangles)
    return left, top, right - left, bottom - top


@attrs.frozen
class Frame:
    """A frame that goes to the page.

    Attributes:
        number: counts them.
        seq: of the newest message of keys whose effect it shows.
        data: the message.
    """

    number: int
    seq: int
    data: bytes


@attrs.frozen
class _Sent:
    number: int
    picture: Picture


@attrs.frozen
class _Newest:
    picture: Picture
    frame: int
    seq: int


@attrs.define(eq=False)
class FrameStream:
    """The frames to one page.

    Attributes:
        sent: how many were sent.
        skipped: how many were not, because a newer one was there before the line was free.
    """

    sent: int = attrs.field(default=0, init=False)
    skipped: int = attrs.field(default=0, init=False)
    _newest: _Newest | None = attrs.field(default=None, init=False)
    _waiting: bool = attrs.field(default=False, init=False)
    _base: _Sent | None = attrs.field(default=None, init=False)
    _under_way: deque[_Sent] = attrs.field(factory=deque, init=False)
    _number: int = attrs.field(default=0, init=False)

    def offer(self, picture: Picture, *, frame: int, seq: int) -> None:
        """Take the picture of now.

        Args:
            picture: nobody changes it any more.
            frame: of the episode that it shows; -1 is what ``reset`` gave.
            seq: of the newest message of keys whose effect it shows.
        """
        self.skipped += self._waiting
        self._newest = _Newest(picture, frame, seq)
        self._waiting = True

    def restart(self) -> None:
        """Begin with a page that has nothing yet: it gets the newest picture whole."""
        self._base = None
        self._under_way.clear()
        self._waiting = self._newest is not None

    def next(self, *, rtt_s: float | None = None, interval_s: float = 1 / 60) -> Frame | None:
        """Return the frame that may go now; ``None`` where there is nothing new, or enough is under way.

        Args:
            rtt_s: the shortest round trip to the page; ``None`` is unknown.
            interval_s: between two pictures.
        """
        newest = self._newest
        most = _ALWAYS_UNDER_WAY + math.ceil((rtt_s or 0.0) / interval_s)
        if newest is None or not self._waiting or len(self._under_way) >= min(most, _MOST_UNDER_WAY):
            return None
        self._waiting = False
        self._number += 1
        self.sent += 1
        self._under_way.append(_Sent(self._number, newest.picture))
        return Frame(self._number, newest.seq, _encoded(self._number, self._base, newest))

    def acknowledge(self, number: int) -> bool:
        """Note that the page has a frame, and with it all that it needs for those before; False: it has not.

        Frames that were sent before it and not acknowledged count as lost: none is waited for any more.
        """
        if not any(sent.number == number for sent in self._under_way):
            return False
        while self._under_way[0].number < number:
            self._under_way.popleft()
        self._base = self._under_way.popleft()
        return True


def _encoded(number: int, base: _Sent | None, newest: _Newest) -> bytes:
    picture = newest.picture
    height, width = picture.shape[:2]
    rectangles = None
    if base is not None and base.picture.shape == picture.shape:
        rectangles = changed_rectangles(base.picture, picture)
        if sum(r[2] * r[3] for r in rectangles) > width * height // 2:
            rectangles = None  # with an old base the whole picture is hardly more
    if base is None or rectangles is None:
        flags, rectangles = _WHOLE, [(0, 0, width, height)]
        parts = [picture.tobytes()]
    else:
        flags, before = 0, base.picture
        parts = [
            (picture[y : y + h, x : x + w] - before[y : y + h, x : x + w]).tobytes()
            for x, y, w, h in rectangles
        ]
    base_number = 0 if base is None else base.number
    head = _HEAD.pack(
        *(FORMAT, flags, number, base_number, newest.frame, newest.seq, width, height, len(rectangles))
    )
    places = b"".join(_RECTANGLE.pack(*rectangle) for rectangle in rectangles)
    return head + places + zlib.compress(b"".join(parts), 1)
