"""A picture as a message to a page: the differences to one that it has, in the rectangles that differ.

Why zlib and no picture format: on Rally's shaded pictures level 1 takes 1 to 2 ms of a frame (Pillow's
lossless WebP 36 ms with method 0, 170 ms with method 4, on the same machine), differences are a sixth of a
whole picture, and neither side needs anything installed: browsers inflate by themselves. The canvas gets all
pixels as they are.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from gym_p2p.human.detail import Detail

__all__ = ["Picture", "changed_rectangles", "encoded", "require_picture", "simplified"]

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
_INEXACT = 2
"""The flag of one that is simpler than what the environment rendered."""
_KEPT_BITS = 0xE0
"""Of a colour with fewer: eight shades each of red, green and blue."""

_TILE_PX = 16
_MOST_RECTANGLES = 128

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


def simplified(picture: Picture, detail: Detail) -> Picture:
    """Return what is kept of a picture."""
    if detail is Detail.EXACT:
        return picture
    kept = picture if detail is Detail.FEWER_COLOURS else picture[::2, ::2]
    high = kept & _KEPT_BITS
    return np.ascontiguousarray(high | high >> 3 | high >> 6)  # so that white stays white


def encoded(
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
    rectangles = None
    if base is not None and base[1].shape == picture.shape:
        rectangles = changed_rectangles(base[1], picture)
        if sum(r[2] * r[3] for r in rectangles) > width * height // 2:
            rectangles = None  # with an old base the whole picture is hardly more
    flags = 0 if exact else _INEXACT
    if base is None or rectangles is None:
        flags |= _WHOLE
        rectangles = [(0, 0, width, height)]
        parts = [picture.tobytes()]
    else:
        before = base[1]
        parts = [
            (picture[y : y + h, x : x + w] - before[y : y + h, x : x + w]).tobytes()
            for x, y, w, h in rectangles
        ]
    base_number = 0 if base is None else base[0]
    head = _HEAD.pack(*(FORMAT, flags, number, base_number, frame, seq, width, height, len(rectangles)))
    places = b"".join(_RECTANGLE.pack(*rectangle) for rectangle in rectangles)
    return head + places + zlib.compress(b"".join(parts), 1)
