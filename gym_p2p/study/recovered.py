"""An environment that was played, as Gymnasium makes it again from what a dataset says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsFloat

import gymnasium
from gymnasium.envs.registration import EnvSpec

from gym_p2p.game.env.as_gymnasium import AsGymnasium
from gym_p2p.game.env.recipe import Recipe
from gym_p2p.game.env.seats import make_game

__all__ = ["RecoveredEnvironment", "spec_of"]


class RecoveredEnvironment(AsGymnasium):
    """A multi-agent environment that Gymnasium does not know, as one whose action is every seat's.

    Actions, observations and the rewards in ``info["rewards"]`` are dicts by the seats' ids as texts; the
    reward is their sum. It has terminated, or was truncated, once every seat has ended.

    Args:
        name: what :func:`~gym_p2p.game.env.load.load_environment` takes.
        kwargs: the constructor's arguments.
        render_mode: of the environment.

    Raises:
        UsageError: it cannot be made here.
    """

    def __init__(self, name: str, kwargs: Mapping[str, Any], render_mode: str | None = None) -> None:
        super().__init__(make_game(Recipe(name, dict(kwargs)).make(render_mode=render_mode)))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode."""
        outcome = self._game.reset(seed, options).handed_out()
        return self._by_seat(outcome.observations), {}

    def step(
        self, action: Mapping[str, Any]
    ) -> tuple[dict[str, Any], SupportsFloat, bool, bool, dict[str, Any]]:
        """Advance one frame with every seat's action."""
        outcome = self._game.step([action[str(seat)] for seat in self._game.seats]).handed_out()
        rewards = self._by_seat(outcome.rewards)
        terminated = all(outcome.terminations)
        return (
            self._by_seat(outcome.observations),
            float(sum(outcome.rewards)),
            terminated,
            outcome.ended and not terminated,
            {"rewards": rewards},
        )

    def _by_seat(self, values: Any) -> dict[str, Any]:
        return {str(seat): value for seat, value in zip(self._game.seats, values, strict=True)}


def spec_of(env: Any, recipe: Recipe | None) -> EnvSpec | None:
    """Return how Gymnasium makes an environment again; ``None`` where nothing says how it was made."""
    spec = env.spec if isinstance(env, gymnasium.Env) else None
    if spec is not None:
        try:
            return EnvSpec.from_json(spec.to_json())
        except (TypeError, ValueError):
            return None
    if recipe is None or recipe.spec is not None:
        return None
    return EnvSpec(
        id="gym_p2p/Recovered-v0",
        entry_point="gym_p2p.study.recovered:RecoveredEnvironment",
        kwargs={"name": recipe.name, "kwargs": recipe.kwargs},
        disable_env_checker=True,
    )
