"""What stays of handed-over data from frame to frame: which keys it has, and where something is in it.

An environment that saves itself hands over the same keys at every frame, with other numbers behind them. Its
form (:mod:`gym_p2p.game.state.digest`) is then that of the frame before, but for the values. So the first
walk leaves an outline: what lies between the values, as bytes, and how to get at these. Whatever does not
fit it is walked. Refuses to know what the rows mean: it takes them from a walk, and writes them with other
values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec

from gym_p2p.game.state.compared import PLAIN
from gym_p2p.game.state.layouts import MOST_KEYS, items_layout

__all__ = ["encoded", "form_by_outline", "leave_outline", "may_have_nan"]

_MOST_KEPT = 64
"""Outlines, before all of them are forgotten."""

_MOST_PLACES = 64
"""Of one outline; what has more in it is walked."""

_MOST_ATTEMPTS = 8
"""What has not kept the outline that it had is given another one, so often."""

_CONTAINERS = frozenset({dict, list, tuple})

_ADDRESSES = 1 << 32
"""Where objects lie but in few builds: above."""

_are_texts = frozenset({str}).issuperset

encoded = msgspec.msgpack.Encoder().encode
"""Returns MessagePack; raises OverflowError or UnicodeEncodeError for what that has no form for."""

may_have_nan = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]").search
"""Finds the beginning of every NaN in MessagePack; that of the infinities too, and others by chance."""


def _array_head(size: int) -> bytes:
    """Return what comes before the items of an array; an item that is None is one byte."""
    written = encoded([None] * size)
    return written[: len(written) - size]


class _Place:
    """One container, and its row without the values.

    Attributes:
        names: the keys of a dict, in its own order.
        size: how many are in it; ``None`` of a list or tuple of values alone, where it may be any number.
        order: the positions of what is in it, as they follow each other in the row.
        holes: those of the containers among them.
        row: what is in it before the values, and behind them.
    """

    __slots__ = ("holes", "kind", "names", "order", "row", "size")

    def __init__(self, node: Any, row: Sequence[Any]) -> None:
        kind, what, _, others = row
        self.kind = type(node)
        self.names = list(node) if self.kind is dict else []
        self.order: Sequence[int] = range(len(node))
        if self.kind is dict:
            self.order = [self.names.index(name) for name in items_layout(dict, node).names]
        self.holes = tuple([self.order[at] for at in others[::2]])
        self.size = len(node) if self.holes or self.kind is dict else None
        self.row = kind, what, others


# The form is an array of rows, and a row one of four: what is before the values, they, and what is behind
# them. Between two values lie the same bytes every time, a *piece*. So values and pieces are encoded by turns
# as one array, the head of which is no part of the form. They are picked out of one list: what is in the
# places that have a size, then the lists of any size, each as one value, and then the pieces.


class _Turns:
    """The turns of values and pieces, as positions in that list."""

    def __init__(self, first_piece: int) -> None:
        self._first_piece = first_piece
        self._piece = b""
        self._positions: list[int] = []
        self.pieces: list[msgspec.Raw] = []

    def write(self, *parts: bytes) -> None:
        """Add to the piece that the next value comes after."""
        self._piece += b"".join(parts)

    def take(self, position: int) -> None:
        """Let this value follow."""
        self._end_piece()
        self._positions.append(position)

    def end(self) -> Callable[[list[Any]], Sequence[Any]]:
        """Return what puts such a list into the order of the turns."""
        self._end_piece()
        if len(self._positions) == 1:
            return lambda found: found[-1:]
        return itemgetter(*self._positions)

    @property
    def head(self) -> int:
        """The length of what is no part of the form."""
        return len(_array_head(len(self._positions)))

    def _end_piece(self) -> None:
        if self._piece:
            self._positions.append(self._first_piece + len(self.pieces))
            self.pieces.append(msgspec.Raw(self._piece))
            self._piece = b""


class _Outline:
    """The places of some data, in the order in which a walk comes by; where there are none, nothing fits.

    Attributes:
        attempt: which one it is for data of this kind, from 1.
    """

    __slots__ = ("_arranged", "_head", "_names", "_pieces", "_steps", "attempt")

    def __init__(self, first_row: Any, places: Sequence[_Place], attempt: int) -> None:
        self._steps: list[tuple[Any, int | None, Sequence[int]]] = []
        self.attempt = attempt
        self._arrange(first_row, places)

    def _arrange(self, first_row: Any, places: Sequence[_Place]) -> None:
        begin, next_list = 0, sum([place.size or 0 for place in places])
        turns = _Turns(next_list + sum([place.size is None for place in places]))
        turns.write(_array_head(1 + len(places)), encoded(first_row))
        for place in places:
            kind, what, others = place.row
            self._steps.append((place.kind, place.size, tuple([begin + at for at in place.holes])))
            turns.write(_array_head(4), encoded(kind), encoded(what))
            if place.size is None:
                turns.take(next_list)
                next_list += 1
            else:
                turns.write(_array_head(place.size))
                for at in place.order:
                    if at in place.holes:
                        turns.write(encoded(None))
                    else:
                        turns.take(begin + at)
                begin += place.size
            turns.write(encoded(others))
        self._arranged = turns.end()
        self._head = turns.head
        self._pieces = turns.pieces
        self._names = [name for place in places for name in place.names]

    def form(self, value: Any) -> bytes | None:
        """Return the form of data that fits; ``None`` for other data, and where a careful walk is needed.

        Raises what :func:`encoded` does.
        """
        nodes: list[Any] = [value]
        names: list[Any] = []
        found: list[Any] = []
        lists: list[Any] = []
        if not self._steps:
            return None
        node: Any
        for node, (kind, size, holes) in zip(nodes, self._steps, strict=True):  # the first of which grows
            if type(node) is not kind or (size is not None and len(node) != size):
                return None
            if size is None:
                lists.append(node)
            elif kind is dict:
                names += node
                found += node.values()
            else:
                found += node
            for at in holes:
                nodes.append(found[at])
                found[at] = None
        seen = [*found, *chain(*lists)] if lists else found
        kinds = {*map(type, seen)}
        if not (names == self._names and _are_texts(map(type, names)) and kinds <= PLAIN):
            return None
        written = encoded(self._arranged([*found, *lists, *self._pieces]))[self._head :]
        if float in kinds and may_have_nan(written):
            return None
        # A whole number beyond 32 bits, as nearly every address is, is written behind this byte.
        if b"\xcf" in written or min(map(id, nodes)) < _ADDRESSES:
            return written if {*map(id, nodes)}.isdisjoint(seen) else None
        return written


_outlines: dict[Any, _Outline] = {}


def _key(name: str, value: Any) -> Any:
    """Return by what an outline is found; ``None`` for what has none."""
    kind = type(value)
    if kind is dict:
        return (name, kind, *value) if len(value) <= MOST_KEYS else None
    return (name, kind) if kind in _CONTAINERS else None


def form_by_outline(name: str, value: Any) -> bytes | None:
    """Return the form of what was handed over under this name, if it fits an outline that is known.

    Raises what :func:`encoded` does.
    """
    newest = _outlines.get(name)  # the last one that was found: it fits nearly always
    written = None if newest is None else newest.form(value)
    if written is not None:
        return written
    outline = _outlines.get(_key(name, value))
    if outline is None or outline is newest:
        return None
    _outlines[name] = outline
    return outline.form(value)


def leave_outline(name: str, value: Any, rows: Sequence[Any]) -> None:
    """Remember what of the rows that a quick walk has written of this will be the same the next time."""
    key = _key(name, value)
    if key is None:
        return
    before = _outlines.get(key)
    attempt = 1 if before is None else before.attempt + 1
    if attempt > _MOST_ATTEMPTS:
        return
    places = _places(value, rows[1:])
    if len(_outlines) >= _MOST_KEPT:
        _outlines.clear()
    _outlines[key] = _Outline(rows[0], places, attempt if places else _MOST_ATTEMPTS)


def _places(value: Any, rows: Sequence[Any]) -> Sequence[_Place]:
    """Return the places of some data whose rows these are; none where there is more in it than fits."""
    if len(rows) > _MOST_PLACES:
        return ()
    nodes, places = [value], list[_Place]()
    for node, row in zip(nodes, rows, strict=False):
        if type(node) not in _CONTAINERS:
            return ()
        if type(node) is dict and (len(node) > MOST_KEYS or not _are_texts(map(type, node))):
            return ()
        others = row[-1]
        place = _Place(node, row)
        values = [*node.values()] if place.kind is dict else [*node]
        inside = [values[at] for at in place.holes]
        for at in place.holes:
            values[at] = None
        # What a word stands for leaves no trace in the row but in its head, which is another one with it.
        if not PLAIN.issuperset(map(type, values)):
            return ()
        # A number that is not the next one is that of a container which this one is inside of.
        if list(others[1::2]) != list(range(len(nodes), len(nodes) + len(inside))):
            return ()
        nodes += inside
        places.append(place)
    return places if len(places) == len(nodes) == len(rows) else ()
