"""What an episode has come to by its newest confirmed frame: for every seat, and of nothing that was a guess.

It knows rewards, ends and infos as numbers, truth values and mappings; it refuses to know environments.
"""

from __future__ import annotations

import numbers
from collections.abc import Collection, Iterator, Mapping, Sequence
from operator import add
from typing import Any, NamedTuple

from gym_p2p.core.record.plain import plain

__all__ = ["Totals", "numbers_in"]

_ONE_MORE = (1).__add__

_MAX_DEPTH = 8
"""Infos are flat, or nearly so; below this nobody looks for a number."""


class Totals(NamedTuple):
    """What an episode has come to, by seat in their order; a value, so that it can be read while it grows.

    A named tuple, for one is made for every frame.

    Attributes:
        frames: how many are confirmed.
        returns: the rewards, added up in the order of frames.
        lengths: frames in which the seat took part: from when its agent appeared up to its end.
        infos: what the environment said of the seat last, while the seat took part.
        over: whether the seat has ended.
        ended_by: how the seats ended that ended last: ``terminated`` if one of them did; ``None`` before.
    """

    frames: int
    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    infos: tuple[Mapping[Any, Any], ...]
    over: tuple[bool, ...]
    ended_by: str | None = None

    @classmethod
    def of(cls, seats: int) -> Totals:
        """Return what an episode is before its first frame."""
        return cls(0, (0.0,) * seats, (0,) * seats, ({},) * seats, (False,) * seats)

    def after(
        self,
        rewards: Sequence[float],
        terminations: Sequence[bool],
        truncations: Sequence[bool],
        infos: Sequence[Mapping[Any, Any]],
        unborn: Collection[int] = (),
    ) -> Totals:
        """Return what it is after one more frame; everything in the order of seats.

        Args:
            rewards: of the frame.
            terminations: whether the seat has terminated by now.
            truncations: whether it was truncated by now.
            infos: kept as they are.
            unborn: the seats, by index, whose agent has not appeared.
        """
        returns = tuple(map(add, self.returns, rewards))
        ends = any(terminations) or any(truncations)
        if not (ends or unborn):  # nearly every frame
            lengths = tuple(map(_ONE_MORE, self.lengths))
            # As Totals(...) does it, which is two calls of Python.
            return tuple.__new__(Totals, (self.frames + 1, returns, lengths, tuple(infos), self.over, None))
        takes_part = [not over and seat not in unborn for seat, over in enumerate(self.over)]
        over = tuple(map(bool, map(max, terminations, truncations)))
        ended_by = self.ended_by
        if over != self.over:
            new = [seat for seat, was in enumerate(self.over) if over[seat] and not was]
            ended_by = "terminated" if any(terminations[seat] for seat in new) else "truncated"
        return Totals(
            self.frames + 1,
            returns,
            tuple(map(add, self.lengths, takes_part)),
            tuple([infos[seat] if takes else self.infos[seat] for seat, takes in enumerate(takes_part)]),
            over,
            ended_by,
        )

    def reduced(self) -> Totals:
        """Return the same with JSON-ready infos: their numbers alone, which is what documents hold."""
        return self._replace(infos=tuple([numbers_in(info) for info in self.infos]))


def numbers_in(info: Mapping[Any, Any]) -> dict[str, int | float | None]:
    """Return what of an info is a number, by key; keys within keys are joined by dots.

    Truth values are 0 or 1, and a number that is not finite is ``None``. What is no number, or more than one
    (an array), is left out.
    """
    return dict(_numbers(info, "", 0))


def _numbers(info: Mapping[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, int | float | None]]:
    for key, value in info.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and depth < _MAX_DEPTH:
            yield from _numbers(value, f"{name}.", depth + 1)
            continue
        single = value.item() if getattr(value, "shape", None) == () else value
        if isinstance(single, bool):
            yield name, int(single)
        elif isinstance(single, numbers.Real):
            yield name, plain(single)
