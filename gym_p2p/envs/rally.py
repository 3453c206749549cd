"""Rally, the bundled two-player game: for Gymnasium, for PettingZoo, and a policy that plays it.

Knows how a :class:`~gym_p2p.envs.court.Court` looks to each player. Both see it from their own side (their
own goal at ``ball_x = 0``), so that one policy plays either seat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pettingzoo
from gymnasium import spaces
from gymnasium.utils import seeding

from gym_p2p.config.checks import require_whole
from gym_p2p.envs import rally_view
from gym_p2p.envs.court import BALL_RADIUS, FACES, HEIGHT, PADDLE_HALF, PIXEL, WIDTH, Court
from gym_p2p.errors import ConfigurationError, UsageError

__all__ = ["ACTIONS", "OBSERVED", "SEATS", "RallyEnv", "RallyParallelEnv", "parallel_env", "scripted_policy"]

SEATS = ("left", "right")

ACTIONS = ("stay", "up", "down", "stay and swing", "up and swing", "down and swing")

_STEP = PIXEL // 16
"""Observed positions are in sixteenths of a pixel; velocities in subpixels a frame."""

_BOUNDS: dict[str, tuple[int, int]] = {
    "ball_x": (-(2**13), 2**13),
    "ball_y": (0, HEIGHT // _STEP),
    "ball_vx": (-4096, 4096),
    "ball_vy": (-1024, 1024),
    "ball_spin": (-16, 16),
    "own_y": (0, HEIGHT // _STEP),
    "own_vy": (-1024, 1024),
    "own_swing": (0, 64),
    "own_rest": (0, 64),
    "other_y": (0, HEIGHT // _STEP),
    "other_vy": (-1024, 1024),
    "other_swing": (0, 64),
    "own_points": (0, 2**15 - 1),
    "other_points": (0, 2**15 - 1),
    "serve_in": (0, 64),
}

OBSERVED = tuple(_BOUNDS)
"""What the numbers of an observation are, in order."""


def _observation_space() -> spaces.Box[np.int16]:
    low, high = zip(*_BOUNDS.values(), strict=True)
    return spaces.Box(np.array(low, np.int16), np.array(high, np.int16), dtype=np.int16)


def _observe(court: Court, seat: str) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return the court as the player of a seat sees it."""
    if seat == "left":
        own, other, x, vx = court.left, court.right, court.x, court.vx
    else:
        own, other, x, vx = court.right, court.left, WIDTH - court.x, -court.vx
    return np.array(
        (
            x // _STEP,
            court.y // _STEP,
            vx,
            court.vy,
            court.spin,
            own.y // _STEP,
            own.vy,
            own.swing,
            own.rest,
            other.y // _STEP,
            other.vy,
            other.swing,
            own.points,
            other.points,
            court.serve_in,
        ),
        np.int16,
    )


class _Rally:
    """What both interfaces share: the court, its saving, and its pictures."""

    render_mode: str | None
    court: Court

    def __init__(self, points: int, max_frames: int, render_mode: str | None) -> None:
        for option, value in (("points", points), ("max_frames", max_frames)):
            require_whole(option, value, 1, 2**15 - 1)
        modes = rally_view.METADATA["render_modes"]
        if render_mode is not None and render_mode not in modes:
            raise ConfigurationError("render_mode", f"wanted one of {', '.join(modes)}, got {render_mode!r}")
        self.points = points
        self.max_frames = max_frames
        self.render_mode = render_mode
        self.court = self._new_court(1)

    def get_state(self) -> dict[str, Any]:
        """Return the whole state of the episode as plain JSON data."""
        return self.court.get_state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go back to a state, also one of another instance or another machine."""
        self.court.set_state(dict(state))

    def scripted_policy(self, seat: str) -> Callable[..., int]:
        """Return a policy that plays this game well; see :func:`scripted_policy`."""
        return scripted_policy(seat)

    def get_action_meanings(self) -> list[str]:
        """Return what every action does, in words: a person's keys come of it."""
        return list(ACTIONS)

    def render(self) -> Any:
        """Return the picture that ``render_mode`` asks for, or None without one."""
        if self.render_mode == "rgb_array":
            return rally_view.picture(self.court)
        return rally_view.text(self.court) if self.render_mode == "ansi" else None

    def _new_court(self, chance: int) -> Court:
        return Court(chance=chance, points_to_win=self.points, max_frames=self.max_frames)

    def _begin(self, generator: np.random.Generator) -> dict[str, Any]:
        self.court = self._new_court(int(generator.integers(1, 2**32)))
        return {seat: _observe(self.court, seat) for seat in SEATS}

    def _advance(self, actions: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, float], bool, bool]:
        """Return every seat's observation and reward, and whether the game is won, or else cut off."""
        won = float(self.court.step(int(actions["left"]), int(actions["right"])))
        seen = {seat: _observe(self.court, seat) for seat in SEATS}
        is_won = self.court.won
        return seen, {"left": won, "right": -won}, is_won, not is_won and self.court.timed_out


