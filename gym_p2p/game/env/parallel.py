"""PettingZoo parallel environments as games: a seat for each agent that may ever appear."""

from __future__ import annotations

import logging
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
        seen, rewarded, informed, terminated, truncated = [], [], [], [], []
        for index, seat in enumerate(self.seats):
            was_over = before.terminations[index] or before.truncations[index]
            by_end = before.terminations[index] or bool(terminations.get(seat, False) and not was_over)
            by_limit = before.truncations[index] or bool(truncations.get(seat, False) and not was_over)
            vanished = seat in rewards and seat not in alive and not (was_over or by_end or by_limit)
            news = observations.get(seat) if not was_over else None
            seen.append(before.last_observations[index] if news is None else fresh(news))
            rewarded.append(0.0 if was_over else float(rewards.get(seat, 0.0)))
            informed.append({} if was_over else fresh(dict(infos.get(seat) or {})))
            terminated.append(by_end)
            truncated.append(by_limit or vanished)
        self.progress = _Progress(tuple(terminated), tuple(truncated), tuple(seen))
        over = [a or b for a, b in zip(terminated, truncated, strict=True)]
        return Outcome(
            observations=tuple(map(fresh, seen)),
            rewards=tuple(rewarded),
            terminations=tuple(terminated),
            truncations=tuple(truncated),
            infos=tuple(informed),
            ended=all(over) or not alive,
        )

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
