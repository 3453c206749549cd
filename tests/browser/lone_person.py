"""A person alone with an environment that says what it was told, for what their page shows and does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

import gymnasium
import numpy as np
from gymnasium import spaces

from gym_p2p import HumanSeat, PersonGone
from tests.waiting import PATIENCE_S, until

__all__ = ["Alone", "Painter", "reached"]


class Painter(gymnasium.Env[Any, Any]):
    """Paints another corner in every step: noise, flat colours, and everything at once."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 60}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(self, render_mode: str | None = "rgb_array", actions: int = 3) -> None:
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(actions)
        self.observation_space = spaces.Discrete(100_000)
        self._random = np.random.default_rng(1)
        self.canvas = self._random.integers(0, 256, (90, 120, 3), np.uint8)
        self.steps = 0
        self.actions: list[int] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.actions.append(action)
        x, y = self._random.integers(0, 110), self._random.integers(0, 80)
        self.canvas[y : y + 9, x : x + 9] = self._random.integers(0, 256, 3, np.uint8)
        if self.steps % 25 == 0:
            self.canvas = self._random.integers(0, 256, self.canvas.shape, np.uint8)
        return self.steps, 0.0, False, False, {}

    def render(self) -> Any:
        return self.canvas


def reached(env: Painter, steps: int) -> None:
    until(lambda: env.steps >= steps)


class Alone:
    """A person alone with an environment, on a thread; stands still whenever it is told to."""

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        keys: dict[str, Any] | None = None,
        mask: Callable[[], Any] = lambda: None,
        emulation: dict[str, float] | None = None,
    ) -> None:
        self.env = env
        self.mask = mask
        self.pauses = threading.Event()
        self.stands = threading.Event()
        self.over = threading.Event()
        self.error: BaseException | None = None
        self.seat = HumanSeat(
            env,
            keys=keys or {"ArrowLeft": 1, "ArrowRight": 2},
            announce=lambda _: None,
            browser=False,
            countdown_s=0,
            emulation=emulation,
        )
        self.thread = threading.Thread(target=self._play)

    def __enter__(self) -> Self:
        self.thread.start()
        until(lambda: not self.seat.url.startswith("http://127.0.0.1:0/"))
        return self

    def __exit__(self, *_error: object) -> None:
        self.over.set()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()

    def _play(self) -> None:
        try:
            with self.seat as person:
                self.env.reset()
                while not self.over.is_set():
                    action = person.action(mask=self.mask())
                    while self.pauses.is_set() and not self.over.is_set():
                        self.stands.set()
                        self.over.wait(0.01)
                    self.env.step(action)
        except PersonGone as error:
            self.error = error
