"""One class for each kind of leaf space but ``Box``: its actions checked, written as bytes and read back.

Knows spaces and bytes; knows nothing of seats and of whom to blame. A bad action of ours is an
:class:`ActionProblem`, which says what came and what is wanted; bad bytes are a :class:`Malformed`.
:mod:`gym_p2p.game.spaces.codec` turns these into the errors that callers see.

Every canonical action has exactly one encoding and every accepted encoding one action, so that inputs may
be compared, predicted and hashed as bytes.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from gym_p2p.core.wire.foreign_text import printable

__all__ = [
    "LEAF_ENCODINGS",
    "ActionProblem",
    "ArrayEncoding",
    "Encoding",
    "Malformed",
    "UnsupportedSpace",
    "as_array",
    "read_varint",
    "refuse_outside",
    "shown",
    "take",
    "varint_size",
    "whole_number",
    "write_varint",
]

_MAX_VARINT_BYTES = 10  # 64 bits in groups of 7


class ActionProblem(Exception):
    """An action that is not in the space; the text says what came and what is wanted.

    Attributes:
        advice: what is said behind the text to whoever steps with what a policy gave; "" is nothing.
    """

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what)
        self.advice = advice


class Malformed(Exception):
    """Bytes that no action of this space encodes to."""


class UnsupportedSpace(Exception):
    """A space whose actions cannot be sent; the text says which and why."""


class Encoding(abc.ABC):
    """Checks, writes and reads the actions of one space.

    Attributes:
        max_bytes: the longest that an action can become; ``None`` where the space sets no limit.
    """

    max_bytes: int | None

    @abc.abstractmethod
    def default(self) -> Any:
        """Return the canonical action nearest to zero."""

    @abc.abstractmethod
    def check(self, action: Any) -> Any:
        """Return the canonical form of an action, as a fresh object. Raises ActionProblem."""

    @abc.abstractmethod
    def write(self, action: Any, out: bytearray) -> None:
        """Append a canonical action's bytes."""

    @abc.abstractmethod
    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        """Return the action that begins at an offset, and the offset behind it. Raises Malformed."""

    @abc.abstractmethod
    def to_json(self, action: Any) -> Any:
        """Return a canonical action as plain JSON data, exactly."""

    def from_json(self, data: Any) -> Any:
        """Return the canonical action of its JSON form. Raises ActionProblem."""
        return self.check(data)


def write_varint(value: int, out: bytearray) -> None:
    """Append an unsigned number in groups of 7 bits, the lowest first (LEB128).

    >>> out = bytearray()
    >>> write_varint(300, out)
    >>> out.hex(), read_varint(bytes(out), 0)
    ('ac02', (300, 2))
    """
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Read what :func:`write_varint` wrote; a longer form of the same number is refused."""
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if at + index >= len(data):
            break
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte <= 0x7F:
            if byte == 0 and index > 0:
                break
            return value, at + index + 1
    raise Malformed


def varint_size(value: int) -> int:
    """Return the length of an unsigned number's varint.

    >>> [varint_size(value) for value in (0, 127, 128, 2**64 - 1)]
    [1, 1, 2, 10]
    """
    return max(1, (value.bit_length() + 6) // 7)


def take(data: bytes, at: int, size_bytes: int) -> bytes:
    """Return so many bytes from an offset on. Raises Malformed."""
    if at + size_bytes > len(data):
        raise Malformed
    return data[at : at + size_bytes]


def shown(value: Any) -> str:
    """Show what came, in a line that fits a message."""
    text = f"{type(value).__name__} {value!r}"
    if isinstance(value, np.ndarray):
        text = f"{value.dtype} array of shape {value.shape}: {np.array2string(value, threshold=20)}"
    return printable(" ".join(text.split()), 120)


def whole_number(value: Any) -> int | None:
    """Return a whole number given as an int, a numpy integer, or alone in an array or list; else None."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if hasattr(value, "__array__") and not isinstance(value, np.generic):
        array = np.asarray(value)
        value = array.reshape(())[()] if array.size == 1 else None
    return int(value) if isinstance(value, int | np.integer | np.bool_) else None


class _DiscreteEncoding(Encoding):
    """A varint of ``action - start``; canonical is a scalar of the space's dtype, as ``sample`` gives."""

    def __init__(self, space: spaces.Discrete[Any]) -> None:
        self._start = int(space.start)
        self._n = int(space.n)
        self._scalar = np.dtype(space.dtype).type
        self.max_bytes = varint_size(self._n - 1)

    def default(self) -> Any:
        return self._scalar(0 if self._start <= 0 < self._start + self._n else self._start)

    def check(self, action: Any) -> Any:
        number = whole_number(action)
        last = self._start + self._n - 1
        if number is None or not self._start <= number <= last:
            raise ActionProblem(f"wanted a whole number from {self._start} to {last}, got {shown(action)}")
        return self._scalar(number)

    def write(self, action: Any, out: bytearray) -> None:
        write_varint(int(action) - self._start, out)

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        value, at = read_varint(data, at)
        if value >= self._n:
            raise Malformed
        return self._scalar(value + self._start), at

    def to_json(self, action: Any) -> Any:
        return int(action)


def as_array(action: Any, shape: tuple[int, ...], wanted: str, kinds: str) -> np.ndarray[Any, Any]:
    """Return an action as an array of the right shape and of one of these dtype kinds."""
    try:
        array = np.asarray(action)
    except (ValueError, TypeError, OverflowError):
        array = np.asarray(None)
    if array.dtype.kind in kinds and array.size == 1 == math.prod(shape):
        array = array.reshape(shape)  # one number is that number, in brackets or not
    if array.dtype.kind not in kinds or array.shape != shape:
        raise ActionProblem(f"wanted {wanted}, got {shown(action)}")
    return array


