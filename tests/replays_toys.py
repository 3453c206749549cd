"""An environment that does not listen to one of its seats, and keeps something that nobody sees."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

__all__ = ["Deaf"]


class Deaf(gymnasium.Env[Any, Any]):
    """Adds up what the first of two seats says."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}  # type: ignore[misc]  # declared without ClassVar

    def __init__(self) -> None:
        self.action_space = spaces.MultiDiscrete([3, 3])
        self.observation_space = spaces.Box(0, 1000, (1,), np.int64)
        self.unseen = 0
        self._sum = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._sum = 0
        return np.array([0]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._sum += int(action[0])
        return np.array([self._sum]), 0.0, False, False, {}
