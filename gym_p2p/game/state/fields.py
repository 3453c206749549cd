"""A recorded state as a flat table of plain data, for checksums and for people.

The keys are paths such as ``unwrapped.world.agents[0].state``, the values plain data that
:func:`~gym_p2p.game.checksum.checksum` and JSON take. An object is named by the shortest path to it; where
it is met again stands ``{"same as": path}``, so that what is shared is part of the state, and a state may
contain itself. What belongs to one machine or one player (paths of files, how it renders) is left out.
"""

from __future__ import annotations

import array
import itertools
import types
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gym_p2p.core.wire.foreign_text import MAX_SHOWN, printable
from gym_p2p.game.checksum import checksum
from gym_p2p.game.state.compared import (
    CALLABLES,
    NO_ADDRESS,
    SELF_CONTAINED,
    Word,
    class_name,
    is_compared,
    is_plain,
    parts_of,
    word_for,
)
from gym_p2p.game.state.graph import contents_of
from gym_p2p.game.state.handles import is_handle
from gym_p2p.game.state.kinds import Entry

__all__ = ["FieldDifference", "Fields", "differences", "fields_checksum", "fields_of"]

Fields = dict[str, Any]
"""Plain data by path."""

FieldDifference = tuple[str, str, str]
"""A path, what we have there, and what they have there."""

ABSENT = "(absent)"

ORDER = "the order of the fields"
"""The place of a difference between states that have the same in another order, as dicts may."""


def fields_of(
    roots: Mapping[str, Any], entries: Iterable[Entry], *, sharing: bool = True, word: Word = word_for
) -> Fields:
    """Return a recorded state as plain data by path.

    Args:
        roots: what the paths begin with.
        entries: what :func:`~gym_p2p.game.state.graph.record` copied. Of objects that are not in it only the
            class is noted.
        sharing: whether what is met again is noted as such; if not, its fields stand there again.
        word: returns the text that stands for an object of which nothing else is compared.
    """
    return _Flattening(*contents_of(entries), sharing=sharing, word=word).run(roots)


