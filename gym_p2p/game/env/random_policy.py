"""The policy ``random``: every action of the space alike, minding an action mask."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium

from gym_p2p.game.spaces.masks import Mask

__all__ = ["RandomPolicy"]


class RandomPolicy:
    """Plays one seat at random.

    Args:
        space: its actions; the environment's own generator is left alone.
        seed: equal seeds give equal actions.
    """

    def __init__(self, space: gymnasium.Space[Any], seed: int) -> None:
        self._space = copy.deepcopy(space)
        self._space.seed(seed)

    def act(self, mask: Mask | None) -> Any:
        """Return any action that the mask allows; ``None`` allows all."""
        return self._space.sample(mask)
