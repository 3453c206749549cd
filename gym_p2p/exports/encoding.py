"""Documents as JSON and as plain data, a piece at a time.

A document of a long match has a million rows. Turned into something else by one call into C, it
would hold the interpreter lock for so long that a step in another thread waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

__all__ = ["encode", "to_data"]

_ROWS_AT_ONCE = 1024
"""Less than a millisecond of holding the interpreter lock."""


def encode(value: Any) -> Iterator[bytes]:
    """Yield a value as JSON."""
    if isinstance(value, Mapping | msgspec.Struct):
        separator = b"{"
        for key, item in _items(value):
            yield separator + msgspec.json.encode(str(key)) + b":"
            yield from encode(item)
            separator = b","
        yield b"{}" if separator == b"{" else b"}"
    elif isinstance(value, list) and len(value) > _ROWS_AT_ONCE:
        for start in range(0, len(value), _ROWS_AT_ONCE):
            piece = msgspec.json.encode(value[start : start + _ROWS_AT_ONCE])
            yield (b"," if start else b"[") + piece[1:-1]
        yield b"]"
    else:
        yield msgspec.json.encode(value)


def to_data(value: Any) -> Any:
    """Return a copy of a value that is made of what JSON has: dict, list, str, int, float, bool, None."""
    if isinstance(value, Mapping | msgspec.Struct):
        return {str(key): to_data(item) for key, item in _items(value)}
    if isinstance(value, list) and len(value) > _ROWS_AT_ONCE:
        starts = range(0, len(value), _ROWS_AT_ONCE)
        pieces = (_to_builtins(value[start : start + _ROWS_AT_ONCE]) for start in starts)
        return [row for piece in pieces for row in piece]
    return _to_builtins(value)


def _to_builtins(value: Any) -> Any:
    """Return a piece as JSON reads it: a tuple is a list, and what is JSON already is read."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _items(value: Mapping[Any, Any] | msgspec.Struct) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return iter(value.items())
    fields = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
    return ((name, getattr(value, field)) for name, field in fields)
