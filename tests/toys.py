"""Small environments with a state that everything goes into: an action that is lost or swapped shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

__all__ = ["BLEND", "Blend"]

BLEND = "tests/Blend-v0"


def _joint_space(kind: str) -> spaces.Space[Any]:
    table: dict[str, spaces.Space[Any]] = {
        "dict": spaces.Dict({"a": spaces.Discrete(5), "b": spaces.Box(-1, 1, (3,), np.float32)}),
        "tuple": spaces.Tuple((spaces.Discrete(4, start=-1), spaces.MultiBinary(3))),
        "multidiscrete": spaces.MultiDiscrete([3, 7], start=[0, -2]),
        "multibinary": spaces.MultiBinary(2),
        "three": spaces.MultiDiscrete([5, 5, 5]),
        "nested": spaces.Tuple(
            (
                spaces.Dict({"move": spaces.Discrete(3), "aim": spaces.Box(0, 1, (2,), np.float64)}),
                spaces.Tuple((spaces.Text(4), spaces.Discrete(2))),
            )
        ),
    }
    return table[kind]


def _numbers(action: Any) -> Iterator[float]:
    if isinstance(action, Mapping):
        for key in sorted(action):
            yield from _numbers(action[key])
    elif isinstance(action, str):
        yield float(sum(map(ord, action)))
    elif isinstance(action, tuple | list):
        for part in action:
            yield from _numbers(part)
    else:
        yield from (float(number) for number in np.ravel(np.asarray(action)))


class Blend(gymnasium.Env[Any, Any]):
    """Stirs joint actions and random numbers into three numbers; ends after ``length`` frames.

    Args:
        kind: which action space.
        length: of an episode, in frames.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}  # type: ignore[misc]  # declared without ClassVar

    def __init__(self, kind: str = "dict", length: int = 50) -> None:
        self.action_space = _joint_space(kind)
        self.observation_space = spaces.Box(0, 1, (3,), np.float64)
        self.kind, self.length = kind, length
        self.skew = 0.0
        """Set on one side alone, it drives the two apart."""
        self.options: dict[str, Any] | None = None
        self._state = np.zeros(3)
        self._frame = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.options = options
        self._state, self._frame = self.np_random.random(3), 0
        return self._state.copy(), {"frame": 0}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        for weight, number in enumerate(_numbers(action), 1):
            self._state = (self._state * 1.618 + np.arange(1, 4) * number * weight / 7) % 1.0
        self._state = (self._state + self.np_random.random(3) + self.skew) % 1.0
        self._frame += 1
        ended = self._frame >= self.length
        return self._state.copy(), float(self._state[0]), ended, False, {"frame": self._frame}


if BLEND not in gymnasium.registry:
    gymnasium.register(id=BLEND, entry_point="tests.toys:Blend")
