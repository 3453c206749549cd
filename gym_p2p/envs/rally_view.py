"""How Rally looks: an anti-aliased picture, and a court of 60 by 18 characters.

Reads a :class:`~gym_p2p.envs.court.Court` and changes nothing in it. Pictures are for eyes: floats are
welcome here, and nothing of this may flow back into the game.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gym_p2p.envs.court import BALL_RADIUS, FACES, HEIGHT, PADDLE_HALF, PIXEL, WIDTH, Court, Paddle

__all__ = ["METADATA", "picture", "text"]

METADATA: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 60}

_Image = np.ndarray[Any, np.dtype[np.float32]]
_Place = tuple[slice, slice]
"""Rows and columns of a picture."""

_SCALE = 2  # picture pixels to a court's pixel
_ROWS, _COLUMNS = HEIGHT // PIXEL * _SCALE, WIDTH // PIXEL * _SCALE
_LEFT_COLOUR, _RIGHT_COLOUR = (255, 122, 89), (72, 202, 228)
_BALL_COLOUR, _LINE_COLOUR = (255, 250, 225), (120, 140, 190)
_PADDLE_THICKNESS = 5 * _SCALE
_CENTRES = np.arange(max(_ROWS, _COLUMNS)) + 0.5
"""Of the pixels of a row, or a column."""

_FONT = {
    "0": "###/#.#/#.#/#.#/###",
    "1": ".#./##./.#./.#./###",
    "2": "###/..#/###/#../###",
    "3": "###/..#/###/..#/###",
    "4": "#.#/#.#/###/..#/..#",
    "5": "###/#../###/..#/###",
    "6": "###/#../###/#.#/###",
    "7": "###/..#/..#/..#/..#",
    "8": "###/#.#/###/#.#/###",
    "9": "###/#.#/###/..#/###",
}


def picture(court: Court) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the court as an RGB image of shape (288, 512, 3)."""
    backdrop = _backdrop(court.left.points, court.right.points)
    thickness = _PADDLE_THICKNESS
    with backdrop.drawn_on() as image:
        places = [
            *_paddle(image, court.left, FACES[0] * _SCALE / PIXEL - thickness / 2, _LEFT_COLOUR),
            *_paddle(image, court.right, FACES[1] * _SCALE / PIXEL + thickness / 2, _RIGHT_COLOUR),
            *_ball(image, court),
        ]
        return backdrop.with_what_was_drawn(image, places)


