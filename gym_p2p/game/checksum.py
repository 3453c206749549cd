"""Checksums of values that have to be the same on every player's machine.

Knows how to walk plain data and numpy arrays into one canonical string of bytes. Refuses to guess:
no pickle bytes, no ``repr``, no ``hash`` and no ``id`` ever get in, for these differ between two
processes that agree.

The canonical form, and with it what counts as equal:

* A list and a tuple with equal items are equal (a state saved as JSON comes back with lists).
* A dict is the set of its items, in the order of their keys' canonical forms.
* ``True``, ``1`` and ``1.0`` are three values: types are part of the form.
* A numpy scalar equals the 0-d array of its dtype, and no Python number: a counter that has become an
  ``int64`` overflows elsewhere than an ``int``, so this difference is one worth finding.
* An array is its dtype, shape and items in C order, little-endian. Byte order and memory layout do not
  count, the dtype does.
* Floats count by their bits: ``-0.0`` is not ``0.0``. Every NaN equals every other.
"""

from __future__ import annotations

import functools
import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from gym_p2p.errors import UnsupportedEnvironment
from gym_p2p.game.outcome import Outcome

__all__ = ["OutcomeChecksum", "checksum"]

_DIGEST_BYTES = 8  # as GGRS's and ample: a match compares some thousands of them
_MAX_DEPTH = 200  # below Python's own limit, so that a cycle is reported as one
_NAN = struct.pack("<d", float("nan"))
_float64 = struct.Struct("<d")
_length = struct.Struct("<Q")

_Emit = Callable[[bytes], None]


def checksum(value: Any, *, size_bytes: int = _DIGEST_BYTES) -> bytes:
    """Return the BLAKE2b digest of a value's canonical form.

    >>> checksum([1, "a"]) == checksum((1, "a"))
    True
    >>> checksum(1) == checksum(1.0)
    False
    >>> checksum(float("nan")) == checksum(-float("nan"))
    True

    Args:
        value: None, booleans, numbers, text, bytes, numpy arrays and scalars, and lists, tuples, dicts
            and sets of these.
        size_bytes: length of the digest, 1 to 64.

    Raises:
        TypeError: something else is in it; the message names the path to it.
    """
    parts: list[bytes] = []
    _walk(value, parts.append, ())
    return hashlib.blake2b(b"".join(parts), digest_size=size_bytes).digest()


def _walk(value: Any, emit: _Emit, path: tuple[Any, ...]) -> None:
    writer = _WRITERS.get(type(value))
    if writer is None:
        writer = _writer_of_subclass(value, path)
    if len(path) > _MAX_DEPTH:
        raise TypeError(f"cannot checksum data nested deeper than {_MAX_DEPTH} (does it contain itself?)")
    writer(value, emit, path)


def _writer_of_subclass(value: Any, path: tuple[Any, ...]) -> Callable[[Any, _Emit, tuple[Any, ...]], None]:
    """Find how to write a named tuple, an ``OrderedDict``, a numpy scalar and the like."""
    for base in (np.generic, np.ndarray, tuple, list, dict, int, float, str, bytes, set, frozenset):
        if isinstance(value, base):
            return _WRITERS[base]
    where = "value" + "".join(f"[{step!r}]" for step in path)
    raise TypeError(
        f"cannot checksum {where}: {type(value).__module__}.{type(value).__qualname__} has no canonical "
        "form; only plain data and numpy arrays do"
    )


def _write_int(value: int, emit: _Emit, _path: tuple[Any, ...]) -> None:
    value = int(value)
    body = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    emit(b"i" + _length.pack(len(body)) + body)


def _write_float(value: float, emit: _Emit, _path: tuple[Any, ...]) -> None:
    emit(b"f" + (_float64.pack(value) if value == value else _NAN))  # noqa: PLR0124 false for NaN alone


def _write_text(value: str, emit: _Emit, _path: tuple[Any, ...]) -> None:
    body = value.encode("utf-8", "surrogatepass")
    emit(b"s" + _length.pack(len(body)) + body)


def _write_bytes(value: bytes, emit: _Emit, _path: tuple[Any, ...]) -> None:
    emit(b"b" + _length.pack(len(value)) + value)


def _write_items(value: Sequence[Any], emit: _Emit, path: tuple[Any, ...]) -> None:
    emit(b"l" + _length.pack(len(value)))
    for index, item in enumerate(value):
        _walk(item, emit, (*path, index))


