"""PettingZoo parallel environments as games: a seat for each agent that may ever appear."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
from gymnasium import spaces
from pettingzoo.utils.conversions import turn_based_aec_to_parallel_wrapper

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import UnsupportedEnvironment
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.lives import Lives, Returned
from gym_p2p.game.env.returned import after_reset, after_step
from gym_p2p.game.outcome import Outcome

__all__ = ["ParallelGame"]

_log = logging.getLogger(__name__)


class ParallelGame(Game):
    """A PettingZoo ``ParallelEnv``.

    An agent that is gone keeps its seat, its last observation and its final flags, with a reward of 0.0 and
    an empty info; what its player does is ignored. An agent that the environment drops without a flag is
    truncated. One that has not appeared yet has a seat with a blank observation.
    """

    env: pettingzoo.ParallelEnv[Any, Any, Any]
    progress: Lives

    def __init__(self, env: pettingzoo.ParallelEnv[Any, Any, Any], default_actions: Any) -> None:
        agents = _agents(env)
        acted = _action_spaces(env, agents)
        observed = _observation_spaces(env, agents)
        super().__init__(env, {a: (acted[a], observed[a]) for a in agents}, default_actions)
        self.takes_turns = isinstance(env, turn_based_aec_to_parallel_wrapper)
        self._unborn = Lives.unborn(self.seats, observed)
        self.progress = self._unborn

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Outcome:
        """Begin an episode; see :class:`Game`."""
        observations, infos = after_reset(self.env.reset(seed=seed, options=options))
        self.progress = self._unborn
        return self._outcome(Returned(observations, {}, {}, {}, infos))

    def step(self, actions: Sequence[Any]) -> Outcome:
        """Advance one frame with the actions of the agents that live; see :class:`Game`."""
        by_seat = dict(zip(self.seats, actions, strict=True))
        acting = {agent: by_seat[agent] for agent in self.env.agents}
        return self._outcome(Returned(*after_step(self.env.step(acting))))

    def _outcome(self, returned: Returned) -> Outcome:
        alive = self.env.agents
        stranger = next((agent for agent in alive if agent not in self._spaces), None)
        if stranger is not None:
            raise UnsupportedEnvironment(
                f"the environment brought in the agent {stranger!r}, who is none of its possible_agents "
                f"{list(self.seats)}: every seat has to be known before anybody plays. Name there all agents "
                "who may ever appear"
            )
        living = frozenset(alive)
        appeared = living | returned.observations.keys()
        self.progress, outcome = self.progress.after(self.seats, returned, living, appeared=appeared)
        return outcome


def _agents(env: Any) -> tuple[SeatId, ...]:
    agents = tuple(getattr(env, "possible_agents", ()) or ())
    if not agents:
        raise UnsupportedEnvironment(
            f"the parallel environment {type(env.unwrapped).__name__} has no possible_agents: "
            "the seats have to be known before it begins"
        )
    for agent in agents:
        if isinstance(agent, bool) or type(agent) not in {str, int}:
            raise UnsupportedEnvironment(
                f"agents have to be named by texts or ints to become seats, found {agent!r}"
            )
    return agents


def _action_spaces(env: Any, agents: tuple[SeatId, ...]) -> dict[SeatId, gymnasium.Space[Any]]:
    found: dict[SeatId, gymnasium.Space[Any]] = {}
    for agent in agents:
        try:
            found[agent] = env.action_space(agent)
        except (AttributeError, NotImplementedError, KeyError) as error:
            raise UnsupportedEnvironment(
                f"the parallel environment {type(env.unwrapped).__name__} has no action space for {agent!r}, "
                "who is one of its possible_agents: action_space(agent) has to know every one of them from "
                "the start"
            ) from error
    return found


def _observation_spaces(env: Any, agents: tuple[SeatId, ...]) -> dict[SeatId, gymnasium.Space[Any]]:
    try:
        return {agent: env.observation_space(agent) for agent in agents}
    except (AttributeError, NotImplementedError, KeyError):
        _log.warning(
            "%s declares no observation spaces; taking them from its first observations",
            type(env.unwrapped).__name__,
        )
    observations, _ = after_reset(env.reset(seed=0))
    found: dict[SeatId, gymnasium.Space[Any]] = {}
    for agent in agents:
        observation = np.asarray(observations.get(agent))
        if observation.dtype.kind not in "iufb":
            raise UnsupportedEnvironment(
                f"the parallel environment {type(env.unwrapped).__name__} declares no observation space for "
                f"{agent!r}, and a {type(observations.get(agent)).__name__} does not show it"
            )
        found[agent] = _unbounded(observation.shape, observation.dtype)
    return found


def _unbounded(shape: tuple[int, ...], dtype: np.dtype[Any]) -> gymnasium.Space[Any]:
    if dtype.kind == "f":
        return spaces.Box(-np.inf, np.inf, shape, dtype.type)
    if dtype.kind == "b":
        return spaces.Box(0, 1, shape, dtype.type)
    limits = np.iinfo(dtype)
    return spaces.Box(np.full(shape, limits.min, dtype), np.full(shape, limits.max, dtype), shape, dtype.type)