class _Flattening:
    """One breadth-first walk."""

    def __init__(
        self,
        contents: Mapping[int, Any],
        attributes: Mapping[int, dict[str, Any]],
        *,
        sharing: bool,
        word: Word,
    ) -> None:
        self._contents = contents
        self._attributes = attributes
        self._sharing = sharing
        self._word = word
        self._paths: dict[int, list[str]] = {}
        self._queue: deque[tuple[str, Any]] = deque()
        self._out: Fields = {}

    def run(self, roots: Mapping[str, Any]) -> Fields:
        self._queue.extend(roots.items())
        while self._queue:
            path, value = self._queue.popleft()
            if is_plain(value):
                self._out[path] = value
            elif (before := self._met(path, value)) is not None:
                self._out[path] = {"same as": before}
            else:
                self._open(path, value)
        return {path: self._addressed(value) for path, value in self._out.items()}

    def _addressed(self, value: Any) -> Any:
        """Return plain data in which the ``id`` of one of these objects is the path to it."""
        kind = type(value)
        if kind is int:
            found = self._paths.get(value) if value > NO_ADDRESS else None
            return value if found is None else f"id of {found[0]}"
        if kind is dict:
            return {self._addressed(key): self._addressed(item) for key, item in value.items()}
        if kind in {list, tuple, frozenset, set} and any(type(i) is int and i > NO_ADDRESS for i in value):
            return kind(map(self._addressed, value))
        return value

    def _met(self, path: str, value: Any) -> str | None:
        """Return the path under which an object has been opened and need not be again; remember this one."""
        if id(value) not in self._contents and id(value) not in self._attributes:
            return None
        paths = self._paths.setdefault(id(value), [])
        for before in paths:
            inside_itself = path.startswith(before) and path[len(before) :][:1] in {".", "["}
            if self._sharing or inside_itself:
                return before
        paths.append(path)
        return None

    def _open(self, path: str, value: Any) -> None:
        content = self._contents.get(id(value), value)
        if is_handle(value):
            self._out[path] = class_name(type(value))
        elif isinstance(value, np.ndarray | bytearray | array.array):
            self._array(path, np.asarray(content))
        elif isinstance(value, dict | types.MappingProxyType):
            self._dict(path, value, content)
        elif isinstance(value, list | tuple | deque):
            self._items(path, list(content))
        elif isinstance(value, set | frozenset):
            self._set(path, content)
        elif content is not value:  # a generator of random numbers, an emulator
            self._out[path] = content
        elif isinstance(value, CALLABLES):
            self._callable(path, value)
        else:
            self._other(path, value)
        if id(value) in self._attributes:
            self._object(path, value)

    def _array(self, path: str, content: np.ndarray[Any, Any]) -> None:
        if not content.dtype.hasobject:
            self._out[path] = content
            return
        self._items(path, content.ravel().tolist())

    def _items(self, path: str, items: list[Any]) -> None:
        if all(map(is_plain, items)):
            self._out[path] = items
            return
        self._out[path] = {"items": len(items)}
        self._queue.extend((f"{path}[{index}]", item) for index, item in enumerate(items))

    def _dict(self, path: str, value: Any, content: Mapping[Any, Any]) -> None:
        if all(map(is_plain, itertools.chain(content, content.values()))):
            self._out[path] = dict(content)
            return
        self._out[path] = {"keys": len(content), "class": class_name(type(value))}
        named = {key: item for key, item in content.items() if isinstance(key, str)}
        for key in sorted(named):
            self._queue.append((f"{path}[{key!r}]", named[key]))
        for index, (key, item) in enumerate((k, v) for k, v in content.items() if not isinstance(k, str)):
            if is_plain(key) or (isinstance(key, tuple) and all(map(is_plain, key))):
                self._queue.append((f"{path}[{_text(key)}]", item))
            else:  # objects have no order but that in which they came
                self._queue.extend(((f"{path}.key({index})", key), (f"{path}.value({index})", item)))

    def _set(self, path: str, content: Iterable[Any]) -> None:
        try:
            self._out[path] = frozenset(content) if all(map(is_plain, content)) else {checksum(content)}
        except TypeError:  # objects: which is which cannot be told without an order
            self._out[path] = sorted(class_name(type(item)) for item in content)

    def _callable(self, path: str, value: Any) -> None:
        name, parts = parts_of(value, self._contents)
        if name is not None:
            self._out[path] = {"function": name}
        self._queue.extend((f"{path}.{name}", part) for name, part in parts.items())

    def _other(self, path: str, value: Any) -> None:
        is_complex = isinstance(value, complex)
        self._out[path] = [value.real, value.imag] if is_complex else self._word(value)

    def _object(self, path: str, value: Any) -> None:
        attributes = self._attributes[id(value)]
        plain = {"class": class_name(type(value))}
        for name in sorted(attributes):
            item = attributes[name]
            if not is_compared(name, item):
                continue
            if is_plain(item):
                plain[name] = item
            else:
                self._queue.append((f"{path}.{name}", item))
        if isinstance(value, SELF_CONTAINED) or id(value) in self._contents:
            self._out[f"{path}.__dict__"] = plain
        else:
            self._out[path] = plain


def fields_checksum(fields: Fields) -> str | None:
    """Return 16 hex digits over a state's fields, or None if something in them has no canonical form."""
    try:
        return checksum(list(fields.items())).hex()
    except TypeError:
        return None


