"""How what a record has grows, and how that is written down: what is new since a mark, and adding it again.

Lists and mappings of a record only ever grow and other values are replaced whole (see
:mod:`gym_p2p.core.record.episode`), so that a length, or the value itself, says how far it is written down.
It knows how attributes grow; which there are is :mod:`gym_p2p.core.record.journal`'s to know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any, Protocol

import attrs
import msgspec

from gym_p2p.core.latency.delta_series import DeltaSeries
from gym_p2p.core.latency.series import SeriesGrowth
from gym_p2p.core.record.building import Decode
from gym_p2p.core.record.episode import ActorRun, Begin, EpisodeRecord, Rollback
from gym_p2p.core.record.plain import plain
from gym_p2p.core.record.totals import Totals
from gym_p2p.core.wire.seats import SeatId

__all__ = [
    "Actors",
    "Entries",
    "Episodes",
    "Inputs",
    "Links",
    "Mark",
    "Node",
    "Numbers",
    "Rollbacks",
    "Rows",
    "SeatDecode",
    "SeatTotals",
    "Series",
    "Whole",
]

Mark = dict[str, Any]
"""How far an object's attributes are written down; opaque."""


class Part(Protocol):
    """How one attribute of a record is written down."""

    def since(self, value: Any, mark: Any, decode: SeatDecode) -> tuple[Any, Any]:
        """Return what is new, ``None`` for nothing, and the next mark; the first mark is ``None``."""

    def grow(self, owner: Any, name: str, added: Any) -> None:
        """Add it to a record's attribute."""


@attrs.frozen
class SeatDecode:
    """Writes inputs as JSON's values."""

    decode: Decode
    seats: tuple[SeatId, ...]

    def __call__(self, seat: int, data: bytes) -> Any:
        """Return the action of a seat, by its index."""
        return plain(self.decode(seat, data))

    def of(self, player: SeatId, data: bytes) -> Any:
        """Return the action of a seat, by its id."""
        return self(self.seats.index(player), data)


@attrs.frozen
class Whole:
    """A value that is replaced whole."""

    type: Any

    def since(self, value: Any, mark: Any, _decode: SeatDecode) -> tuple[Any, Any]:
        """Return what is new, ``None`` for nothing, and the next mark."""
        data = [msgspec.to_builtins(value)]
        return (None, mark) if data == mark else (data, data)

    def grow(self, owner: Any, name: str, added: Any) -> None:
        """Add what is new."""
        setattr(owner, name, msgspec.convert(added[0], self.type))


@attrs.frozen
class Rows:
    """A list that only grows."""

    type: Any

    def since(self, value: list[Any], mark: int | None, _decode: SeatDecode) -> tuple[Any, Any]:
        """Return what is new, ``None`` for nothing, and the next mark."""
        fresh = value[mark or 0 :]
        return (msgspec.to_builtins(fresh) if fresh else None), (mark or 0) + len(fresh)

    def grow(self, owner: Any, name: str, added: Any) -> None:
        """Add what is new."""
        getattr(owner, name).extend(msgspec.convert(added, list[self.type]))  # type: ignore[name-defined]  # a type at run time


@attrs.frozen
class Entries:
    """A mapping that only grows."""

    key: Any
    value: Any

    def since(self, value: dict[Any, Any], mark: int | None, _decode: SeatDecode) -> tuple[Any, Any]:
        """Return what is new, ``None`` for nothing, and the next mark."""
        fresh = list(islice(value.copy().items(), mark or 0, None))
        return (msgspec.to_builtins(fresh) if fresh else None), (mark or 0) + len(fresh)

    def grow(self, owner: Any, name: str, added: Any) -> None:
        """Add what is new."""
        getattr(owner, name).update(msgspec.convert(added, list[tuple[self.key, self.value]]))  # type: ignore[name-defined]  # types at run time


