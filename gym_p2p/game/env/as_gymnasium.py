"""A PettingZoo environment as the ``Env`` that a Gymnasium wrapper wants inside; its game plays it."""

from __future__ import annotations

from typing import Any

import gymnasium

from gym_p2p.game.env.game import Game

__all__ = ["AsGymnasium"]


class AsGymnasium(gymnasium.Env[Any, Any]):
    """A game's environment as far as ``gymnasium.Wrapper`` needs one."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self.metadata = dict(getattr(game.env, "metadata", {}))
        self.render_mode = game.screen.render_mode
        spaces = gymnasium.spaces
        self.action_space = spaces.Dict({str(seat): game.action_space(seat) for seat in game.seats})
        self.observation_space = spaces.Dict({str(seat): game.observation_space(seat) for seat in game.seats})

    def seed_generator(self, seed: int | None) -> None:
        """Seed ``np_random`` as ``gymnasium.Env.reset`` does; the game has a generator of its own."""
        super().reset(seed=seed)

    def render(self) -> Any:
        """Return what the environment renders."""
        return self._game.render()

    def close(self) -> None:
        """Close the game. Idempotent."""
        self._game.close()
