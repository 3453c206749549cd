"""PettingZoo parallel environments as games: a seat for each agent that may ever appear."""

from __future__ import annotations

import logging
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import gymnasium
import numpy as np
import pettingzoo
from gymnasium import spaces

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import UnsupportedEnvironment
from gym_p2p.game.env.game import Game
from gym_p2p.game.outcome import Outcome, fresh
from gym_p2p.game.spaces.composites import encoding_of
from gym_p2p.game.spaces.leaves import UnsupportedSpace

__all__ = ["ParallelGame"]

_log = logging.getLogger(__name__)


@attrs.frozen
class _Progress:
    """What has become of each seat, in seat order."""

    terminations: tuple[bool, ...]
    truncations: tuple[bool, ...]
    last_observations: tuple[Any, ...]
    """Given again to seats whose agent is gone; never handed out itself."""


class ParallelGame(Game):
    """A PettingZoo ``ParallelEnv``.

    An agent that is gone keeps its seat, its last observation and its final flags, with a reward of 0.0 and
    an empty info; what its player does is ignored. An agent that the environment drops without a flag is
    truncated.
    """

    env: pettingzoo.ParallelEnv[Any, Any, Any]
    progress: _Progress

    def __init__(self, env: pettingzoo.ParallelEnv[Any, Any, Any], default_actions: Any) -> None:
        agents = _agents(env)
        observed = _observation_spaces(env, agents)
        super().__init__(env, {a: (env.action_space(a), observed[a]) for a in agents}, default_actions)
        self.progress = self._unborn()

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Outcome:
        """Begin an episode; see :class:`Game`."""
        observations, infos = self.env.reset(seed=seed, options=options)
        self.progress = self._unborn()
        return self._outcome(observations, {}, {}, {}, infos or {})

    def step(self, actions: Sequence[Any]) -> Outcome:
        """Advance one frame with the actions of the agents that live; see :class:`Game`."""
        by_seat = dict(zip(self.seats, actions, strict=True))
        observations, rewards, terminations, truncations, infos = self.env.step(
            {agent: by_seat[agent] for agent in self.env.agents}
        )
        return self._outcome(observations, rewards, terminations, truncations, infos)

    # PettingZoo speaks in mappings over the agents that lived when the step began; an agent may appear late,
    # and may be left out once it is gone. A seat stays for the whole episode, and goes through three phases,
    # forward only: *unborn* (a blank observation), *alive*, *over*.
    #
    # A flag counts in the first frame that it is given in, and then for good: what the environment says of a
    # seat that was over changes nothing any more, whether it repeats the flag or takes it back. So a seat is
    # over by one of the two flags, or by both if they came together, and an outcome's flags never go back.
    #
    # An agent that took part in this step (it has a reward), does not live after it and got no flag has been
    # dropped by the environment: its seat is truncated, or its player would wait for ever. The
    # reward is what sets it apart from an unborn one. ``reset`` hands in no rewards: nobody is dropped by it.
    #
    # The episode ends when every seat is over, or when nobody lives: then the unborn will never be born, for
    # an environment without agents is not stepped.
    #
    # Observations are copied twice, on their way into the progress and out of it: a snapshot shares the
    # progress, and a user may write into what they got.

    def _outcome(
        self,
        observations: Mapping[Any, Any],
        rewards: Mapping[Any, Any],
        terminations: Mapping[Any, Any],
        truncations: Mapping[Any, Any],
        infos: Mapping[Any, Any],
    ) -> Outcome:
        before = self.progress
        alive = set(self.env.agents)
        rows = []
        for index, seat in enumerate(self.seats):
            was_over = before.terminations[index] or before.truncations[index]
            if was_over:
                observation, reward, info = None, 0.0, {}
                by_end, by_limit = before.terminations[index], before.truncations[index]
            else:
                observation, reward = observations.get(seat), float(rewards.get(seat, 0.0))
                info = fresh(dict(infos.get(seat) or {}))
                by_end, by_limit = bool(terminations.get(seat, False)), bool(truncations.get(seat, False))
                dropped = seat in rewards and seat not in alive
                by_limit = by_limit or (dropped and not by_end)
            observation = before.last_observations[index] if observation is None else fresh(observation)
            rows.append((observation, reward, by_end, by_limit, info))
        seen, rewarded, terminated, truncated, informed = zip(*rows, strict=True)
        self.progress = _Progress(terminated, truncated, seen)
        over = all(map(operator.or_, terminated, truncated))
        shown = tuple(map(fresh, seen))
        return Outcome(shown, rewarded, terminated, truncated, informed, ended=over or not alive)

    def _unborn(self) -> _Progress:
        nobody = (False,) * len(self.seats)
        blank = tuple(_blank(self.observation_space(seat)) for seat in self.seats)
        return _Progress(nobody, nobody, blank)


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


def _observation_spaces(env: Any, agents: tuple[SeatId, ...]) -> dict[SeatId, gymnasium.Space[Any]]:
    try:
        return {agent: env.observation_space(agent) for agent in agents}
    except (AttributeError, NotImplementedError, KeyError):
        _log.warning(
            "%s declares no observation spaces; taking them from its first observations",
            type(env.unwrapped).__name__,
        )
    observations, _ = env.reset(seed=0)
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


def _blank(space: gymnasium.Space[Any]) -> Any:
    """Return what a seat sees whose agent has not appeared yet."""
    try:
        return encoding_of(space).default()
    except UnsupportedSpace:
        return None
