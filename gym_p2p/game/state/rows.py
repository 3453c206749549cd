"""The rows that a state's canonical form is made of, and how they come about: one walk, breadth first.

A row is an array of what MessagePack knows; see :mod:`gym_p2p.game.state.digest` for the form as a whole, and
why a walk is quick or careful. Refuses to know what becomes of the rows.
"""

from __future__ import annotations

import array
import itertools
import random
import struct
import types
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np

from gym_p2p.game.canonical import array_form, canonical_form
from gym_p2p.game.state.compared import (
    CALLABLES,
    NO_ADDRESS,
    PLAIN,
    SELF_CONTAINED,
    class_name,
    is_compared,
    is_plain,
    parts_of,
    word_for,
)
from gym_p2p.game.state.graph import MAX_OBJECTS
from gym_p2p.game.state.handles import is_handle
from gym_p2p.game.state.layouts import Sort, Sorts, attributes_layout, items_layout, sorts_in

__all__ = ["NeedsRecord", "Rows"]

_NODE, _WORD_FOR = Sort.NODE, Sort.WORD

_LIST, _TABLE, _MIXED, _SET, _CLASSES, _ARRAY, _DATA, _CALL, _WORD, _OBJECT, _ATTRIBUTES, _ROOTS = range(12)
"""The kinds of rows. The numbers are part of the form."""

_NUMBER, _ADDRESS = range(2)
"""What stands among the others in a row and is no node. Part of the form, too."""

_ALL_PLAIN: Sorts = ()

_NO_NUMBERS: dict[int, int] = {}

_TEXT = frozenset({str})

_INT64_AND_UINT64 = range(-(1 << 63), 1 << 64)

_NAN = float("nan")

_MUTABLE = frozenset({dict, list, set, deque, bytearray})
"""Of data that is not recorded: what there can be one of in two places."""

Opener = Callable[[Any, Any, Any], None]

_OPENERS: dict[type, Opener] = {}
"""How the kinds of nodes met so far are written: ``opener(rows, node, content)``."""


class NeedsRecord(Exception):
    """There is more than data in it."""


