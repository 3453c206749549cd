"""Where an environment keeps its windows, in the dark and in the light; pygame's without a screen."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p.game.env.seats import make_game
from tests.requirements import require

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


class _Painter(gymnasium.Env[Any, Any]):
    """Needs a surface to see by whatever its mode, and a window of the same name to be seen."""

    def __init__(self, render_mode: str | None = None) -> None:
        self.pygame = __import__("pygame")
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Box(0, 255, (1,), np.uint8)
        self.render_mode = render_mode
        self.screen: Any = None
        self.clock: Any = None
        self.level = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed, options=options)
        self.level = 0
        if self.render_mode != "human":
            self.screen = self.pygame.Surface((8, 8))
        return self._painted()

    def step(self, action: Any) -> Any:
        self.level += 1 + int(action)
        return *self._painted()[:1], 0.0, False, False, {}

    def _painted(self) -> Any:
        if self.screen is None:
            self.pygame.display.init()
            self.screen = self.pygame.display.set_mode((8, 8))
            self.clock = self.pygame.time.Clock()
        self.screen.fill((self.level, 0, 0))
        if self.render_mode == "human":
            assert self.screen is self.pygame.display.get_surface()
            self.pygame.display.flip()
        return np.array([self.screen.get_at((1, 1))[0]], np.uint8), {}


class _Remade(gymnasium.Env[Any, Any]):
    """Makes its game anew at every reset, of the arguments that it got."""

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = kwargs
        self.render_mode = kwargs.get("render_mode")
        self.game = _Painter(**kwargs)
        self.action_space, self.observation_space = self.game.action_space, self.game.observation_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.game = _Painter(**self._kwargs)
        return self.game.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        return self.game.step(action)


@pytest.fixture
def flips(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    require("pygame", "pip install 'gym_p2p[envs]'")
    import pygame  # noqa: PLC0415 it is an extra

    count = 0

    def flip() -> None:
        nonlocal count
        count += 1

    monkeypatch.setattr(pygame.display, "flip", flip)
    return lambda: count


def test_each_light_has_a_surface_of_its_own(flips: Callable[[], int]) -> None:
    game = make_game(_Painter("human"))
    game.reset(seed=1)  # in the dark, as a proof does
    assert [game.step([1]).observations[0].tolist() for _ in range(2)] == [[2], [4]]
    assert flips() == 0
    with game.shown():
        game.reset(seed=1)
    assert flips() == 1
    seen = game.step([0]).observations[0].tolist()
    with game.shown():
        seen += game.step([0]).observations[0].tolist()
    seen += game.step([0]).observations[0].tolist()
    assert seen == [1, 2, 3]
    assert flips() == 2
    game.close()


def test_a_window_that_was_open_before_stays_the_one(flips: Callable[[], int]) -> None:
    env = _Painter("human")
    env.reset(seed=1)
    window = env.screen
    game = make_game(env)
    game.reset(seed=1)
    assert env.screen is not window
    with game.shown():
        assert env.screen is window
        game.step([0])
    assert env.screen is not window
    assert flips() == 2


def test_a_part_that_a_reset_makes_anew_draws_in_the_light_alone(flips: Callable[[], int]) -> None:
    game = make_game(_Remade(render_mode="human"))
    for _ in range(2):
        game.reset(seed=1)
        game.step([1])
        assert flips() == 0
    with game.shown():
        game.reset(seed=1)
        game.step([1])
    assert flips() == 2
    game.step([1])
    assert flips() == 2
    with game.shown():
        game.step([1])
    assert flips() == 3
    assert game.env.unwrapped._kwargs == {"render_mode": None}
    game.close()


@pytest.mark.parametrize("mode", [None, "rgb_array", "human"])
def test_cart_pole_draws_what_is_shown_alone(flips: Callable[[], int], mode: Any) -> None:
    game = make_game(gymnasium.make("CartPole-v1", render_mode=mode), watchers=1)
    game.reset(seed=1)
    game.step([1, 0])
    assert flips() == 0
    with game.shown():
        game.reset(seed=1)
        game.step([1, 0])
    assert flips() == (2 if mode == "human" else 0)
    assert game.screen.render_mode == mode
    game.close()
