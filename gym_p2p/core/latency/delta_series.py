"""Long rows of whole numbers in a short form: the encoding ``delta-varint-base64`` of the documents.

Each number is written as its difference to the one before it (the first as its difference to 0), zigzag-coded
(0, -1, 1, -2, 2 ... become 0, 1, 2, 3, 4 ...), as a varint: seven bits a byte, the lowest first, the highest
bit set in all bytes but the last, as Protocol Buffers have it. The bytes are base64 (RFC 4648, section 4). So
a time that grows by at most 63 a step takes one byte a step.

It knows numbers; it refuses to know what they count.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterable, Iterator
from typing import Literal

import attrs

__all__ = ["ENCODING", "DeltaSeries", "Encoding", "decode_series", "encode_series"]

Encoding = Literal["delta-varint-base64"]

ENCODING: Encoding = "delta-varint-base64"

MAX_NUMBERS = 2**22
"""More than nineteen hours at 60 frames a second."""

_MAX_BYTES = 10
"""Of one number: 64 bits in groups of 7."""
_CONTINUED = bytes(range(0x80, 0x100))
_ONE_BYTE = [bytes([number]) for number in range(0x80)]
_UNZIGZAGGED = [number >> 1 ^ -(number & 1) for number in range(0x80)]


@attrs.define(eq=False)
class DeltaSeries:
    """A row of numbers that only grows, encoded as it does.

    One thread may append while others read: a number is appended by one call into C, and counted afterwards.

    Attributes:
        count: how many numbers it has.
        newest: the last one; 0 before the first.
    """

    count: int = attrs.field(default=0, init=False)
    newest: int = attrs.field(default=0, init=False)
    _data: bytearray = attrs.field(factory=bytearray, init=False)

    def append(self, number: int) -> None:
        """Append a number."""
        delta = number - self.newest
        zigzagged = delta << 1 if delta >= 0 else (-delta << 1) - 1
        self._data += _ONE_BYTE[zigzagged] if zigzagged < len(_ONE_BYTE) else _varint(zigzagged)
        self.newest = number
        self.count += 1

    def encoded(self) -> tuple[str, int]:
        """Return all numbers as a text in the short form, and how many they are."""
        data = bytes(self._data)
        return base64.b64encode(data).decode("ascii"), _count(data)

    def since(self, mark: int) -> tuple[str, int]:
        """Return what came since a mark as a text for :meth:`grow`, and the next mark; the first is 0."""
        data = bytes(self._data)
        return base64.b64encode(data[mark:]).decode("ascii"), len(data)

    def grow(self, text: str) -> None:
        """Take in what was appended to another series since this one was like it.

        Raises:
            ValueError: it is nothing such.
        """
        data = base64.b64decode(text, validate=True)
        deltas = list(_deltas(data))
        self._data += data
        self.newest += sum(deltas)
        self.count += len(deltas)


def encode_series(values: Iterable[int]) -> str:
    """Return numbers in the short form.

    >>> encode_series([16, 33, 49]), decode_series("ICIg")
    ('ICIg', [16, 33, 49])
    """
    series = DeltaSeries()
    for value in values:
        series.append(value)
    return series.encoded()[0]


def decode_series(text: str, *, limit: int = MAX_NUMBERS) -> list[int]:
    """Return the numbers of a text in the short form.

    Raises:
        ValueError: it is none, or has more numbers than ``limit``.
    """
    data = base64.b64decode(text, validate=True)  # raises binascii.Error, which is a ValueError
    return _decoded(data, limit)


def _decoded(data: bytes, limit: int) -> list[int]:
    if _count(data) > limit:
        raise ValueError(f"a series with more than {limit} numbers")
    if data.isascii():  # every number is one byte: a frame's time mostly is
        return list(itertools.accumulate(map(_UNZIGZAGGED.__getitem__, data)))
    return list(itertools.accumulate(_deltas(data)))


def _count(data: bytes) -> int:
    return len(data.translate(None, _CONTINUED))


def _deltas(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            yield number >> 1 ^ -(number & 1)
            number = shift = 0
            continue
        shift += 7
        if shift >= 7 * _MAX_BYTES:
            raise ValueError("a series with a number beyond 64 bits")
    if shift:
        raise ValueError("a series that ends within a number")


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