class Rows:
    """The rows of a state; :meth:`walk` writes them, once.

    Args:
        contents: what is in the recorded objects, by their ids; ``None``: they hold it themselves.
        attributes: theirs.
        sharing: whether what is shared counts.
        addresses: of the nodes, by an earlier walk: then it is a careful one.
    """

    __slots__ = (
        *("_addresses", "_attributes", "_contents", "_current", "_is_recorded", "_nodes", "_parents"),
        *("_seen", "_sharing", "contents", "numbers", "rows"),
    )

    def __init__(
        self,
        contents: Mapping[int, Any] | None,
        attributes: Mapping[int, dict[str, Any]],
        *,
        sharing: bool,
        addresses: Mapping[int, int] | None = None,
    ) -> None:
        self._is_recorded = contents is not None
        self._contents = {} if contents is None else contents
        self._attributes = attributes
        self._sharing = sharing
        self._addresses = addresses
        self._nodes: list[Any] = []
        self._parents: list[int] = []
        self._current = -1
        self._seen: list[Iterable[Any]] = []
        self.numbers: dict[int, int] = {}
        self.rows: list[Any] = []
        self.contents: list[bytes] = []

    def walk(self, roots: Mapping[str, Any]) -> None:
        """Write the rows of all that can be reached from here."""
        values = list(roots.values())
        self._write(_ROOTS, tuple(roots), values, sorts_in(values))
        content_of, own_of, known = self._contents.get, self._attributes.get, _OPENERS.get
        for number, node in enumerate(self._nodes):  # which grows meanwhile
            self._current = number
            kind, key = type(node), id(node)
            (known(kind) or self._opener_of(node))(self, node, content_of(key, node))
            if (own := own_of(key)) is not None:
                self._write_attributes(node, kind, own)

    def have_addresses(self) -> bool:
        """Whether a plain value may be the address of a node."""
        numbers = self.numbers
        return bool(numbers) and not numbers.keys().isdisjoint(itertools.chain.from_iterable(self._seen))

    # Values, and what is none.

    def _write(self, kind: int, what: Any, values: list[Any], sorts: Sorts) -> None:
        """Write a row; of the values, those that are not plain are taken out."""
        self._seen.append(values)
        if not sorts and self._addresses is None:
            self.rows.append((kind, what, values, ()))
            return
        others: list[Any] = []
        if self._addresses is not None:
            self._take_special(values, others)
        numbers = self.numbers if self._sharing else _NO_NUMBERS
        for index, sort in sorts:
            value = values[index]
            if sort is _NODE:
                values[index] = None
                number = numbers.get(id(value))
                others += (index, self._new_number(value) if number is None else number)
            elif sort is _WORD_FOR:
                values[index] = word_for(value)
            else:
                values[index] = None
                others += (index, (_NUMBER, canonical_form(value)))
        self.rows.append((kind, what, values, others))

    def _take_special(self, values: list[Any], others: list[Any]) -> None:
        """Take out the plain values that cannot stay."""
        for index, value in enumerate(values):
            kind = type(value)
            if kind is float and value != value:  # noqa: PLR0124 true for NaN alone
                values[index] = _NAN
            elif kind is int and (number := self._address(value)) is not None:
                values[index] = None
                others += (index, (_ADDRESS, number))
            elif (kind is int and value not in _INT64_AND_UINT64) or (kind is str and not _is_utf8(value)):
                values[index] = None
                others += (index, (_NUMBER, canonical_form(value)))

    def _address(self, value: int) -> int | None:
        return self._addresses.get(value) if self._addresses is not None and value > NO_ADDRESS else None

    def _key(self, value: Any) -> bytes:
        """Return what keys and members are ordered and compared by."""
        kind = type(value)
        if kind is int and (number := self._address(value)) is not None:
            return b"@" + canonical_form(number)
        is_subclass = isinstance(value, str) and kind is not str and not isinstance(value, np.generic)
        return (class_name(kind).encode() if is_subclass else b"") + canonical_form(value)

    def _new_number(self, value: Any) -> int:
        """Return the number of a node that has none which counts: a new one, or that of one it is inside."""
        nodes, key = self._nodes, id(value)
        number = len(nodes)
        if self._sharing:
            if key in self._attributes or key in self._contents:
                self.numbers[key] = number
            nodes.append(value)
            return number
        if self._is_one(value, key):
            above = self._current
            while above >= 0:
                if nodes[above] is value:
                    return above
                above = self._parents[above]
            self.numbers.setdefault(key, number)
        self._parents.append(self._current)
        nodes.append(value)
        return number

    def _is_one(self, value: Any, key: int) -> bool:
        """Whether there is one of it, rather than two equal ones in two places."""
        if self._is_recorded:
            return key in self._attributes or key in self._contents
        kind = type(value)
        if kind in _MUTABLE and len(self._nodes) <= MAX_OBJECTS:
            return True
        if kind is np.ndarray and not value.dtype.hasobject:
            return bool(value.flags.writeable)
        if kind is tuple or kind is frozenset or kind is complex:
            return False
        raise NeedsRecord

    # Nodes, by what they are.

    def _open_handle(self, node: Any, _content: Any) -> None:
        self.rows.append((_WORD, class_name(type(node))))

    def _open_array(self, _node: Any, content: Any) -> None:
        items = np.asarray(content)
        form = array_form(items)
        if form is not None:
            self.rows.append((_ARRAY, form[0], len(form[1])))
            self.contents.append(form[1])
        elif items.dtype.hasobject:
            self._write_items(items.ravel().tolist())
        else:
            self._write_data(items)

    def _open_items(self, _node: Any, content: Any) -> None:
        self._write_items(list(content))

    def _write_items(self, values: list[Any]) -> None:
        self._write(_LIST, None, values, _sorts_of(values))

    def _open_dict(self, node: Any, content: Mapping[Any, Any]) -> None:
        if not _TEXT.issuperset(map(type, content)):
            self._write_mixed_dict(node, content)
            return
        layout = items_layout(type(node), content)
        values = layout.pick(content)
        shape = layout.shapes.get(tuple(map(type, values))) or layout.new_shape(values)
        self._write(_TABLE, shape.head, list(values), shape.sorts)

    def _write_mixed_dict(self, node: Any, content: Mapping[Any, Any]) -> None:
        self._seen.append([key for key in content if type(key) is int])
        if all(map(is_plain, content)) and all(map(is_plain, content.values())):
            pairs = sorted([(self._key(key), key) for key in content], key=itemgetter(0))
            values = [content[key] for _, key in pairs]
            self._write(_MIXED, ["", *(pair[0] for pair in pairs)], values, sorts_in(values))
            return
        texts = sorted(key for key in content if isinstance(key, str))
        keys: list[bytes | None] = [self._key(key) for key in texts]
        values = [content[key] for key in texts]
        for key, item in content.items():
            if isinstance(key, str):
                continue
            if is_plain(key) or (isinstance(key, tuple) and all(map(is_plain, key))):
                keys.append(self._key(key))
                values.append(item)
            else:  # objects have no order but that in which they came
                keys.append(None)
                values += (key, item)
        self._write(_MIXED, [class_name(type(node)), *keys], values, sorts_in(values))

    def _open_set(self, _node: Any, content: Iterable[Any]) -> None:
        kinds = set(map(type, content))
        if kinds == {str}:
            self._write(_SET, None, sorted(content), _ALL_PLAIN)
        elif all(map(is_plain, content)):
            members = list(content)
            self._seen.append([member for member in members if type(member) is int])
            self.rows.append((_SET, sorted(map(self._key, members))))
        else:
            try:
                self._write_data(content)
            except TypeError:  # objects: which is which cannot be told without an order
                if not self._is_recorded:
                    raise NeedsRecord from None
                self.rows.append((_CLASSES, sorted(class_name(type(item)) for item in content)))

    def _open_callable(self, node: Any, _content: Any) -> None:
        name, parts = parts_of(node, self._contents)
        values = list(parts.values())
        self._write(_CALL, [name, *parts], values, sorts_in(values))

    def _open_complex(self, node: Any, _content: Any) -> None:
        self._write_items([node.real, node.imag])

    def _open_random(self, _node: Any, content: Any) -> None:
        self._write_data(_short(content))

    def _open_other(self, node: Any, content: Any) -> None:
        if content is not node:  # another generator of random numbers, an emulator
            self._write_data(content)
        elif id(node) not in self._attributes:
            self.rows.append((_WORD, word_for(node)))

    def _write_data(self, content: Any) -> None:
        form = canonical_form(content)
        self.rows.append((_DATA, len(form)))
        self.contents.append(form)

    def _write_attributes(self, node: Any, kind: type, own: Mapping[str, Any]) -> None:
        layout = attributes_layout(kind, own)
        values = layout.pick(own)
        shape = layout.shapes.get(tuple(map(type, values))) or layout.new_shape(values)
        names = layout.names
        if shape.by_value and not all(is_compared(names[index], values[index]) for index in shape.by_value):
            compared = {name: own[name] for name in names if is_compared(name, own[name])}
            layout = attributes_layout(kind, compared)
            values = layout.pick(compared)
            shape = layout.shapes.get(tuple(map(type, values))) or layout.new_shape(values)
        kept = list(values) if shape.kept is None else [values[index] for index in shape.kept]
        alone = id(node) not in self._contents and not isinstance(node, SELF_CONTAINED)
        self._write(_OBJECT if alone else _ATTRIBUTES, shape.head, kept, shape.sorts)

    _BY_BASE: ClassVar[tuple[tuple[tuple[type, ...], Opener], ...]] = (
        ((np.ndarray, bytearray, array.array), _open_array),
        ((dict, types.MappingProxyType), _open_dict),
        ((list, tuple, deque), _open_items),
        ((set, frozenset), _open_set),
        ((random.Random,), _open_random),
        (CALLABLES, _open_callable),
        ((complex,), _open_complex),
    )

    @classmethod
    def _opener_of(cls, node: Any) -> Opener:
        """Find out how to write a kind of node that has not been met, and remember it."""
        kind = type(node)
        found = (opener for bases, opener in cls._BY_BASE if issubclass(kind, bases))
        opener = cls._open_handle if is_handle(node) else next(found, cls._open_other)
        _OPENERS[kind] = opener
        return opener


def _sorts_of(values: list[Any]) -> Sorts:
    return _ALL_PLAIN if PLAIN.issuperset(map(type, values)) else sorts_in(values)


def _short(state: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the state of one of Python's generators with its 625 words as bytes."""
    try:
        version, words, *rest = state
        return version, struct.pack(f"<{len(words)}I", *words), *rest
    except (TypeError, ValueError, struct.error):  # of a subclass that keeps something else
        return state


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