class _Backdrop:
    """What of the picture stands still. Of a frame only the places that are drawn on are computed anew.

    Args:
        image: what is drawn on, in floats.
    """

    def __init__(self, image: _Image) -> None:
        self._image = image
        self._shown = np.clip(image, 0, 255).astype(np.uint8)
        self._copies: list[_Image] = []
        """That nobody draws on: taken and given back whole, so that threads do not meet on one."""

    @contextlib.contextmanager
    def drawn_on(self) -> Iterator[_Image]:
        """Lend a copy to draw on, until :meth:`with_what_was_drawn` has returned."""
        try:
            copy = self._copies.pop()
        except IndexError:
            copy = self._image.copy()
        yield copy
        self._copies.append(copy)  # one that drawing failed on is nobody's any more

    def with_what_was_drawn(
        self, copy: _Image, places: Sequence[_Place]
    ) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return the picture, and wipe the copy clean."""
        picture = self._shown.copy()
        for place in places:
            picture[place] = np.clip(copy[place], 0, 255).astype(np.uint8)
        for place in places:
            copy[place] = self._image[place]
        return picture


@functools.lru_cache(maxsize=2)
def _backdrop(left_points: int, right_points: int) -> _Backdrop:
    """Return the court without who plays: the score stands until the next point."""
    image = _empty_court().copy()
    _number(image, left_points, _COLUMNS // 2 - 40, _LEFT_COLOUR)
    _number(image, right_points, _COLUMNS // 2 + 40, _RIGHT_COLOUR)
    return _Backdrop(image)


@functools.cache
def _empty_court() -> _Image:
    """Return the empty court: a soft light in the middle, a dashed net, a frame."""
    y, x = np.mgrid[0:_ROWS, 0:_COLUMNS].astype(np.float32)
    glow = 1 - np.hypot((x / _COLUMNS - 0.5) * 1.3, y / _ROWS - 0.5)
    image = np.stack([12 + 16 * glow, 16 + 24 * glow, 34 + 40 * glow], axis=-1)
    for column, colour in ((0, _LEFT_COLOUR), (_COLUMNS - 1, _RIGHT_COLOUR)):
        light = np.clip(1 - np.abs(x - column) / 60, 0, 1) ** 2 * 0.22
        image += light[..., None] * (np.asarray(colour, np.float32) - image)
    net = (np.abs(x - _COLUMNS / 2 + 0.5) < 1.5) & (y % 16 < 9)
    frame = (y < 2) | (y >= _ROWS - 2)
    for lines, strength in ((net, 0.35), (frame, 0.55)):
        image[lines] += strength * (np.asarray(_LINE_COLOUR, np.float32) - image[lines])
    return image.astype(np.float32)


def _window(centre: float, reach: float, limit: int) -> slice:
    return slice(max(0, int(centre - reach)), max(0, min(limit, int(centre + reach) + 2)))


def _shape(
    image: _Image,
    at: tuple[float, float],
    half: tuple[float, float],
    colour: tuple[int, int, int],
    *,
    rounding: float,
    strength: float = 1.0,
    glow: float = 0.0,
) -> _Place:
    """Blend a rounded rectangle in, by its signed distance: its cover of a pixel is close to exact.

    Returns where.
    """
    margin = max(2.0, 4 * glow)
    rows = _window(at[1], half[1] + margin, _ROWS)
    columns = _window(at[0], half[0] + margin, _COLUMNS)
    dx = np.maximum(np.abs(_CENTRES[columns] - at[0]) - half[0] + rounding, 0)
    dy = np.maximum(np.abs(_CENTRES[rows] - at[1]) - half[1] + rounding, 0)
    distance = np.hypot(dx, dy[:, None]) - rounding
    cover = np.clip(0.5 - distance, 0, 1)
    if glow:
        cover = np.maximum(cover, 0.45 * np.exp(-np.maximum(distance, 0) / glow))
    part = image[rows, columns]
    part += (strength * cover)[..., None].astype(np.float32) * (np.asarray(colour, np.float32) - part)
    return rows, columns


def _paddle(image: _Image, paddle: Paddle, x: float, colour: tuple[int, int, int]) -> Iterator[_Place]:
    at = (x, paddle.y * _SCALE / PIXEL)
    half = (_PADDLE_THICKNESS / 2, PADDLE_HALF * _SCALE / PIXEL)
    if paddle.swing:
        around = (half[0] + 3, half[1] + 3)
        yield _shape(image, at, around, (255, 255, 255), rounding=8, glow=6, strength=0.8)
    yield _shape(image, at, half, colour, rounding=5, glow=4)


def _ball(image: _Image, court: Court) -> Iterator[_Place]:
    radius = BALL_RADIUS * _SCALE / PIXEL
    x, y = court.x * _SCALE / PIXEL, court.y * _SCALE / PIXEL
    for back in range(9, 0, -1):  # the way it came, if it came straight: a picture has no memory
        at = (x - court.vx * _SCALE / PIXEL * back * 0.8, y - court.vy * _SCALE / PIXEL * back * 0.8)
        size = radius * (1 - back / 14)
        if court.vx and 0 <= at[0] < _COLUMNS:
            strength = 0.28 * (1 - back / 10)
            yield _shape(image, at, (size, size), _BALL_COLOUR, rounding=size, strength=strength)
    waiting = 1 + 0.5 * (court.serve_in % 20) / 20
    yield _shape(image, (x, y), (radius, radius), _BALL_COLOUR, rounding=radius, glow=3 * waiting)


def _number(image: _Image, number: int, x: int, colour: tuple[int, int, int]) -> None:
    block = 7
    digits = str(number)
    left = x - (len(digits) * 4 - 1) * block // 2
    for place, digit in enumerate(digits):
        for row, line in enumerate(_FONT[digit].split("/")):
            for column, dot in enumerate(line):
                if dot == "#":
                    at_x, at_y = left + (place * 4 + column) * block, 20 + row * block
                    part = image[at_y : at_y + block - 1, at_x : at_x + block - 1]
                    part += np.float32(0.6) * (np.asarray(colour, np.float32) - part)


_TEXT_COLUMNS, _TEXT_ROWS = 58, 16  # inside the frame


def text(court: Court) -> str:
    """Return the court as 18 lines of 60 characters."""
    canvas = [[" "] * _TEXT_COLUMNS for _ in range(_TEXT_ROWS)]
    for row in range(_TEXT_ROWS):
        canvas[row][_TEXT_COLUMNS // 2] = "╎" if row % 2 else " "
    _draw_flight(canvas, court)
    _draw_paddle(canvas, court.left, 2, ")")
    _draw_paddle(canvas, court.right, _TEXT_COLUMNS - 3, "(")
    _put(canvas, court.x, court.y, "●" if not court.serve_in or court.serve_in % 10 < 6 else "○")
    lines = [_scores(court)]
    lines += ["│" + "".join(row) + "│" for row in canvas]
    lines.append(_footer(court))
    return "\n".join(lines)


def _put(canvas: list[list[str]], x: int, y: int, character: str) -> None:
    column, row = x * _TEXT_COLUMNS // WIDTH, y * _TEXT_ROWS // HEIGHT
    if 0 <= column < _TEXT_COLUMNS and 0 <= row < _TEXT_ROWS:
        canvas[row][column] = character


def _draw_flight(canvas: list[list[str]], court: Court) -> None:
    for back, character in ((8, "·"), (6, "·"), (4, "∙"), (2, "•")):
        if court.vx:
            _put(canvas, court.x - court.vx * back, court.y - court.vy * back, character)


def _draw_paddle(canvas: list[list[str]], paddle: Paddle, column: int, arm: str) -> None:
    halves = 2 * _TEXT_ROWS
    top = round((paddle.y - PADDLE_HALF) * halves / HEIGHT)
    bottom = round((paddle.y + PADDLE_HALF) * halves / HEIGHT)
    for row in range(_TEXT_ROWS):
        upper, lower = top <= 2 * row < bottom, top <= 2 * row + 1 < bottom
        block = {(True, True): "█", (True, False): "▀", (False, True): "▄"}.get((upper, lower))
        if block:
            canvas[row][column] = block
            if paddle.swing:
                canvas[row][column + (1 if arm == ")" else -1)] = arm


def _scores(court: Court) -> str:
    left = f" LEFT {_points(court.left.points, court.points_to_win)} "
    right = f" {_points(court.right.points, court.points_to_win)} RIGHT "
    return "╭─" + left + "─" * (_TEXT_COLUMNS - 2 - len(left) - len(right)) + right + "─╮"


def _points(points: int, to_win: int) -> str:
    return "●" * points + "○" * (to_win - points) if to_win <= 9 else f"{points}/{to_win}"


def _footer(court: Court) -> str:
    caption = f" rally {court.rally} " if not court.serve_in else " serve "
    clock = f" {court.frame}/{court.max_frames} "
    return "╰─" + caption + "─" * (_TEXT_COLUMNS - 2 - len(caption) - len(clock)) + clock + "─╯"
