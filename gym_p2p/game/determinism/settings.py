"""What is examined by a report card, and how copies of it are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from gym_p2p.errors import P2PError, UsageError
from gym_p2p.game.env import isolation
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.load import load_environment, own_words
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.snapshot import Hooks

__all__ = ["MakeEnv", "Settings"]

MakeEnv = str | Callable[[], Any]


@attrs.frozen
class Settings:
    """The arguments of the examination."""

    make_env: MakeEnv
    env_args: dict[str, Any]
    steps: int
    seeds: tuple[int, ...]
    hooks: Hooks | None
    isolate: bool
    options: dict[str, Any] | None
    default_actions: Any
    seats: Any

    def new_game(self) -> Game:
        """Make one copy."""
        game = make_game(self._new_env(), default_actions=self.default_actions, seats=self.seats)
        return isolation.isolate_global_random(game) if self.isolate else game

    def _new_env(self) -> Any:
        if isinstance(self.make_env, str):
            return load_environment(self.make_env, self.env_args)
        try:
            return self.make_env(**self.env_args)
        except P2PError:
            raise
        except Exception as error:
            raise UsageError(f"make_env raised {own_words(error)}") from error
