"""A picture as a message to a page: what changed of one that it has, in rectangles; lossless.

The page keeps its copy of that one, and puts the rectangles over it; what is in them stands for itself, so
that an old base makes them more, and never what is in them larger.

What is deflated is the rectangles' pixels, as they are or *filtered*, whichever has been smaller lately: each
pixel as its difference to the one on its left, of red and blue as their differences to green. Measured at 60
frames a second (KB/s, of a base one frame and four frames old), beside differences to the base, and Pillow's
lossless WebP with method 0 and 4 of the same rectangles:

=================  ==========  ==========  ===========  ========
picture            as it is    filtered    differences  WebP
=================  ==========  ==========  ===========  ========
Rally (shaded)     269 / 301   221 / 252   275 / 414    250, 210
Pong               4.8 / 5.9   5.5 / 6.8   5.7 / 7.0
Ms. Pac-Man        6.1 / 10    7.9 / 13    5.5 / 8.5
LunarLander        95 / 99     106 / 110   144 / 171
BipedalWalker      181 / 252   209 / 277   213 / 312
=================  ==========  ==========  ===========  ========

So no picture format is needed, which the two sides would have to have installed: browsers inflate by
themselves. Tiles of 8 pixels took a sixth off what 16 cost Rally. Level 6 takes 0.3 ms of a frame more than
level 1, and takes off a fifth; above :data:`_LARGE_BYTES` it would take longer than a frame.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import attrs
import numpy as np

from gym_p2p.human.detail import Detail

__all__ = ["Encoder", "Picture", "changed_rectangles", "require_picture", "simplified"]

Picture = np.ndarray[Any, np.dtype[np.uint8]]
"""Of shape (height, width, 3)."""

FORMAT = 2

# version, flags; number, base (0: none), frame of the episode (-1: of reset), seq of the keys in it;
# width, height, rectangles. Then, deflated: x, y, width, height of each, and their pixels, row by row. The
# base of a whole picture says, as any does, that the page needs none before it.
_HEAD = struct.Struct(">BBIIiIHHH")
_WHOLE = 1
"""The flag of a whole picture."""
_INEXACT = 2
"""The flag of one that is simpler than what the environment rendered."""
_FILTERED = 4
"""The flag of pixels that are filtered."""
_KEPT_BITS = 0xE0
"""Of a colour with fewer: eight shades each of red, green and blue."""

_TILE_PX = 8
"""A row of a tile has three words of eight bytes, which are compared at once."""
_MOST_RECTANGLES = 512
_LARGE_BYTES = 131_072
_TRY_EVERY = 30
"""After so many pictures, whether the other way of writing them is smaller."""

Rectangle = tuple[int, int, int, int]
"""x, y, width, height."""


def require_picture(picture: Any) -> Picture:
    """Return what an environment has rendered as a picture with three colours.

    Raises:
        ValueError: it is none, with what it is.
    """
    array = np.asarray(picture)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in {1, 3, 4} or array.dtype != np.uint8 or not array.size:
        came = f"{type(picture).__name__} {array.shape} of {array.dtype}"
        raise ValueError(f"wanted (height, width, 3) of uint8, got {came}")
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    if max(array.shape) >= 1 << 16:
        raise ValueError(f"a side of it has {max(array.shape)} pixels")
    return np.array(array[:, :, :3], order="C")  # a copy: some environments draw into the same one again


def changed_rectangles(before: Picture, now: Picture) -> list[Rectangle]:
    """Return rectangles that together hold every pixel that differs, and none twice.

    They are made of tiles: runs of a row of them, joined downwards where rows have the same run.
    """
    height, width = now.shape[:2]
    rows, columns = -(-height // _TILE_PX), -(-width // _TILE_PX)
    one, other = (_in_words(picture, rows, columns) for picture in (before, now))
    # In two steps: over whole rows of words first, which lie side by side.
    in_words = (one != other).reshape(rows, _TILE_PX, columns * 3).any(axis=1)
    runs_of = _runs(np.asarray(in_words.reshape(rows, columns, 3).any(axis=2)))
    found: list[Rectangle] = []
    growing: dict[tuple[int, int], int] = {}
    for row in range(rows + 1):
        runs = runs_of.get(row, set())
        ended = [run for run in growing if run not in runs]
        found += [_in_pixels(run, growing.pop(run), row, width, height) for run in ended]
        for run in runs:
            growing.setdefault(run, row)
    if len(found) > _MOST_RECTANGLES:
        return [_around(found)]
    return found


def _in_words(picture: Picture, rows: int, columns: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return a picture, whole tiles of it, eight bytes a number."""
    height, width = picture.shape[:2]
    if height != rows * _TILE_PX or width != columns * _TILE_PX:
        padded = np.zeros((rows * _TILE_PX, columns * _TILE_PX, 3), np.uint8)
        padded[:height, :width] = picture
        picture = padded
    return picture.reshape(rows * _TILE_PX, -1).view(np.uint64)


