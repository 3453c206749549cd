"""The actions of one match: every player's account of them, laid over the others'."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs
import msgspec
import numpy as np

from gym_p2p.study.problems import Problems, plural
from gym_p2p.study.reading import document_parts as parts
from gym_p2p.study.reading.accounts import Account, Names
from gym_p2p.study.reading.documents import Document

__all__ = ["MAX_NUMBER", "ActionRows", "Compared", "agreed_actions"]

_COLUMNS = ("episode", "frame", "seat", "action")
MAX_NUMBER = 2**31
"""Of a frame: a year at 60 a second."""


@attrs.define(eq=False)
class ActionRows:
    """Actions as columns, ordered by episode, frame and seat.

    Attributes:
        episode: numbers from 1 on.
        frame: numbers from 0 on.
        seat: an index into ``seats``.
        action: an index into ``actions``.
        seats: the seats' ids as texts.
        actions: JSON.
    """

    episode: np.ndarray
    frame: np.ndarray
    seat: np.ndarray
    action: np.ndarray
    seats: list[str]
    actions: list[str]
    _keys: np.ndarray | None = attrs.field(default=None, init=False)

    def __len__(self) -> int:
        return len(self.frame)

    def place(self, episode: int, frame: int, seat: int) -> int | None:
        """Return which row this is; ``None`` if there is none."""
        seats = max(1, len(self.seats))
        wanted = (episode * MAX_NUMBER + frame) * seats + seat
        if self._keys is None:
            self._keys = (self.episode * MAX_NUMBER + self.frame) * seats + self.seat
        row = int(np.searchsorted(self._keys, wanted))
        return row if row < len(self) and self._keys[row] == wanted else None

    def of_episodes(self) -> list[tuple[int, slice]]:
        """Return every episode and where its rows are."""
        numbers, starts = np.unique(self.episode, return_index=True)
        ends = [*starts[1:].tolist(), len(self.episode)][: len(numbers)]
        places = zip(numbers.tolist(), starts.tolist(), ends, strict=True)
        return [(number, slice(start, end)) for number, start, end in places]


@attrs.define(eq=False)
class Compared:
    """What came of comparing what two players have of the same."""

    compared: int = 0
    mismatches: int = 0


def agreed_actions(
    accounts: Sequence[Account], names: Names, problems: Problems
) -> tuple[ActionRows, Compared]:
    """Return the actions of a match; where accounts differ, those of the one that has the most.

    What only some of them have is taken from those.
    """
    vocabulary = _Vocabulary(names)
    reader = _Reader(vocabulary)
    read = [(account, reader.read(account)) for account in accounts]
    read.sort(key=lambda pair: -len(pair[1]))
    compared = Compared()
    if not read:
        return _rows(_Actions.none(), vocabulary), compared
    base = read[0][1]
    for account, other in read[1:]:
        base = _Laying(vocabulary, compared, problems).over(base, other, account.player)
    return _rows(base, vocabulary), compared


@attrs.define(eq=False)
class _Vocabulary:
    """Seats and actions by number: a million rows hold few different ones."""

    names: Names
    seats: dict[int | str, int] = attrs.field(factory=dict)
    actions: dict[bytes, int] = attrs.field(factory=dict)


@attrs.define(eq=False)
class _Actions:
    episode: np.ndarray
    frame: np.ndarray
    seat: np.ndarray
    action: np.ndarray

    @classmethod
    def none(cls) -> _Actions:
        empty = np.zeros(0, np.int64)
        return cls(empty, empty, empty, empty)

    def __len__(self) -> int:
        return len(self.frame)

    def keys(self, seats: int) -> np.ndarray:
        """Return a number for each row that grows with episode, frame and seat."""
        keys: np.ndarray = (self.episode * MAX_NUMBER + self.frame) * seats + self.seat
        return keys


@attrs.define(eq=False)
class _Reader:
    """Reads accounts of actions. What is written alike to the last byte, as it mostly is, is read once."""

    _vocabulary: _Vocabulary
    _written: bytes = attrs.field(default=b"", init=False)
    _found: _Actions = attrs.field(factory=_Actions.none, init=False)

    def read(self, account: Account) -> _Actions:
        """Return the actions as one player has them, in order; the same object for the same bytes."""
        document = account.multiplayer
        if document is None:
            return _Actions.none()
        written = document.written("all_actions")
        if written != self._written:
            left_out = document.left_out
            found = _read(document, self._vocabulary)
            if document.left_out > left_out:  # each document of these bytes says so by itself
                return found
            self._written, self._found = written, found
        return self._found


def _read(document: Document, vocabulary: _Vocabulary) -> _Actions:
    rows: list[parts.Action] = document.validation("all_actions", list[parts.Action])
    if not rows:
        return _Actions.none()
    seat = _numbered([row.player_id for row in rows], vocabulary.seats)
    action = _numbered_actions([row.action for row in rows], vocabulary.actions)
    try:
        episode = np.array([row.episode for row in rows], np.int64)
        frame = np.array([row.frame for row in rows], np.int64)
    except OverflowError:
        document.leave_out("validation.allActions", "a number beyond 64 bits")
        return _Actions.none()
    found = _Actions(episode, frame, seat, action)
    good = (episode > 0) & (episode < 2**20) & (frame >= 0) & (frame < MAX_NUMBER)
    if not good.all():
        document.leave_out("validation.allActions", "rows of no episode or frame")
        found = _taken(found, good)
    return _ordered(found, len(vocabulary.seats))


def _numbered(values: Sequence[Any], known: dict[Any, int]) -> np.ndarray:
    for value in dict.fromkeys(values):
        known.setdefault(value, len(known))
    return np.fromiter(map(known.__getitem__, values), np.int64, len(values))


def _numbered_actions(values: Sequence[Any], known: dict[bytes, int]) -> np.ndarray:
    """Return each action's number; ``1``, ``1.0`` and ``true`` are different ones, unlike Python's."""
    if set(map(type, values)) <= {int}:
        numbers = {value: known.setdefault(_encoded(value), len(known)) for value in dict.fromkeys(values)}
        return np.fromiter(map(numbers.__getitem__, values), np.int64, len(values))
    return _numbered(list(map(_encoded, values)), known)


def _encoded(value: Any) -> bytes:
    """Return an action's JSON in one way of writing it."""
    try:
        return msgspec.json.encode(value, order="deterministic")
    except (OverflowError, ValueError):  # a number beyond 64 bits
        return json.dumps(value).encode()


