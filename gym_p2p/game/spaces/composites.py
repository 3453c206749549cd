"""Spaces made of spaces: their actions are those of the parts, one after another.

Knows ``Tuple``, ``Dict``, ``Sequence`` and ``OneOf``, and picks the encoding for any space
(:func:`encoding_of`). The rules of :mod:`gym_p2p.game.spaces.leaves` hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from gym_p2p.game.spaces.boxes import BoxEncoding
from gym_p2p.game.spaces.leaves import (
    LEAF_ENCODINGS,
    ActionProblem,
    Encoding,
    Malformed,
    UnsupportedSpace,
    read_varint,
    shown,
    varint_size,
    whole_number,
    write_varint,
)

__all__ = ["encoding_of"]


class _TupleEncoding(Encoding):
    """The items' encodings in order."""

    def __init__(self, space: spaces.Tuple[Any]) -> None:
        self._items = [encoding_of(item) for item in space.spaces]
        self.max_bytes = _limit(self._items, sum)

    def default(self) -> Any:
        return tuple(item.default() for item in self._items)

    def check(self, action: Any) -> Any:
        wanted = f"wanted a tuple of {len(self._items)} items"
        _refuse_no_sequence(action, wanted)
        if len(action) != len(self._items):
            raise ActionProblem(f"{wanted}, got {len(action)}: {shown(action)}")
        parts = zip(self._items, action, strict=True)
        return tuple(_check_part(item, part, index) for index, (item, part) in enumerate(parts))

    def write(self, action: Any, out: bytearray) -> None:
        for item, part in zip(self._items, action, strict=True):
            item.write(part, out)

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        return _read_parts(self._items, data, at)

    def to_json(self, action: Any) -> Any:
        return [item.to_json(part) for item, part in zip(self._items, action, strict=True)]

    def from_json(self, data: Any) -> Any:
        if not isinstance(data, list | tuple) or len(data) != len(self._items):
            return self.check(data)
        return tuple(item.from_json(part) for item, part in zip(self._items, data, strict=True))


class _DictEncoding(Encoding):
    """The values' encodings in the order of the space's keys; the keys are not sent."""

    def __init__(self, space: spaces.Dict) -> None:
        self._items = {key: encoding_of(item) for key, item in space.spaces.items()}
        self.max_bytes = _limit(self._items.values(), sum)

    def default(self) -> Any:
        return {key: item.default() for key, item in self._items.items()}

    def check(self, action: Any) -> Any:
        if not isinstance(action, Mapping) or set(action) != set(self._items):
            keys = ", ".join(map(repr, self._items))
            raise ActionProblem(f"wanted a dict with the keys {keys}, got {shown(action)}")
        return {key: _check_part(item, action[key], key) for key, item in self._items.items()}

    def write(self, action: Any, out: bytearray) -> None:
        for key, item in self._items.items():
            item.write(action[key], out)

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        parts = {}
        for key, item in self._items.items():
            parts[key], at = item.read(data, at)
        return parts, at

    def to_json(self, action: Any) -> Any:
        return {str(key): item.to_json(action[key]) for key, item in self._items.items()}

    def from_json(self, data: Any) -> Any:
        if not isinstance(data, Mapping) or {str(key) for key in data} != {str(key) for key in self._items}:
            return self.check(data)
        by_text = {str(key): part for key, part in data.items()}
        return {key: item.from_json(by_text[str(key)]) for key, item in self._items.items()}


