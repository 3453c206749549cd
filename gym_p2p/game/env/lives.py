"""What has become of each agent of an environment that speaks in mappings over agents.

The same for PettingZoo's parallel environments and for Gymnasium environments whose mappings hold only who
acts (RLlib's form). Knows the phases of a seat; refuses to know how the environment is stepped.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from itertools import repeat
from operator import is_not
from typing import Any

import gymnasium
import msgspec
import numpy as np

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.game.env.returned import flag, reward
from gym_p2p.game.outcome import Outcome, fresh
from gym_p2p.game.spaces.composites import encoding_of
from gym_p2p.game.spaces.leaves import UnsupportedSpace

__all__ = ["Lives", "Returned", "copy_of_info"]

_NOBODY: frozenset[int] = frozenset()


class Returned(msgspec.Struct, frozen=True):
    """What a step returned, or a reset (which gives no rewards and no flags), by agent."""

    observations: Mapping[Any, Any]
    rewards: Mapping[Any, Any]
    terminations: Mapping[Any, Any]
    truncations: Mapping[Any, Any]
    infos: Mapping[Any, Any]


# An agent may appear late, and may be left out once it is gone. A seat stays for the whole episode, and goes
# through three phases, forward only: *unborn* (a blank observation), *alive*, *over*.
#
# A flag counts in the first frame that it is given in, and then for good: what the environment says of a
# seat that was over changes nothing any more, whether it repeats the flag or takes it back. So a seat is
# over by one of the two flags, or by both if they came together, and an outcome's flags never go back.
#
# An agent that took part in this step (it has a reward), does not live after it and got no flag has been
# dropped by the environment: its seat is truncated, or its player would wait for ever. The
# reward is what sets it apart from an unborn one. A reset hands in no rewards: nobody is dropped by it.
#
# The episode ends when every seat is over, or when nobody lives: then the unborn will never be born, for
# an environment without agents is not stepped.
#
# Observations are copied on their way into this value, which the outcome and snapshots share: whoever might
# write into them gets copies of their own (:class:`~gym_p2p.game.outcome.Outcome`).


class Lives(msgspec.Struct, frozen=True, gc=False):
    """What has become of each seat, in seat order: what a game of agents remembers.

    Attributes:
        last_observations: given again to seats whose agent is gone, or says nothing now.
        born: whether the seat's agent has appeared.
        acting: who is to act next; ``None`` for everybody who lives.
    """

    terminations: tuple[bool, ...]
    truncations: tuple[bool, ...]
    last_observations: tuple[Any, ...]
    born: tuple[bool, ...]
    acting: frozenset[SeatId] | None = None

    @classmethod
    def unborn(cls, seats: Sequence[SeatId], observed: Mapping[SeatId, gymnasium.Space[Any]]) -> Lives:
        """Return what is before a reset."""
        nobody = (False,) * len(seats)
        return cls(nobody, nobody, tuple(_blank(observed[seat]) for seat in seats), nobody)

    def after(
        self,
        seats: Sequence[SeatId],
        returned: Returned,
        alive: frozenset[SeatId],
        *,
        appeared: frozenset[SeatId],
    ) -> tuple[Lives, Outcome]:
        """Return what has become of them, and the outcome, after a step or a reset.

        Args:
            seats: in order.
            returned: by the environment.
            alive: who lives now.
            appeared: whose agent is there now, or was in this step.
        """
        usual = self._all_go_on(seats, returned, alive)
        if usual is not None:
            return usual
        rows = [self._row(index, seat, returned, alive) for index, seat in enumerate(seats)]
        seen, rewarded, terminated, truncated, informed = zip(*rows, strict=True)
        born, unborn = self.born, _NOBODY
        if not all(born):
            born = tuple([was or seat in appeared for was, seat in zip(born, seats, strict=True)])
            unborn = frozenset([index for index, is_born in enumerate(born) if not is_born])
        over = all(map(operator.or_, terminated, truncated))
        outcome = Outcome(
            observations=seen,
            rewards=rewarded,
            terminations=terminated,
            truncations=truncated,
            infos=informed,
            ended=over or not alive,
            unborn=unborn,
        )
        return Lives(terminated, truncated, seen, born), outcome

    def _all_go_on(
        self, seats: Sequence[SeatId], returned: Returned, alive: frozenset[SeatId]
    ) -> tuple[Lives, Outcome] | None:
        if len(alive) < len(seats):
            return None
        terminated, truncated = returned.terminations.get, returned.truncations.get
        for seat in seats:
            if terminated(seat) is not False or truncated(seat) is not False:
                return None
        infos = tuple(map(returned.infos.get, seats))
        if any(map(is_not, infos, repeat(infos[0]))):
            copied = tuple(map(copy_of_info, infos))
        else:
            copied = (copy_of_info(infos[0]),) * len(seats)
        return self.going_on(seats, returned.observations, returned.rewards, copied)

    def going_on(
        self,
        seats: Sequence[SeatId],
        observations: Mapping[Any, Any],
        rewards: Mapping[Any, Any],
        infos: tuple[dict[Any, Any], ...],
    ) -> tuple[Lives, Outcome] | None:
        """Return what :meth:`after` does in nearly every frame: all live, and no flag is set.

        Nearly every frame is played many times, so that this does nothing for what is not there.

        Args:
            seats: in order.
            observations: by seat.
            rewards: by seat.
            infos: in the seats' order, as :func:`copy_of_info` returns them.

        Returns:
            ``None`` if a seat is not as all others.
        """
        if True in self.terminations or True in self.truncations or False in self.born:
            return None
        copied, rewarded = [], []
        for seat in seats:
            observation, value = observations.get(seat), rewards.get(seat)
            if observation is None:
                return None
            copied.append(observation.copy() if type(observation) is np.ndarray else fresh(observation))
            rewarded.append(value if type(value) is float else reward(value, seat))
        seen = tuple(copied)
        outcome = Outcome(seen, tuple(rewarded), self.terminations, self.truncations, infos, ended=False)
        return Lives(self.terminations, self.truncations, seen, self.born), outcome

    def _row(
        self, index: int, seat: SeatId, returned: Returned, alive: frozenset[SeatId]
    ) -> tuple[Any, float, bool, bool, dict[Any, Any]]:
        if self.terminations[index] or self.truncations[index]:
            ends = self.terminations[index], self.truncations[index]
            return self.last_observations[index], 0.0, *ends, {}
        observation = returned.observations.get(seat)
        by_end = flag(returned.terminations.get(seat), seat)
        by_limit = flag(returned.truncations.get(seat), seat)
        dropped = seat not in alive and seat in returned.rewards
        return (
            self.last_observations[index] if observation is None else fresh(observation),
            reward(returned.rewards.get(seat), seat),
            by_end,
            by_limit or (dropped and not by_end),
            copy_of_info(returned.infos.get(seat)),
        )


def copy_of_info(info: Any) -> dict[Any, Any]:
    """Return a copy of what the environment says of a seat; nothing is an empty one."""
    copied: dict[Any, Any] = fresh(info if type(info) is dict else dict(info or {}))
    return copied


def _blank(space: gymnasium.Space[Any]) -> Any:
    """Return what a seat sees whose agent has not appeared yet."""
    try:
        return encoding_of(space).default()
    except UnsupportedSpace:
        return None