def _write_dict(value: dict[Any, Any], emit: _Emit, path: tuple[Any, ...]) -> None:
    emit(b"d" + _length.pack(len(value)))
    for encoded, key in sorted(((_encoded(key, path), key) for key in value), key=lambda pair: pair[0]):
        emit(encoded)
        _walk(value[key], emit, (*path, key))


def _write_set(value: Iterable[Any], emit: _Emit, path: tuple[Any, ...]) -> None:
    members = sorted(_encoded(member, path) for member in value)
    emit(b"S" + _length.pack(len(members)) + b"".join(members))


def _encoded(value: Any, path: tuple[Any, ...]) -> bytes:
    parts: list[bytes] = []
    _walk(value, parts.append, (*path, value))
    return b"".join(parts)


def _write_array(value: Any, emit: _Emit, path: tuple[Any, ...]) -> None:
    array = np.asarray(value)
    dtype, shape = array.dtype, array.shape
    if dtype.names is not None:  # field by field: the padding between them is not data
        emit(b"r" + _length.pack(len(dtype.names)))
        for name in dtype.names:
            _write_text(name, emit, path)
            _write_array(array[name], emit, (*path, name))
        return
    if dtype.hasobject:
        emit(b"o" + struct.pack(f"<{len(shape) + 1}Q", len(shape), *shape))
        for index, item in enumerate(array.ravel().tolist()):
            _walk(item, emit, (*path, index))
        return
    emit(_array_head(dtype, shape))
    emit(_array_body(array))


@functools.lru_cache(maxsize=1024)
def _array_head(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    name = dtype.newbyteorder("<").str.encode()
    return b"a" + struct.pack(f"<B{len(shape) + 1}Q", len(name), len(shape), *shape) + name


def _array_body(array: np.ndarray[Any, Any]) -> bytes:
    dtype = array.dtype
    if dtype.kind in "fc":
        if dtype.char in "gG":
            raise TypeError("cannot checksum a longdouble: its size and padding differ between machines")
        not_numbers = np.isnan(array)
        if not_numbers.any():
            array = np.where(not_numbers, dtype.type(np.nan), array)
    if dtype.newbyteorder("<") != dtype:
        array = array.astype(dtype.newbyteorder("<"))
    return array.tobytes()


_WRITERS: dict[type, Callable[[Any, _Emit, tuple[Any, ...]], None]] = {
    type(None): lambda _value, emit, _path: emit(b"N"),
    bool: lambda value, emit, _path: emit(b"T" if value else b"F"),
    int: _write_int,
    float: _write_float,
    str: _write_text,
    bytes: _write_bytes,
    bytearray: _write_bytes,
    list: _write_items,
    tuple: _write_items,
    dict: _write_dict,
    set: _write_set,
    frozenset: _write_set,
    np.ndarray: _write_array,
    np.generic: _write_array,
}


class OutcomeChecksum:
    """A running digest over the confirmed frames of one episode; make a new one for the next.

    Every frame's joint inputs, rewards and ends go in (:meth:`update`); at the frames that are compared
    between the players, :meth:`digest` covers that frame's observations too. Two players whose digests
    agree have therefore seen the same inputs, rewards and ends up to there, and see the same now.
    """

    __slots__ = ("_frame", "_hasher")

    def __init__(self, seats: int) -> None:
        self._hasher = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        # frame, then per seat: length of the input, reward, terminated, truncated
        self._frame = struct.Struct(f"<q{seats}H{seats}d{seats}?{seats}?")

    def update(self, frame: int, inputs: Sequence[bytes], outcome: Outcome) -> None:
        """Take in one confirmed frame: its number, every seat's encoded action, and what came of them."""
        rewards = outcome.rewards
        head = self._frame.pack(
            frame, *map(len, inputs), *rewards, *outcome.terminations, *outcome.truncations
        )
        if sum(rewards) != sum(rewards):
            canonical = [reward if reward == reward else float("nan") for reward in rewards]  # noqa: PLR0124  # false for NaN alone
            head = self._frame.pack(
                frame, *map(len, inputs), *canonical, *outcome.terminations, *outcome.truncations
            )
        self._hasher.update(head + b"".join(inputs))

    def digest(self, outcome: Outcome) -> str:
        """Return 16 hex digits over all updates so far and this outcome's observations.

        May be called before the first update, with what ``reset`` returned.

        Raises:
            UnsupportedEnvironment: something in an observation has no canonical form.
        """
        hasher = self._hasher.copy()
        try:
            hasher.update(checksum(outcome.observations))
        except TypeError as problem:
            raise UnsupportedEnvironment(
                f"the environment's observations, in the order of its seats, cannot be compared: {problem}"
            ) from problem
        return hasher.hexdigest()
