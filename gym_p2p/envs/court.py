"""The rules of Rally: two paddles, one ball, spin.

Everything is a Python int, so that a game is the same to the last bit on every machine. Lengths are in
subpixels (256 to a pixel), times in frames, velocities in subpixels a frame. ``y`` grows downwards. Knows
nothing of Gymnasium, of rendering, and of who plays.

A paddle accelerates while its player holds a direction. Where the ball meets it sets the angle; how fast it
moves then bends the ball's flight (spin). A player may swing: for a few frames the paddle is slow, and a ball
met in that time comes back half as fast again; then the arm has to rest.
"""

from __future__ import annotations

from typing import Any

import attrs

__all__ = [
    "BALL_RADIUS",
    "FACES",
    "HEIGHT",
    "PADDLE_HALF",
    "PIXEL",
    "SWING_FRAMES",
    "WIDTH",
    "Court",
    "Paddle",
]

PIXEL = 256
WIDTH = 256 * PIXEL
HEIGHT = 144 * PIXEL
BALL_RADIUS = 3 * PIXEL
PADDLE_HALF = 13 * PIXEL
FACES = (14 * PIXEL, WIDTH - 14 * PIXEL)
"""Where the left and the right paddle meet the ball."""

SWING_FRAMES = 10
_REST_FRAMES = 30
_SERVE_FRAMES = 40
_PADDLE_SPEED = 5 * PIXEL // 2
_PADDLE_PUSH = 100
_SERVE_PACE = 3 * PIXEL
_MAX_PACE = 6 * PIXEL
_MAX_RISE = 7 * PIXEL // 2
_MAX_SPIN = 8


@attrs.define
class Paddle:
    """One player's paddle, arm and points."""

    y: int = HEIGHT // 2
    vy: int = 0
    swing: int = 0
    """Frames for which it still swings."""
    rest: int = 0
    """Frames until it can swing again."""
    points: int = 0

    def move(self, action: int) -> None:
        """Take in an action: 0 stay, 1 up, 2 down; and 3 more for the same with a swing."""
        push = (0, -_PADDLE_PUSH, _PADDLE_PUSH)[action % 3]
        limit = _PADDLE_SPEED
        if self.swing:
            self.swing -= 1
            limit //= 2
        elif self.rest:
            self.rest -= 1
        elif action >= 3:
            self.swing, self.rest = SWING_FRAMES, _REST_FRAMES
        vy = self.vy + push if push else _scaled(self.vy, 3, 4)
        vy = max(-limit, min(limit, vy))
        top, bottom = PADDLE_HALF, HEIGHT - PADDLE_HALF
        y = self.y + vy
        if y < top or y > bottom:
            y, vy = max(top, min(bottom, y)), 0
        self.y, self.vy = y, vy


@attrs.define
class Court:
    """A game of Rally from its first serve; :meth:`step` is all that changes it."""

    chance: int
    """The generator's state, never 0; the serves' angles come from it."""
    points_to_win: int
    max_frames: int
    left: Paddle = attrs.field(factory=Paddle)
    right: Paddle = attrs.field(factory=Paddle)
    x: int = WIDTH // 2
    y: int = HEIGHT // 2
    vx: int = 0
    vy: int = 0
    spin: int = 0
    """What is added to ``vy`` every frame."""
    pace: int = _SERVE_PACE
    """The ball's speed across when it is not smashed; grows with every hit."""
    serve_in: int = _SERVE_FRAMES
    serve_to: int = 1
    """Towards the left (-1) or the right (1)."""
    rally: int = 0
    """Hits since the serve."""
    frame: int = 0

    @property
    def won(self) -> bool:
        """Whether a player has the points to win."""
        return max(self.left.points, self.right.points) >= self.points_to_win

    @property
    def timed_out(self) -> bool:
        """Whether the last frame allowed is over."""
        return self.frame >= self.max_frames

    def step(self, left: int, right: int) -> int:
        """Advance a frame with both actions; return 1 if the left player scored, -1 if the right, else 0."""
        self.frame += 1
        self.left.move(left)
        self.right.move(right)
        if self.serve_in:
            self.serve_in -= 1
            if not self.serve_in:
                self._serve()
            return 0
        before_x, before_y = self.x, self.y
        self._fly()
        paddle, side = (self.left, 0) if self.vx < 0 else (self.right, 1)
        self._meet(paddle, side, before_x, before_y)
        if -BALL_RADIUS <= self.x <= WIDTH + BALL_RADIUS:
            return 0
        return self._score(1 if self.x > WIDTH else -1)

    def get_state(self) -> dict[str, Any]:
        """Return everything that decides how the game goes on, as plain JSON data."""
        return attrs.asdict(self)

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to what :meth:`get_state` returned."""
        for name, value in state.items():
            setattr(self, name, Paddle(**value) if isinstance(value, dict) else value)

    def _serve(self) -> None:
        self.vx = self.pace * self.serve_to
        self.vy = self._draw(2 * PIXEL + 1) - PIXEL
        self.spin = self._draw(5) - 2

    def _fly(self) -> None:
        self.vy = max(-_MAX_RISE, min(_MAX_RISE, self.vy + self.spin))
        self.x += self.vx
        self.y += self.vy
        top, bottom = BALL_RADIUS, HEIGHT - BALL_RADIUS
        if self.y < top or self.y > bottom:
            wall = top if self.y < top else bottom
            self.y = 2 * wall - self.y
            self.vy = -self.vy
            self.spin = _scaled(-self.spin, 1, 2)

    def _meet(self, paddle: Paddle, side: int, before_x: int, before_y: int) -> None:
        """Hit the ball back if it crossed the paddle's face within its reach."""
        inwards = 1 if side == 0 else -1
        face = FACES[side] + inwards * BALL_RADIUS
        gap_before, gap_now = (before_x - face) * inwards, (self.x - face) * inwards
        if gap_before < 0 or gap_now >= 0:
            return
        y = before_y + _scaled(self.y - before_y, gap_before, gap_before - gap_now)
        offset = y - paddle.y
        if abs(offset) > PADDLE_HALF + BALL_RADIUS:
            return
        self.rally += 1
        self.pace = min(_MAX_PACE, self.pace + self.pace // 16)
        self.vx = inwards * (self.pace * 3 // 2 if paddle.swing else self.pace)
        rise = _scaled(self.vy, 1, 2) + _scaled(offset, 3, 32) + _scaled(paddle.vy, 1, 2)
        self.vy = max(-_MAX_RISE, min(_MAX_RISE, rise))
        self.spin = max(-_MAX_SPIN, min(_MAX_SPIN, _scaled(-paddle.vy, 1, 80)))
        self.x, self.y = face, y

    def _score(self, winner: int) -> int:
        (self.left if winner > 0 else self.right).points += 1
        self.x, self.y, self.vx, self.vy, self.spin = WIDTH // 2, HEIGHT // 2, 0, 0, 0
        self.pace, self.rally = _SERVE_PACE, 0
        self.serve_in, self.serve_to = _SERVE_FRAMES, winner
        return winner

    def _draw(self, below: int) -> int:
        """Draw a number from 0 by xorshift32 (Marsaglia 2003), which needs nothing but ints."""
        state = self.chance
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        self.chance = state
        return state % below


def _scaled(value: int, by: int, over: int) -> int:
    """Return ``value * by / over`` rounded towards 0, so that up and down, left and right are alike."""
    return value * by // over if value >= 0 else -(-value * by // over)