def refuse_outside(array: Any, inside: Any, wanted: str, advice: str = "") -> None:
    """Raise ActionProblem with the first number that is not inside."""
    if not inside.all():
        where = tuple(int(i) for i in np.argwhere(~inside)[0])
        at = f" at {list(where)}" if where else ""
        raise ActionProblem(f"wanted {wanted}, got {array[where]!s}{at}", advice)


class ArrayEncoding(Encoding):
    """Arrays of one dtype and shape between two bounds."""

    def __init__(self, space: Any, low: Any, high: Any, numbers: str | None = None) -> None:
        self._dtype = np.dtype(space.dtype)
        self._shape = tuple(space.shape)
        self._kinds = "iubf" if self._dtype.kind == "f" else "iub"  # of the dtypes that are taken
        self._count = int(np.prod(self._shape, dtype=np.int64))
        self._low, self._high = np.asarray(low), np.asarray(high)
        bounds = f"of shape {self._shape}, from {_flat(self._low)} to {_flat(self._high)}"
        self._wanted = f"{numbers or self._dtype} numbers {bounds}"

    def default(self) -> Any:
        """Return zeros, clipped."""
        # clip makes a scalar of an array of shape ()
        return np.asarray(np.clip(np.zeros(self._shape, self._dtype), self._low, self._high), self._dtype)

    def check(self, action: Any) -> Any:
        """Return an array of the dtype."""
        array = as_array(action, self._shape, self._wanted, self._kinds)
        # before the cast, which would wrap around
        refuse_outside(array, (self._low <= array) & (array <= self._high), self._wanted)
        return array.astype(self._dtype)

    def to_json(self, action: Any) -> Any:
        """Return nested lists."""
        return action.tolist()


class _MultiDiscreteEncoding(ArrayEncoding):
    """Every ``item - start`` as an unsigned integer of the same, smallest sufficient size."""

    def __init__(self, space: spaces.MultiDiscrete[Any]) -> None:
        start = np.asarray(space.start)
        super().__init__(space, start, start + (np.asarray(space.nvec) - 1), "whole")
        # Differences modulo 2**64 are right whatever the dtype's range.
        self._origin = self._low.astype(np.uint64)
        self._span = self._high.astype(np.uint64) - self._origin
        largest = int(self._span.max(initial=0))
        self._wire = np.dtype("<u1" if largest < 2**8 else "<u2" if largest < 2**16 else "<u8")
        self.max_bytes = self._count * self._wire.itemsize

    def write(self, action: Any, out: bytearray) -> None:
        out += (action.astype(np.uint64) - self._origin).astype(self._wire).tobytes()

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        size = self._count * self._wire.itemsize
        steps = np.frombuffer(take(data, at, size), self._wire).reshape(self._shape).astype(np.uint64)
        if (steps > self._span).any():
            raise Malformed
        return (steps + self._origin).astype(self._dtype), at + size


class _MultiBinaryEncoding(ArrayEncoding):
    """One bit an item, the first in the highest bit."""

    def __init__(self, space: spaces.MultiBinary) -> None:
        super().__init__(space, 0, 1)
        self.max_bytes = (self._count + 7) // 8
        self._wanted = f"zeros and ones of shape {self._shape}"

    def write(self, action: Any, out: bytearray) -> None:
        out += np.packbits(action.astype(np.uint8), axis=None).tobytes()

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        size = (self._count + 7) // 8
        bits = np.unpackbits(np.frombuffer(take(data, at, size), np.uint8))
        if bits[self._count :].any():
            raise Malformed
        return bits[: self._count].astype(self._dtype).reshape(self._shape), at + size


def _flat(bounds: np.ndarray[Any, Any]) -> str:
    """Show one bound if all are the same, else all of them."""
    if bounds.size and (bounds == bounds.flat[0]).all():
        return str(bounds.flat[0])
    return " ".join(np.array2string(bounds, threshold=12, separator=",").split())


class _TextEncoding(Encoding):
    """UTF-8 behind its length in bytes."""

    def __init__(self, space: spaces.Text) -> None:
        self._characters = frozenset(space.character_set)
        self._shortest, self._longest = int(space.min_length), int(space.max_length)
        self._first = min(self._characters, default="")
        widest = max((len(c.encode("utf-8", "surrogatepass")) for c in self._characters), default=0)
        body = self._longest * widest
        self.max_bytes = varint_size(body) + body

    def default(self) -> Any:
        return self._first * self._shortest

    def check(self, action: Any) -> Any:
        if not isinstance(action, str) or not self._fits(action):
            raise ActionProblem(
                f"wanted a text of {self._shortest} to {self._longest} of the characters "
                f"{''.join(sorted(self._characters))!r}, got {shown(action)}"
            )
        return str(action)

    def write(self, action: Any, out: bytearray) -> None:
        body = action.encode("utf-8", "surrogatepass")
        write_varint(len(body), out)
        out += body

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        size, at = read_varint(data, at)
        try:
            text = take(data, at, size).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise Malformed from None
        if not self._fits(text):
            raise Malformed
        return text, at + size

    def to_json(self, action: Any) -> Any:
        return action

    def _fits(self, text: str) -> bool:
        return self._shortest <= len(text) <= self._longest and self._characters.issuperset(text)


LEAF_ENCODINGS: tuple[tuple[type[spaces.Space[Any]], Callable[[Any], Encoding]], ...] = (
    (spaces.Discrete, _DiscreteEncoding),
    (spaces.MultiDiscrete, _MultiDiscreteEncoding),
    (spaces.MultiBinary, _MultiBinaryEncoding),
    (spaces.Text, _TextEncoding),
)
