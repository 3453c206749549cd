"""The fields of messages: numbers, byte strings and JSON, to and from bytes.

Whole numbers are unsigned LEB128 varints (as in Protocol Buffers), signed ones zigzag first. Knows nothing of
the messages; whatever does not fit is a :class:`~gym_p2p.errors.ProtocolError`.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from gym_p2p.errors import ProtocolError

__all__ = [
    "Reader",
    "read_json",
    "read_mapping",
    "unpack",
    "write_json",
    "write_varint",
    "write_zigzag",
]

_LAST_SHIFT = 7 * 8
"""Of a varint's ninth byte, which has to be its last."""


class Reader:
    """Reads one message's fields; every shortage is a :class:`ProtocolError`."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def varint(self) -> int:
        """Read a whole number."""
        data, at = self._data, self._at
        if at < len(data) and data[at] < 0x80:  # nearly all of them
            self._at = at + 1
            return data[at]
        return self.varints(1)[0]

    def varints(self, count: int) -> list[int]:
        """Read several numbers: a call for each would take longer than the reading."""
        data, at = self._data, self._at
        values: list[int] = []
        value = shift = 0
        while len(values) < count:
            if at == len(data):
                raise ProtocolError("truncated message")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                values.append(value)
                value = shift = 0
            elif shift == _LAST_SHIFT:
                raise ProtocolError("number too long")
            else:
                shift += 7
        self._at = at
        return values

    def blob(self, limit: int) -> bytes:
        """Read a length of at most ``limit``, and as many bytes."""
        size = self.varint()
        if size > limit:
            raise ProtocolError("number out of range")
        at = self._at
        end = self._at = at + size
        if end > len(self._data):
            raise ProtocolError("truncated message")
        return self._data[at:end]

    def rest(self) -> bytes:
        """Read all that is left."""
        data = self._data[self._at :]
        self._at = len(self._data)
        return data

    @property
    def at_end(self) -> bool:
        """Whether everything has been read."""
        return self._at >= len(self._data)

    def finish(self) -> None:
        """Refuse what follows the last field."""
        if self._at != len(self._data):
            raise ProtocolError("bytes after the end of a message")


def write_varint(out: bytearray, value: int) -> None:
    """Append a whole number from 0."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def write_zigzag(out: bytearray, value: int) -> None:
    """Append a whole number of either sign."""
    write_varint(out, value << 1 if value >= 0 else (-value << 1) - 1)


def write_json(out: bytearray, value: Any) -> None:
    """Append plain data; NaN and infinities raise ``ValueError``."""
    out += json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _refuse_constant(_text: str) -> Any:
    raise ProtocolError("malformed JSON")


def read_json(data: bytes) -> Any:
    """Return plain data; raises :class:`ProtocolError`."""
    try:
        return json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ProtocolError("malformed JSON") from None


def read_mapping(data: bytes) -> dict[str, Any]:
    """Return a mapping; raises :class:`ProtocolError`."""
    value = read_json(data)
    if not isinstance(value, dict):
        raise ProtocolError("wrong shape")
    return value


def unpack(layout: struct.Struct, reader: Reader) -> tuple[int, ...]:
    """Return what is left, which must be exactly this layout."""
    data = reader.rest()
    if len(data) != layout.size:
        raise ProtocolError("truncated message")
    return layout.unpack(data)