def _runs(tiles: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[int, set[tuple[int, int]]]:
    """Return the runs of each row that has some: where they begin, and where they have ended."""
    padded = np.zeros((tiles.shape[0], tiles.shape[1] + 2), np.bool_)
    padded[:, 1:-1] = tiles
    rows, edges = np.nonzero(padded[:, 1:] != padded[:, :-1])
    found: dict[int, set[tuple[int, int]]] = {}
    for row, begin, end in zip(rows[::2].tolist(), edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        found.setdefault(row, set()).add((begin, end))
    return found


def _in_pixels(run: tuple[int, int], top: int, bottom: int, width: int, height: int) -> Rectangle:
    x, y = run[0] * _TILE_PX, top * _TILE_PX
    return x, y, min(run[1] * _TILE_PX, width) - x, min(bottom * _TILE_PX, height) - y


def _around(rectangles: list[Rectangle]) -> Rectangle:
    left, top = min(r[0] for r in rectangles), min(r[1] for r in rectangles)
    right, bottom = max(r[0] + r[2] for r in rectangles), max(r[1] + r[3] for r in rectangles)
    return left, top, right - left, bottom - top


def simplified(picture: Picture, detail: Detail) -> Picture:
    """Return what is kept of a picture."""
    if detail is Detail.EXACT:
        return picture
    kept = picture if detail is Detail.FEWER_COLOURS else picture[::2, ::2]
    high = kept & _KEPT_BITS
    return np.ascontiguousarray(high | high >> 3 | high >> 6)  # so that white stays white


@attrs.define(eq=False)
class Encoder:
    """Writes the pictures of one page; knows which way of it has been smaller."""

    _filters: bool = attrs.field(default=False, init=False)
    _pictures: int = attrs.field(default=0, init=False)

    def encoded(
        self,
        picture: Picture,
        base: tuple[int, Picture] | None,
        *,
        number: int,
        frame: int,
        seq: int,
        exact: bool = True,
    ) -> bytes:
        """Return the message that a page draws a picture by.

        Args:
            picture: as the page is to have it.
            base: the newest that it is known to have, with its number; ``None`` before there is one.
            number: of this one.
            frame: of the episode; -1 is what ``reset`` gave.
            seq: of the newest change of keys whose effect it shows.
            exact: whether it is what the environment rendered.
        """
        height, width = picture.shape[:2]
        flags, base_number = 0 if exact else _INEXACT, 0 if base is None else base[0]
        rectangles = None
        if base is not None and base[1].shape == picture.shape:
            rectangles = changed_rectangles(base[1], picture)
            if sum(r[2] * r[3] for r in rectangles) > width * height // 2:
                rectangles = None  # with an old base the whole picture is hardly more
        if rectangles is None:
            flags |= _WHOLE
            rectangles = [(0, 0, width, height)]
        body = self._deflated(picture, rectangles)
        flags |= _FILTERED if self._filters else 0
        head = (FORMAT, flags, number, base_number, frame, seq, width, height, len(rectangles))
        return _HEAD.pack(*head) + body

    def _deflated(self, picture: Picture, rectangles: list[Rectangle]) -> bytes:
        """Return the rectangles; now and then in both ways, of which the smaller one is gone on with."""
        body = _deflated(picture, rectangles, filters=self._filters)
        if rectangles and self._pictures % _TRY_EVERY == 0:
            other = _deflated(picture, rectangles, filters=not self._filters)
            if len(other) < len(body):
                self._filters, body = not self._filters, other
        self._pictures += bool(rectangles)
        return body


def _deflated(picture: Picture, rectangles: list[Rectangle], *, filters: bool) -> bytes:
    places = np.array(rectangles, ">u2").tobytes()
    cut = (picture[y : y + height, x : x + width] for x, y, width, height in rectangles)
    data = places + b"".join((_filtered(part) if filters else part).tobytes() for part in cut)
    return zlib.compress(data, 6 if len(data) <= _LARGE_BYTES else 1)


def _filtered(part: Picture) -> Picture:
    relative = part.copy()
    relative[:, :, 0] -= part[:, :, 1]
    relative[:, :, 2] -= part[:, :, 1]
    found = relative.copy()
    found[:, 1:] -= relative[:, :-1]
    return found