def differences(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], *, most: int = 20, longest: int = 80
) -> list[FieldDifference]:
    """Name the fields in which two states differ.

    >>> differences({"ball": [1.0, 2.0]}, {"ball": [1.0, 2.5], "wind": 3})
    [('ball[1]', '2.0', '2.5'), ('wind', '(absent)', '3')]

    Args:
        ours: our fields.
        theirs: theirs.
        most: no more than so many differences are named.
        longest: each value is cut to so many characters.

    Returns:
        ``(path, ours, theirs)``, the shallowest first; ``"(absent)"`` stands for what one side lacks. Where
        the same fields came in another order, :data:`ORDER` with the first that is another one.
    """
    found: list[FieldDifference] = []
    for path in dict.fromkeys([*ours, *theirs]):
        for inner, one, other in _differing_parts(path, ours.get(path, _NOTHING), theirs.get(path, _NOTHING)):
            if len(found) == most:
                return found
            found.append((printable(inner), _shown(one, longest), _shown(other, longest)))
    if found:
        return found
    moved = ((mine, yours) for mine, yours in zip(ours, theirs, strict=False) if mine != yours)
    return [(ORDER, printable(mine, longest), printable(yours, longest)) for mine, yours in moved][:1]


_NOTHING = object()


# Where two values differ is found by descending as long as both sides have the same form.
#
# It is equal what has the same checksum, and nothing else: ``==`` says of NaN that it differs from itself,
# and of 0.0 and -0.0, or of 1 and True, that they are the same. So the checksum decides at every level, and
# what it calls equal is not entered: the walk costs as much as the differing branches are long.
#
# It yields something wherever the checksums differ, so that a desync always names a field: a checksum is over
# a dict's items, a list's length and items, an array's dtype, shape and items, and each branch compares all
# of these by the same rule, or yields the whole value. Hence keys are matched by their checksums, too: 1 and
# True are one key to Python, and two to it. And hence an array's items are compared by their bytes, which
# may tell apart two NaNs that are equal; the item's checksum decides about these.
#
# It ends: fields are trees (a state that contains itself has been written as ``{"same as": path}``).


def _differing_parts(path: str, one: Any, other: Any) -> Iterable[tuple[str, Any, Any]]:
    """Yield where two values differ, as deep inside as they have the same form."""
    if one is _NOTHING or other is _NOTHING:
        yield path, one, other
    elif checksum(one) == checksum(other):
        return
    elif isinstance(one, dict) and isinstance(other, dict):
        as_object = "class" in one
        ours, theirs = ({checksum(key): (key, item) for key, item in side.items()} for side in (one, other))
        for form, (key, _) in (ours | theirs).items():
            inner = f"{path}.{key}" if as_object else f"{path}[{_text(key)}]"
            our_item, their_item = (side.get(form, (key, _NOTHING))[1] for side in (ours, theirs))
            yield from _differing_parts(inner, our_item, their_item)
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other, strict=True)):
            yield from _differing_parts(f"{path}[{index}]", *pair)
    elif isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and _alike(one, other):
        for place in np.argwhere((_item_bytes(one) != _item_bytes(other)).any(axis=-1)):
            at = tuple(map(int, place))
            if checksum(one[at]) != checksum(other[at]):
                yield f"{path}{list(at) if at else ''}", one[at], other[at]
    else:
        yield path, one, other


def _alike(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and one.dtype.names is None


def _item_bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return every item's bytes along one more axis."""
    return np.frombuffer(array.tobytes(), np.uint8).reshape(*array.shape, array.dtype.itemsize)


def _shown(value: Any, longest: int) -> str:
    return printable(ABSENT if value is _NOTHING else _text(value), longest)


def _text(value: Any) -> str:
    if isinstance(value, np.generic):
        return f"{value.item()!r}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)} {value.ravel()[:8].tolist()}"
    return repr(_begin(value))


def _begin(value: Any) -> Any:
    """Return so much of a value as can be shown of it: the text of all of it may be many times as large."""
    if isinstance(value, str | bytes | list | tuple):
        return value[:MAX_SHOWN]
    if isinstance(value, dict):
        return dict(itertools.islice(value.items(), MAX_SHOWN))
    return value
