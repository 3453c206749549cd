"""What stays of handed-over data from frame to frame: which keys it has, and where something is in it.

An environment that saves itself hands over the same keys at every frame, with other numbers behind them. Its
rows (:mod:`gym_p2p.game.state.rows`) are then those of the frame before, but for the values. So the first
walk leaves an outline: the rows without the values, and how to get at these. Whatever does not fit it is
walked. Refuses to know what the rows mean: it takes them from a walk, and gives them back with other values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gym_p2p.game.state.compared import PLAIN
from gym_p2p.game.state.layouts import MOST_KEYS, items_layout

__all__ = ["leave_outline", "rows_by_outline"]

_MOST_KEPT = 64
"""Outlines, before all of them are forgotten."""

_MOST_PLACES = 64
"""Of one outline; what has more in it is walked."""

_MOST_ATTEMPTS = 8
"""What has not kept the outline that it had is given another one, so often."""

_CONTAINERS = frozenset({dict, list, tuple})

_are_plain = PLAIN.issuperset
_are_texts = frozenset({str}).issuperset


class _Place:
    """One container, and its row without the values.

    Attributes:
        keys: of a dict, in their order; ``None`` of a list or tuple.
        pick: returns the values in the row's order.
        holes: the positions of the containers in it, in the row.
        row: what is in it before the values, and behind them.
    """

    __slots__ = ("holes", "keys", "kind", "pick", "row")

    def __init__(self, node: Any, row: Sequence[Any], holes: tuple[int, ...]) -> None:
        kind, what, _, others = row
        self.kind = type(node)
        self.keys = tuple(node) if self.kind is dict else None
        self.pick: Callable[[Any], Iterable[Any]]
        self.pick = list if self.keys is None else items_layout(dict, node).pick
        self.row = kind, what, others
        self.holes = holes


class _Outline:
    """The places of some data, in the order in which a walk comes by; ``None``: it has no outline.

    Attributes:
        attempt: which one it is for data of this kind, from 1.
    """

    __slots__ = ("_first_row", "_places", "attempt")

    def __init__(self, first_row: Any, places: Sequence[_Place] | None, attempt: int) -> None:
        self._first_row = first_row
        self._places = places
        self.attempt = attempt

    def rows(self, value: Any) -> list[Any] | None:
        """Return the rows of data that fits; ``None`` for other data, and where an address may be in it."""
        if self._places is None:
            return None
        nodes, rows = [value], [self._first_row]
        written: list[Any] = []
        for node, place in zip(nodes, self._places, strict=True):  # the first of which grows
            if type(node) is not place.kind:
                return None
            keys, holes = place.keys, place.holes
            if keys is not None and not (tuple(node) == keys and _are_texts(map(type, node))):
                return None
            values = [*place.pick(node)]
            if holes:
                if len(values) <= holes[-1]:
                    return None
                for at in holes:
                    nodes.append(values[at])
                    values[at] = None
            if not _are_plain(map(type, values)):
                return None
            kind, what, others = place.row
            rows.append((kind, what, values, others))
            written += values
        return rows if {*map(id, nodes)}.isdisjoint(written) else None


_outlines: dict[Any, _Outline] = {}


def _key(name: str, value: Any) -> Any:
    """Return by what an outline is found; ``None`` for what has none."""
    kind = type(value)
    if kind is dict:
        return (name, kind, *value) if len(value) <= MOST_KEYS else None
    return (name, kind) if kind in _CONTAINERS else None


def rows_by_outline(name: str, value: Any) -> list[Any] | None:
    """Return the rows of what was handed over under this name, if it has an outline that is known."""
    outline = _outlines.get(_key(name, value))
    return None if outline is None else outline.rows(value)


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
    _outlines[key] = _Outline(rows[0], places, _MOST_ATTEMPTS if places is None else attempt)


def _places(value: Any, rows: Sequence[Any]) -> list[_Place] | None:
    """Return the places of some data whose rows these are; ``None`` where there is more in it than fits."""
    if len(rows) > _MOST_PLACES:
        return None
    nodes, places = [value], list[_Place]()
    for node, row in zip(nodes, rows, strict=False):
        if type(node) not in _CONTAINERS:
            return None
        if type(node) is dict and (len(node) > MOST_KEYS or not _are_texts(map(type, node))):
            return None
        others = row[-1]
        place = _Place(node, row, tuple(others[::2]))
        values = [*place.pick(node)]
        inside = [values[at] for at in place.holes]
        for at in place.holes:
            values[at] = None
        # What a word stands for leaves no trace in the row but in its head, which is another one with it.
        if not _are_plain(map(type, values)):
            return None
        # A number that is not the next one is that of a container which this one is inside of.
        if list(others[1::2]) != list(range(len(nodes), len(nodes) + len(inside))):
            return None
        nodes += inside
        places.append(place)
    return places if len(places) == len(nodes) == len(rows) else None
