"""An environment in which next to nothing happens: what is left of a tick is the product's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
from gymnasium import spaces

__all__ = ["StillEnv", "still_seats"]


def still_seats(count: int) -> tuple[str, ...]:
    """Return the names of so many seats."""
    return tuple(f"seat_{number}" for number in range(1, count + 1))


class StillEnv(gymnasium.Env[Any, Any]):
    """Counts frames, and can be saved and restored."""

    def __init__(self, seats: Sequence[str] = ("left", "right")) -> None:
        self.action_space = spaces.Dict({seat: spaces.Discrete(2) for seat in seats})
        self.observation_space = spaces.Discrete(2)
        self._frame = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Begin at frame 0."""
        super().reset(seed=seed, options=options)
        self._frame = 0
        return 0, {}

    def step(self, _action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Count the frame, whatever the action."""
        self._frame += 1
        return self._frame & 1, 0.0, False, False, {}

    def get_state(self) -> int:
        """Return all there is."""
        return self._frame

    def set_state(self, state: int) -> None:
        """Go back."""
        self._frame = state