class Rollbacks:
    """Corrections, whose inputs are written as actions."""

    def since(self, value: list[Rollback], mark: int | None, decode: SeatDecode) -> tuple[Any, Any]:
        """Return what is new, ``None`` for nothing, and the next mark."""
        fresh = value[mark or 0 :]
        rows = [
            [
                *(event.frame, event.current_frame, event.player),
                *(decode.of(event.player, event.predicted), decode.of(event.player, event.actual)),
                event.timestamp_ms,
            ]
            for event in fresh
        ]
        return rows or None, (mark or 0) + len(fresh)

    def grow(self, owner: Any, name: str, added: Any) -> None:
        """Add what is new."""
        rows = msgspec.convert(added, list[tuple[int, int, SeatId, Any, Any, int]])
        getattr(owner, name).extend(
            Rollback(frame, current, player, _input(predicted), _input(actual), at_ms)
            for frame, current, player, predicted, actual, at_ms in rows
        )


class Inputs:
    """Every seat's inputs: the different actions among the new ones, and for each frame which of them."""

    def since(self, value: tuple[list[bytes], ...], mark: int | None, decode: SeatDecode) -> tuple[Any, Any]:
        """Return what is new, ``None`` for nothing, and the next mark."""
        begin, end = mark or 0, len(value[-1])
        seats = [_indexed(inputs[begin:end], seat, decode) for seat, inputs in enumerate(value)]
        return (seats if begin < end else None), end

    def grow(self, owner: Any, name: str, added: Any) -> None:
        """Add what is new."""
        for inputs, (actions, which) in zip(
            getattr(owner, name), msgspec.convert(added, list[tuple[list[Any], list[int]]]), strict=True
        ):
            texts = [_input(action) for action in actions]
            inputs.extend([texts[index] for index in which])


class Actors:
    """Who acted for whom; few, as long as nobody is gone."""

    def since(
        self, value: dict[int, list[ActorRun]], mark: Any, _decode: SeatDecode
    ) -> tuple[list[Any] | None, Any]:
        """Return what is new, ``None`` for nothing, and the next mark."""
        data = [[seat, [list(run) for run in runs.copy()]] for seat, runs in value.copy().items()]
        return (None, mark) if data == (mark or []) else (data, data)

    def grow(self, owner: Any, name: str, added: Any) -> None:
        """Add what is new."""
        setattr(owner, name, dict(msgspec.convert(added, list[tuple[int, list[ActorRun]]])))


_Numbers = dict[str, int | float | None]
_WRITTEN_TOTALS = tuple[int, list[float | None], list[int], list[_Numbers], list[bool], str | None]


class SeatTotals:
    """What an episode has come to. JSON has no number that is not finite: here ``null`` is one."""

    def since(self, value: Totals, mark: Any, _decode: SeatDecode) -> tuple[Any, Any]:
        """Return what is new, ``None`` for nothing, and the next mark."""
        data = plain(value.reduced())
        return (None, mark) if data == mark or not value.frames else (data, data)

    def grow(self, owner: Any, name: str, added: Any) -> None:
        """Add what is new."""
        frames, returns, lengths, infos, over, ended_by = msgspec.convert(added, _WRITTEN_TOTALS)
        told = [{key: _number(value) for key, value in info.items()} for info in infos]
        totals = Totals(
            frames, tuple(map(_number, returns)), tuple(lengths), tuple(told), tuple(over), ended_by
        )
        setattr(owner, name, totals)


class Numbers:
    """A row of whole numbers: when frames were played, or became final, or which were guessed wrong."""

    def since(self, value: DeltaSeries, mark: int | None, _decode: SeatDecode) -> tuple[Any, Any]:
        """Return what is new, ``None`` for nothing, and the next mark."""
        text, after = value.since(mark or 0)
        return text or None, after

    def grow(self, owner: Any, name: str, added: Any) -> None:
        """Add what is new."""
        getattr(owner, name).grow(msgspec.convert(added, str))


