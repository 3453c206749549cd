"""In which order the attributes of objects and the items of dicts are written into a state's canonical form.

The same classes and names come up at every frame, so that what follows from them is found out once: the
order of the names, which attributes are not compared, and which values cannot be written as they are. Refuses
to know how they are written.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from gym_p2p.game.canonical import canonical_form
from gym_p2p.game.state.compared import PLAIN, class_name, hangs_on_value, is_compared
from gym_p2p.game.state.handles import is_leaf_type

__all__ = [
    "MOST_KEYS",
    "Layout",
    "Shape",
    "Sort",
    "Sorts",
    "attributes_layout",
    "items_layout",
    "sort_of",
    "sorts_in",
]

_MOST_KEPT = 1024
"""Layouts, before all of them are forgotten: those of dicts whose keys change are of no use again."""

_MOST_SHAPES = 32
"""Of one layout: where values are now of this type and now of that one, there are as many as combinations."""

MOST_KEYS = 64
"""Of a dict that has more, they may be others at every frame, and to keep them would take much memory."""


class Sort(enum.IntEnum):
    """What a value that is not plain is written as."""

    SCALAR = 1
    """One of numpy's: by its canonical form."""
    WORD = 2
    """A text stands for it."""
    NODE = 3
    """It has something in it, or may be shared."""


Sorts = tuple[tuple[int, Sort], ...]
"""Positions of the values that are not plain, and what they are."""

_SORTS: dict[type, Sort] = {}


def sort_of(kind: type) -> Sort:
    """Return what values of a type are written as that is none of the plain ones."""
    sort = _SORTS.get(kind)
    if sort is None:
        if issubclass(kind, np.generic):
            sort = Sort.SCALAR
        elif is_leaf_type(kind) and not issubclass(kind, complex):
            sort = Sort.WORD
        else:
            sort = Sort.NODE
        _SORTS[kind] = sort
    return sort


def sorts_in(values: Iterable[Any]) -> Sorts:
    """Return what is not plain among some values."""
    kinds, known = enumerate(map(type, values)), _SORTS.get
    return tuple([(index, known(kind) or sort_of(kind)) for index, kind in kinds if kind not in PLAIN])


class Shape:
    """What follows from the types of some attributes' or items' values.

    Attributes:
        kept: positions of those that are compared; ``None`` if all of them are.
        by_value: positions at which the value itself decides that.
        head: the class and the names, in their canonical form.
        sorts: what of those that are compared is not plain.
    """

    __slots__ = ("by_value", "head", "kept", "sorts")

    def __init__(
        self, kept: Sequence[int] | None, by_value: Sequence[int], head: bytes, sorts: Sorts
    ) -> None:
        self.kept = kept
        self.by_value = by_value
        self.head = head
        self.sorts = sorts


class Layout:
    """The names of an object's attributes, or the keys of a dict with no others than texts, in order.

    Attributes:
        names: in order.
        pick: returns their values.
        shapes: by the types of the values, those met so far.
    """

    __slots__ = ("_kind", "_of_attributes", "names", "pick", "shapes")

    def __init__(self, kind: type, names: Iterable[str], *, of_attributes: bool) -> None:
        self._kind = kind
        self._of_attributes = of_attributes
        self.names = names = tuple(sorted(names))
        self.pick: Callable[[Mapping[str, Any]], tuple[Any, ...]]
        self.pick = itemgetter(*names) if len(names) > 1 else lambda own: tuple([own[name] for name in names])
        self.shapes: dict[tuple[type, ...], Shape] = {}

    def new_shape(self, values: tuple[Any, ...]) -> Shape:
        """Return the shape for values of types that have not been met, and remember it."""
        if len(self.shapes) >= _MOST_SHAPES:
            self.shapes.clear()
        shape = self._shape_of_attributes(values) if self._of_attributes else self._shape_of_items(values)
        self.shapes[tuple(map(type, values))] = shape
        return shape

    def _shape_of_items(self, values: tuple[Any, ...]) -> Shape:
        sorts = sorts_in(values)
        is_plain = all(sort is Sort.SCALAR for _, sort in sorts)
        kind = "" if is_plain else class_name(self._kind)  # of plain items the class does not count
        return Shape(None, (), canonical_form([kind, *self.names]), sorts)

    def _shape_of_attributes(self, values: tuple[Any, ...]) -> Shape:
        pairs = list(zip(self.names, values, strict=True))
        by_value = [i for i, pair in enumerate(pairs) if hangs_on_value(*pair)]
        kept = [i for i, pair in enumerate(pairs) if i in by_value or is_compared(*pair)]
        names = [self.names[index] for index in kept]
        head = canonical_form([class_name(self._kind), *names])
        sorts = sorts_in([values[index] for index in kept])
        return Shape(None if len(kept) == len(pairs) else kept, by_value, head, sorts)


_layouts: dict[tuple[Any, ...], Layout] = {}


def attributes_layout(kind: type, names: Iterable[str]) -> Layout:
    """Return the layout of an object's attributes."""
    layout = _layouts.get((kind, *names))
    return _new_layout(kind, tuple(names), of_attributes=True) if layout is None else layout


def items_layout(kind: type, keys: Mapping[str, Any]) -> Layout:
    """Return the layout of a dict whose keys are all texts."""
    layout = _layouts.get((None, kind, *keys))
    return _new_layout(kind, tuple(keys), of_attributes=False) if layout is None else layout


def _new_layout(kind: type, names: tuple[str, ...], *, of_attributes: bool) -> Layout:
    layout = Layout(kind, names, of_attributes=of_attributes)
    if not of_attributes and len(names) > MOST_KEYS:
        return layout
    if len(_layouts) >= _MOST_KEPT:
        _layouts.clear()
    _layouts[(kind, *names) if of_attributes else (None, kind, *names)] = layout
    return layout
