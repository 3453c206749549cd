"""Gymnasium environments as games: several seats that act jointly, or one that acts and others that watch.

Knows how Gymnasium environments for several players lay out what they return.
"""

from __future__ import annotations

import abc
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import UnsupportedEnvironment
from gym_p2p.game.env.game import Game
from gym_p2p.game.outcome import Outcome, fresh

__all__ = ["JointGame", "SingleGame"]


class _GymnasiumGame(Game):
    """What both share: what the environment returns is every seat's."""

    env: gymnasium.Env[Any, Any]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Outcome:
        """Begin an episode; see :class:`Game`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._outcome(observation, (0.0,) * len(self.seats), (False, False), info)

    def step(self, actions: Sequence[Any]) -> Outcome:
        """Advance one frame; see :class:`Game`."""
        observation, reward, terminated, truncated, info = self.env.step(self._joint(actions))
        return self._outcome(observation, self._rewards(reward, info), (terminated, truncated), info)

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

    @abc.abstractmethod
    def _joint(self, actions: Sequence[Any]) -> Any:
        """Return the environment's action."""

    def _observations(self, observation: Any) -> tuple[Any, ...]:
        return self._for_all(observation)

    def _infos(self, info: dict[Any, Any]) -> tuple[dict[Any, Any], ...]:
        return self._for_all(info)

    def _for_all(self, value: Any) -> tuple[Any, ...]:
        return tuple([fresh(value) for _ in self.seats])

    def _rewards(self, reward: Any, _info: dict[Any, Any]) -> tuple[float, ...]:
        return (float(reward),) * len(self.seats)

    def _flags(self, value: Any) -> tuple[bool, ...]:
        return (bool(value),) * len(self.seats)


class JointGame(_GymnasiumGame):
    """A ``gymnasium.Env`` whose action is one part for each seat.

    What the environment returns is split by these rules:

    * Observation: where the observation space is a ``Dict`` over the seats, or a ``Tuple`` of as many parts,
      each seat gets its part; else all get the whole.
    * Reward: a sequence, an array or a mapping by seat is split. A single number is every seat's, unless
      ``info["rewards"]`` maps every seat, and only seats, to its own (Gymnasium asks for a single number).
    * Ends: a single flag is every seat's; a sequence or mapping is split.
    * Info: where it maps every seat, and only seats, to a dict, each gets its own; else all get the whole.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], default_actions: Any) -> None:
        parts = _action_parts(env.action_space)
        watched = _observation_parts(env.observation_space, tuple(parts))
        self._seat_set = frozenset(parts)
        self._split_observation = watched is not None
        self._joint_space = env.action_space
        whole = env.observation_space
        super().__init__(
            env, {s: (p, watched[s] if watched else whole) for s, p in parts.items()}, default_actions
        )

    def _joint(self, actions: Sequence[Any]) -> Any:
        space = self._joint_space
        if isinstance(space, spaces.Dict):
            return dict(zip(self.seats, actions, strict=True))
        if isinstance(space, spaces.Tuple):
            return tuple(actions)
        return np.array(actions, dtype=space.dtype)

    def _observations(self, observation: Any) -> tuple[Any, ...]:
        if self._split_observation:
            return tuple([fresh(observation[seat]) for seat in self.seats])
        return self._for_all(observation)

    def _infos(self, info: dict[Any, Any]) -> tuple[dict[Any, Any], ...]:
        if info and info.keys() == self._seat_set and all(isinstance(i, dict) for i in info.values()):
            return tuple([fresh(info[seat]) for seat in self.seats])
        return self._for_all(info)

    def _rewards(self, reward: Any, info: dict[Any, Any]) -> tuple[float, ...]:
        own_rewards = info.get("rewards")
        if isinstance(own_rewards, dict) and own_rewards.keys() == self._seat_set:
            reward = own_rewards  # wider than Gymnasium's contract, as in LBF
        if type(reward) is float:
            return (reward,) * len(self.seats)
        return tuple(map(float, self._per_seat(reward)))

    def _per_seat(self, value: Any) -> Sequence[Any]:
        if isinstance(value, dict):
            return [value[seat] for seat in self.seats]
        if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim):
            if len(value) != len(self.seats):
                raise UnsupportedEnvironment(
                    f"the environment returned {len(value)} parts for {len(self.seats)} seats: {value!r}"
                )
            return value  # type: ignore[return-value]  # an array is a sequence here
        return [value] * len(self.seats)

    def _flags(self, value: Any) -> tuple[bool, ...]:
        if value is False or value is True:
            return (value,) * len(self.seats)
        return tuple(map(bool, self._per_seat(value)))


def _action_parts(space: gymnasium.Space[Any]) -> dict[SeatId, gymnasium.Space[Any]]:
    if isinstance(space, spaces.Dict):
        return dict(space.spaces.items())
    if isinstance(space, spaces.Tuple):
        return dict(enumerate(space.spaces))
    if isinstance(space, spaces.MultiDiscrete):
        return {i: space[i] for i in range(space.shape[0])}
    if isinstance(space, spaces.MultiBinary):
        count, *rest = space.shape
        return {i: spaces.MultiBinary(rest) if rest else spaces.Discrete(2) for i in range(count)}
    raise UnsupportedEnvironment(f"a {type(space).__name__} action space has no parts")


def _observation_parts(
    space: gymnasium.Space[Any], seats: tuple[SeatId, ...]
) -> dict[SeatId, gymnasium.Space[Any]] | None:
    if isinstance(space, spaces.Dict) and space.spaces.keys() == set(seats):
        return dict(space.spaces.items())
    if isinstance(space, spaces.Tuple) and seats == tuple(range(len(space.spaces))):
        return dict(enumerate(space.spaces))
    return None


class SingleGame(_GymnasiumGame):
    """A single-agent ``gymnasium.Env``: the seat ``"player"`` acts, the others watch the same episode."""

    def __init__(self, env: gymnasium.Env[Any, Any], watchers: int, default_actions: Any) -> None:
        seen = env.observation_space
        nothing_to_do = spaces.Discrete(1)
        table: dict[SeatId, tuple[gymnasium.Space[Any], gymnasium.Space[Any]]] = {
            "player": (env.action_space, seen)
        }
        table |= {f"watcher_{n}": (nothing_to_do, seen) for n in range(1, watchers + 1)}
        if default_actions is not None and not isinstance(default_actions, Mapping):
            default_actions = {"player": default_actions}
        super().__init__(env, table, default_actions)

    def _joint(self, actions: Sequence[Any]) -> Any:
        return actions[0]