class _SequenceEncoding(Encoding):
    """The number of items, then their encodings. The space sets no limit to it, so the caller has to."""

    max_bytes = None

    def __init__(self, space: spaces.Sequence) -> None:
        if space.stack:
            raise UnsupportedSpace("a Sequence with stack=True (use stack=False)")
        self._item = encoding_of(space.feature_space)
        if self._item.max_bytes == 0:
            raise UnsupportedSpace("a Sequence of items that have nothing in them")

    def default(self) -> Any:
        return ()

    def check(self, action: Any) -> Any:
        _refuse_no_sequence(action, "wanted a tuple of any length")
        return tuple(_check_part(self._item, part, index) for index, part in enumerate(action))

    def write(self, action: Any, out: bytearray) -> None:
        write_varint(len(action), out)
        for part in action:
            self._item.write(part, out)

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        count, at = read_varint(data, at)
        if count > len(data):  # every item has a byte at least
            raise Malformed
        return _read_parts([self._item] * count, data, at)

    def to_json(self, action: Any) -> Any:
        return [self._item.to_json(part) for part in action]

    def from_json(self, data: Any) -> Any:
        return tuple(map(self._item.from_json, data)) if isinstance(data, list) else self.check(data)


class _OneOfEncoding(Encoding):
    """A varint naming the alternative, then its encoding."""

    def __init__(self, space: spaces.OneOf[Any]) -> None:
        self._options = [encoding_of(option) for option in space.spaces]
        longest = _limit(self._options, max)
        self.max_bytes = None if longest is None else varint_size(len(self._options) - 1) + longest

    def default(self) -> Any:
        return np.int64(0), self._options[0].default()

    def check(self, action: Any) -> Any:
        index, part = self._split(action)
        return np.int64(index), _check_part(self._options[index], part, index)

    def write(self, action: Any, out: bytearray) -> None:
        write_varint(int(action[0]), out)
        self._options[action[0]].write(action[1], out)

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        index, at = read_varint(data, at)
        if index >= len(self._options):
            raise Malformed
        part, at = self._options[index].read(data, at)
        return (np.int64(index), part), at

    def to_json(self, action: Any) -> Any:
        return [int(action[0]), self._options[action[0]].to_json(action[1])]

    def from_json(self, data: Any) -> Any:
        index, part = self._split(data)
        return np.int64(index), self._options[index].from_json(part)

    def _split(self, action: Any) -> tuple[int, Any]:
        index = whole_number(action[0]) if isinstance(action, list | tuple) and len(action) == 2 else None
        if index is None or not 0 <= index < len(self._options):
            raise ActionProblem(
                f"wanted a pair of 0 to {len(self._options) - 1} and that space's action, got {shown(action)}"
            )
        return index, action[1]


def _check_part(encoding: Encoding, part: Any, where: Any) -> Any:
    try:
        return encoding.check(part)
    except ActionProblem as problem:
        raise ActionProblem(f"[{where!r}]: {problem}", problem.advice) from None


def _refuse_no_sequence(action: Any, wanted: str) -> None:
    if not isinstance(action, Sequence | np.ndarray) or isinstance(action, str | bytes):
        raise ActionProblem(f"{wanted}, got {shown(action)}")


def _read_parts(encodings: Iterable[Encoding], data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
    parts = []
    for encoding in encodings:
        part, at = encoding.read(data, at)
        parts.append(part)
    return tuple(parts), at


def _limit(encodings: Iterable[Encoding], of_all: Callable[[Iterable[int]], int]) -> int | None:
    """Return the sum, or the maximum, of the encodings' limits; None if one of them has none."""
    limits = [encoding.max_bytes for encoding in encodings]
    return None if None in limits else of_all(limit for limit in limits if limit is not None)


_ENCODINGS: tuple[tuple[type[spaces.Space[Any]], Callable[[Any], Encoding]], ...] = (
    *LEAF_ENCODINGS,
    (spaces.Box, BoxEncoding),
    (spaces.Tuple, _TupleEncoding),
    (spaces.Dict, _DictEncoding),
    (spaces.Sequence, _SequenceEncoding),
    (spaces.OneOf, _OneOfEncoding),
)


def encoding_of(space: spaces.Space[Any]) -> Encoding:
    """Return the encoding for a space. Raises UnsupportedSpace."""
    for kind, encoding in _ENCODINGS:
        if isinstance(space, kind):
            return encoding(space)
    raise UnsupportedSpace(
        f"a {type(space).__name__} (known are {', '.join(kind.__name__ for kind, _ in _ENCODINGS)})"
    )