def _taken(actions: _Actions, which: np.ndarray) -> _Actions:
    return _Actions(*(getattr(actions, name)[which] for name in _COLUMNS))


def _ordered(actions: _Actions, seats: int) -> _Actions:
    """Put the rows into order, each once: they are, unless somebody else wrote the file."""
    keys = actions.keys(seats)
    if (np.diff(keys) > 0).all():
        return actions
    _, first = np.unique(keys, return_index=True)
    return _taken(actions, first)


@attrs.define(eq=False)
class _Laying:
    """Lays one account of the actions over another, and counts."""

    vocabulary: _Vocabulary
    compared: Compared
    problems: Problems

    def over(self, base: _Actions, other: _Actions, player: str) -> _Actions:
        """Return the base with what only the other has; say where they differ."""
        if other is base:  # of the same bytes
            self.compared.compared += len(base)
            return base
        seats = len(self.vocabulary.seats)
        keys, others = base.keys(seats), other.keys(seats)
        place = np.searchsorted(keys, others)
        inside = place < len(keys)
        inside[inside] = keys[place[inside]] == others[inside]
        self.compared.compared += int(inside.sum())
        self._compare(base.action[place[inside]], _taken(other, inside), player)
        if inside.all():
            return base
        more = _taken(other, ~inside)
        joined = _Actions(*(np.concatenate([getattr(base, n), getattr(more, n)]) for n in _COLUMNS))
        return _taken(joined, np.argsort(joined.keys(seats), kind="stable"))

    def _compare(self, here: np.ndarray, other: _Actions, player: str) -> None:
        unlike = np.flatnonzero(here != other.action).tolist()
        if not unlike:
            return
        texts = list(self.vocabulary.actions)
        values = list(map(json.loads, texts))  # who writes 1.0 means the same as who writes 1
        differ = [row for row in unlike if values[here[row]] != values[other.action[row]]]
        self.compared.mismatches += len(differ)
        if differ:
            row = differ[0]
            seat = self.vocabulary.names(list(self.vocabulary.seats)[int(other.seat[row])])
            where = f"episode {other.episode[row]}, frame {other.frame[row]}, seat {seat}"
            self.problems.add(
                "disagreement",
                f"{plural(len(differ), 'action')} unlike the other documents', the first: {where}: "
                f"{texts[other.action[row]].decode()} instead of {texts[here[row]].decode()}",
                player=player,
            )


def _rows(actions: _Actions, vocabulary: _Vocabulary) -> ActionRows:
    return ActionRows(
        actions.episode,
        actions.frame,
        actions.seat,
        actions.action,
        [vocabulary.names(seat) for seat in vocabulary.seats],
        [text.decode() for text in vocabulary.actions],
    )
