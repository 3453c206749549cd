"""Gymnasium environments as games: the seats act together, and others may watch.

Knows how Gymnasium environments for several players lay out what they return.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, UnsupportedEnvironment
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.returned import ALL, after_reset, after_step, flag, reward
from gym_p2p.game.env.split import Split
from gym_p2p.game.outcome import Outcome, fresh

__all__ = ["JointGame", "by_acting_seat", "joint_spaces", "per_seat"]

_NOTHING_TO_DO = spaces.Discrete(1)


class JointGame(Game):
    """A ``gymnasium.Env`` whose action is one part for each seat that acts.

    What the environment returns is split by these rules:

    * Observation: where the observation space is a ``Tuple`` of as many parts as seats, each seat gets its
      part; else all get the whole. (A ``Dict`` over the seats: :class:`~gym_p2p.game.env.agents.AgentsGame`.)
    * Reward: a sequence, an array or a mapping by seat is split. A single number is every seat's, unless
      ``info["rewards"]`` maps every seat, and only seats, to its own (Gymnasium asks for a single number).
    * Ends: a single flag is every seat's; a sequence or mapping is split.
    * Info: where it maps every seat, and only seats, to a dict, each gets its own; else all get the whole.

    Those who watch get the whole observation and info, and the reward where it is a single number; it is over
    for them once it is over for all who act.
    """

    env: gymnasium.Env[Any, Any]

    def __init__(
        self, env: gymnasium.Env[Any, Any], split: Split, *, watchers: int, default_actions: Any
    ) -> None:
        self._acting = tuple(split.spaces)
        self._acting_set = frozenset(split.spaces)
        self._watchers = watchers
        self._join = split.join
        whole = env.observation_space
        own = _observation_parts(whole, self._acting)
        self._split_observation = own is not None
        observed = own or dict.fromkeys(self._acting, whole)
        table = joint_spaces(split, observed, whole, watchers)
        super().__init__(env, table, by_acting_seat(default_actions, self._acting))

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Outcome:
        """Begin an episode; see :class:`Game`."""
        observation, info = after_reset(self.env.reset(seed=seed, options=options))
        return self._outcome(observation, (0.0,) * len(self.seats), (False, False), info)

    def step(self, actions: Sequence[Any]) -> Outcome:
        """Advance one frame; see :class:`Game`."""
        joint = self._join(actions[: len(self._acting)])
        observation, value, terminated, truncated, info = after_step(self.env.step(joint))
        return self._outcome(observation, self._rewards(value, info), (terminated, truncated), info)

    def _outcome(
        self, observation: Any, rewards: tuple[float, ...], ends: tuple[Any, Any], info: dict[Any, Any]
    ) -> Outcome:
        terminations, truncations = self._flags(ends[0]), self._flags(ends[1])
        return Outcome(
            observations=self._observations(observation),
            rewards=rewards,
            terminations=terminations,
            truncations=truncations,
            infos=self._infos(info),
            ended=all(map(operator.or_, terminations, truncations)),
        )

    def _observations(self, observation: Any) -> tuple[Any, ...]:
        if not self._split_observation:
            return self._for_all(observation)
        own = [fresh(observation[seat]) for seat in self._acting]
        return (*own, *(fresh(observation),) * self._watchers) if self._watchers else tuple(own)

    def _infos(self, info: dict[Any, Any]) -> tuple[dict[Any, Any], ...]:
        if info and info.keys() == self._acting_set and all(isinstance(i, dict) for i in info.values()):
            own = [fresh(info[seat]) for seat in self._acting]
            return (*own, *(fresh(info),) * self._watchers) if self._watchers else tuple(own)
        return self._for_all(info)

    def _for_all(self, value: Any) -> tuple[Any, ...]:
        return (fresh(value),) * len(self.seats)

    def _rewards(self, value: Any, info: dict[Any, Any]) -> tuple[float, ...]:
        own_rewards = info.get("rewards")
        if isinstance(own_rewards, dict) and own_rewards.keys() == self._acting_set:
            value = own_rewards  # wider than Gymnasium's contract, as in LBF
        if type(value) is float:
            return (value,) * len(self.seats)
        parts = per_seat(value, self._acting)
        if parts is None:
            return (reward(value, self._acting[0]),) * len(self.seats)
        own = [reward(part, seat) for seat, part in zip(self._acting, parts, strict=True)]
        return (*own, *[0.0] * self._watchers)

    def _flags(self, value: Any) -> tuple[bool, ...]:
        if value is False or value is True:
            return (value,) * len(self.seats)
        parts = per_seat(value, self._acting)
        if parts is None:
            return (flag(value, self._acting[0]),) * len(self.seats)
        everybody = isinstance(value, Mapping) and flag(value.get(ALL), ALL)
        own = [everybody or flag(part, seat) for seat, part in zip(self._acting, parts, strict=True)]
        return (*own, *[all(own)] * self._watchers)


def per_seat(value: Any, seats: Sequence[SeatId]) -> Sequence[Any] | None:
    """Return each seat's part of a value, ``None`` for one that a mapping leaves out.

    Returns:
        ``None`` if it is one value for all, or for the only seat.

    Raises:
        UnsupportedEnvironment: it has another number of parts.
    """
    if isinstance(value, Mapping):
        return [value.get(seat) for seat in seats]
    if not (isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim)):
        return None
    if len(value) == len(seats):
        return None if len(seats) == 1 else value  # type: ignore[return-value]  # an array is a sequence here
    if np.size(value) == 1 or len(seats) == 1:
        return None
    raise UnsupportedEnvironment(
        f"the environment returned {len(value)} parts for {len(seats)} seats: {value!r}"
    )


def _watcher_seats(watchers: int, acting: Sequence[SeatId]) -> tuple[SeatId, ...]:
    """Return the ids of those who watch.

    Raises:
        ConfigurationError: the environment has a seat of that name.
    """
    names = tuple(f"watcher_{number}" for number in range(1, watchers + 1))
    taken = next((name for name in names if name in acting), None)
    if taken is not None:
        raise ConfigurationError("watchers", f"{taken!r} acts already: give that seat another name")
    return names


def joint_spaces(
    split: Split, observed: Mapping[SeatId, gymnasium.Space[Any]], whole: gymnasium.Space[Any], watchers: int
) -> dict[SeatId, tuple[gymnasium.Space[Any], gymnasium.Space[Any]]]:
    """Return every seat's spaces: of those who act, then of those who watch."""
    table = {seat: (space, observed[seat]) for seat, space in split.spaces.items()}
    return table | dict.fromkeys(_watcher_seats(watchers, tuple(table)), (_NOTHING_TO_DO, whole))


def by_acting_seat(default_actions: Any, seats: Sequence[SeatId]) -> Any:
    """Return configured default actions as those of the seats that act: who watches has none."""
    if default_actions is None or isinstance(default_actions, Mapping):
        return default_actions
    return dict.fromkeys(seats, default_actions)


def _observation_parts(
    space: gymnasium.Space[Any], seats: tuple[SeatId, ...]
) -> dict[SeatId, gymnasium.Space[Any]] | None:
    if isinstance(space, spaces.Tuple) and seats == tuple(range(len(space.spaces))):
        return dict(enumerate(space.spaces))
    return None