class Series:
    """The round trips of a link."""

    def since(self, value: Any, mark: tuple[int, int, int] | None, _decode: SeatDecode) -> tuple[Any, Any]:
        """Return what is new, ``None`` for nothing, and the next mark."""
        growth, after = value.since(mark or (0, 0, 0))
        return (None if growth is None else msgspec.to_builtins(growth)), after

    def grow(self, owner: Any, name: str, added: Any) -> None:
        """Add what is new."""
        getattr(owner, name).grow(msgspec.convert(added, SeriesGrowth))


@attrs.frozen
class Node:
    """Something with attributes, each written down by itself."""

    parts: Mapping[str, Part]

    def since(self, value: Any, mark: Mark | None, decode: SeatDecode) -> tuple[Any, Any]:
        """Return what is new, ``None`` for nothing, and the next mark."""
        before, after, added = mark or {}, {}, {}
        for name, part in self.parts.items():
            fresh, after[name] = part.since(getattr(value, name), before.get(name), decode)
            if fresh is not None:
                added[name] = fresh
        return added or None, after

    def grow(self, owner: Any, name: str, added: Any) -> None:
        """Add what is new."""
        self.grow_all(getattr(owner, name), added)

    def grow_all(self, owner: Any, added: Mapping[str, Any]) -> None:
        """Add what is new to an object."""
        for name, part in self.parts.items():
            if name in added:
                part.grow(owner, name, added[name])


@attrs.frozen
class Links:
    """Objects that are there from the begin on."""

    link: Node

    def since(self, value: dict[SeatId, Any], mark: Any, decode: SeatDecode) -> tuple[Any, Any]:
        """Return what is new, ``None`` for nothing, and the next mark."""
        before = mark or [None] * len(value)
        both = [self.link.since(link, at, decode) for link, at in zip(value.values(), before, strict=True)]
        fresh = [added for added, _ in both]
        return (fresh if any(fresh) else None), [after for _, after in both]

    def grow(self, owner: Any, name: str, added: Any) -> None:
        """Add what is new."""
        for link, fresh in zip(getattr(owner, name).values(), added, strict=True):
            self.link.grow_all(link, fresh or {})


@attrs.frozen
class Episodes:
    """Objects that come one after the other; those that have ended may still learn something."""

    episode: Node

    def since(
        self, value: list[EpisodeRecord], mark: dict[int, tuple[Any, Any]] | None, decode: SeatDecode
    ) -> tuple[Any, Any]:
        """Return what is new, ``None`` for nothing, and the next mark."""
        before, after, added = mark or {}, dict(mark or {}), []
        for index, episode in enumerate(value.copy()):
            extent, (known_extent, known) = episode.extent, before.get(index, (None, None))
            if extent == known_extent and episode.ended_ms is not None:
                continue  # there may be thousands that are over and have nothing new
            fresh, known = self.episode.since(episode, known, decode)
            after[index] = extent, known
            if fresh is not None or index not in before:
                added.append([index, episode.called, msgspec.to_builtins(episode.begin), fresh or {}])
        return added or None, after

    def grow(self, owner: Any, name: str, added: Any) -> None:
        """Add what is new."""
        rows = msgspec.convert(added, list[tuple[int, int, Begin, dict[str, Any]]])
        for index, called, begin, fresh in rows:
            episodes = getattr(owner, name)
            if index == len(episodes):
                owner.begin_episode(begin, number=called)
            self.episode.grow_all(episodes[index], fresh)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _input(action: Any) -> bytes:
    return msgspec.json.encode(action)


def _indexed(inputs: list[bytes], seat: int, decode: SeatDecode) -> tuple[list[Any], list[int]]:
    """Return the different actions among inputs, and for each input which of them it is."""
    which = {data: index for index, data in enumerate(dict.fromkeys(inputs))}
    return [decode(seat, data) for data in which], [which[data] for data in inputs]