class RallyEnv(_Rally, gymnasium.Env[dict[str, Any], dict[str, Any]]):
    """Rally as a ``gymnasium.Env`` whose action and observation are dicts over ``"left"`` and ``"right"``.

    The reward is the left player's (1 for a point won, -1 for a point lost); ``info["rewards"]`` has both.

    Args:
        points: how many win the game (terminated).
        max_frames: after so many frames the game is cut off (truncated). 60 are a second of play.
        render_mode: ``"rgb_array"``, ``"ansi"`` or None.
    """

    metadata: ClassVar[dict[str, Any]] = rally_view.METADATA  # type: ignore[misc]  # Gymnasium declares it without ClassVar

    def __init__(self, points: int = 5, max_frames: int = 3600, render_mode: str | None = None) -> None:
        super().__init__(points, max_frames, render_mode)
        self.action_space = spaces.Dict({seat: spaces.Discrete(len(ACTIONS)) for seat in SEATS})
        self.observation_space = spaces.Dict({seat: _observation_space() for seat in SEATS})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin a game; ``options`` are ignored."""
        gymnasium.Env.reset(self, seed=seed, options=options)
        return self._begin(self.np_random), {}

    def step(self, action: dict[str, Any]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Advance a frame with ``{"left": …, "right": …}``."""
        seen, rewards, terminated, truncated = self._advance(action)
        return seen, rewards["left"], terminated, truncated, {"rewards": rewards}


class RallyParallelEnv(_Rally, pettingzoo.ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """Rally as a PettingZoo ``ParallelEnv`` with the agents ``"left"`` and ``"right"``.

    The arguments are :class:`RallyEnv`'s.
    """

    metadata: ClassVar[dict[str, Any]] = {**rally_view.METADATA, "name": "rally_v0"}

    def __init__(self, points: int = 5, max_frames: int = 3600, render_mode: str | None = None) -> None:
        super().__init__(points, max_frames, render_mode)
        self.possible_agents = list(SEATS)
        self.agents: list[str] = []
        self._action_spaces = {seat: spaces.Discrete(len(ACTIONS)) for seat in SEATS}
        self._observation_spaces = {seat: _observation_space() for seat in SEATS}
        self._np_random: np.random.Generator | None = None

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go back to a state, also one of another instance or another machine."""
        super().set_state(state)
        self.agents = [] if self.court.won or self.court.timed_out else list(SEATS)

    def observation_space(self, agent: str) -> spaces.Box[np.int16]:
        """Return an agent's observation space, the same object every time."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Discrete[np.int64]:
        """Return an agent's action space, the same object every time."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Begin a game; ``options`` are ignored."""
        del options
        if seed is not None or self._np_random is None:
            self._np_random, _ = seeding.np_random(seed)
        self.agents = list(SEATS)
        return self._begin(self._np_random), {seat: {} for seat in SEATS}

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Advance a frame with both agents' actions."""
        if not self.agents:
            raise UsageError("the game is over; call reset first")
        seen, rewards, terminated, truncated = self._advance(actions)
        if terminated or truncated:
            self.agents = []
        ends = dict.fromkeys(SEATS, terminated), dict.fromkeys(SEATS, truncated)
        return seen, rewards, *ends, {seat: {} for seat in SEATS}

    def state(self) -> np.ndarray[Any, np.dtype[np.int16]]:
        """Return the court as the left player sees it: all there is to see."""
        return _observe(self.court, "left")


def parallel_env(**kwargs: Any) -> RallyParallelEnv:
    """Return Rally for PettingZoo; the arguments are :class:`RallyParallelEnv`'s."""
    return RallyParallelEnv(**kwargs)


_FACE = (FACES[0] + BALL_RADIUS) // _STEP
_TOP = BALL_RADIUS // _STEP
_BOTTOM = (HEIGHT - BALL_RADIUS) // _STEP
_REACH = PADDLE_HALF // _STEP


def scripted_policy(seat: str) -> Callable[..., int]:
    """Return a policy for a seat: ``policy(observation, frame=0) -> action``.

    It runs to where the ball will cross its face, misjudges that by an amount that depends on the ball's
    flight, and swings at some balls. It remembers nothing: equal observations get equal actions.
    """
    if seat not in SEATS:
        raise UsageError(f"no seat {seat!r} in Rally; its seats are {SEATS}")
    return _play


def _play(observation: Any, frame: int = 0) -> int:
    del frame
    o = dict(zip(OBSERVED, map(int, observation), strict=True))
    coming = o["ball_vx"] < 0
    frames_left = (o["ball_x"] - _FACE) * _STEP // -o["ball_vx"] if coming else 0
    mood = (o["ball_vx"] * 31 + o["own_points"] * 17 + o["other_points"] * 29 + o["ball_spin"] * 7) % 64
    goal = _crossing(o, frames_left) + (mood - 32) * _REACH // 19 if coming else (_TOP + _BOTTOM) // 2
    swing = 3 if coming and frames_left in range(2, 8) and mood % 4 == 0 else 0
    off_by = goal - (o["own_y"] + o["own_vy"] * 3 // _STEP)
    if abs(off_by) <= _REACH // 4:
        return swing
    return swing + (1 if off_by < 0 else 2)


def _crossing(o: Mapping[str, int], frames_left: int) -> int:
    """Return the ``y`` at which the ball will be after so many frames, bouncing off both walls."""
    bend = o["ball_spin"] * frames_left * frames_left // 2
    y = o["ball_y"] + (o["ball_vy"] * frames_left + bend) // _STEP
    span = _BOTTOM - _TOP
    folded = (y - _TOP) % (2 * span)
    return _TOP + min(folded, 2 * span - folded)
