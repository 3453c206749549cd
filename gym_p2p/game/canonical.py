"""The canonical form of plain data and numpy arrays: bytes that are the same on every player's machine.

Refuses to guess: no pickle bytes, no ``repr``, no ``hash`` and no ``id`` ever get in, for these differ
between two processes that agree. The form, and with it what counts as equal:

* A list and a tuple with equal items are equal (a state saved as JSON comes back with lists).
* A dict is the set of its items, in the order of their keys' canonical forms.
* ``True``, ``1`` and ``1.0`` are three values: types are part of the form.
* A numpy scalar equals the 0-d array of its dtype, and no Python number: a counter that has become an
  ``int64`` overflows elsewhere than an ``int``, so this difference is one worth finding.
* An array is its dtype, shape and items in C order, little-endian. Byte order and memory layout do not
  count, the dtype does.
* Floats count by their bits: ``-0.0`` is not ``0.0``. Every NaN equals every other.

The form is fixed: recorded matches carry digests of it.
"""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

__all__ = ["array_form", "canonical_form"]

_MAX_DEPTH = 200  # below Python's own limit, so that a cycle is reported as one
_NAN = struct.pack("<d", float("nan"))
_float64 = struct.Struct("<d")
_length = struct.Struct("<Q")

_Emit = Callable[[bytes], None]
_Writer = Callable[[Any, _Emit, int], None]
"""``writer(value, emit, depth)``; ``depth`` is how many containers the value is in."""


def canonical_form(value: Any) -> bytes:
    """Return the bytes that equal values have in common, and no others.

    Raises:
        TypeError: something else is in it; the message names the path to it.
    """
    parts: list[bytes] = []
    try:
        _writer_of(value)(value, parts.append, 0)
    except _NoForm as problem:
        raise TypeError(problem.told()) from None
    return b"".join(parts)


class _NoForm(TypeError):
    """Something has no canonical form. Whoever it came through on its way up adds where it lay."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.path: list[Any] = []

    def told(self) -> str:
        if "{where}" not in str(self):
            return str(self)  # what lies too deep cannot be shown either
        where = "value" + "".join(f"[{step!r}]" for step in reversed(self.path))
        return str(self).format(where=where)


def _writer_of(value: Any) -> _Writer:
    return _WRITERS.get(type(value)) or _writer_of_subclass(value)


def _writer_of_subclass(value: Any) -> _Writer:
    """Find how to write a named tuple, an ``OrderedDict`` and the like."""
    for base in (np.generic, np.ndarray, tuple, list, dict, int, float, str, bytes, set, frozenset):
        if isinstance(value, base):
            return _WRITERS[base]
    kind = f"{type(value).__module__}.{type(value).__qualname__}".replace("{", "{{").replace("}", "}}")
    raise _NoForm(
        f"cannot checksum {{where}}: {kind} has no canonical form; only plain data and numpy arrays do"
    )


def _inside(depth: int, items: int) -> int:
    """Return how deep the items of a container lie."""
    if depth >= _MAX_DEPTH and items:
        raise _NoForm(f"cannot checksum data nested deeper than {_MAX_DEPTH} (does it contain itself?)")
    return depth + 1


def _write_int(value: int, emit: _Emit, _depth: int) -> None:
    value = int(value)
    body = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    emit(b"i" + _length.pack(len(body)) + body)


def _write_float(value: float, emit: _Emit, _depth: int) -> None:
    emit(b"f" + (_float64.pack(value) if value == value else _NAN))  # noqa: PLR0124 false for NaN alone


def _write_text(value: str, emit: _Emit, _depth: int) -> None:
    body = value.encode("utf-8", "surrogatepass")
    emit(b"s" + _length.pack(len(body)) + body)


def _write_bytes(value: bytes, emit: _Emit, _depth: int) -> None:
    emit(b"b" + _length.pack(len(value)) + value)


def _write_items(value: Sequence[Any], emit: _Emit, depth: int) -> None:
    emit(b"l" + _length.pack(len(value)))
    inside, known = _inside(depth, len(value)), _WRITERS.get
    index = 0
    try:
        for index, item in enumerate(value):  # noqa: B007 read where it fails
            (known(type(item)) or _writer_of_subclass(item))(item, emit, inside)
    except _NoForm as problem:
        problem.path.append(index)
        raise


def _write_dict(value: dict[Any, Any], emit: _Emit, depth: int) -> None:
    emit(b"d" + _length.pack(len(value)))
    inside = _inside(depth, len(value))
    keys = [(_encoded(key, inside), key) for key in value]
    keys.sort(key=_first)
    for encoded, key in keys:
        emit(encoded)
        item = value[key]
        try:
            _writer_of(item)(item, emit, inside)
        except _NoForm as problem:
            problem.path.append(key)
            raise


def _first(pair: tuple[bytes, Any]) -> bytes:
    return pair[0]


def _write_set(value: Collection[Any], emit: _Emit, depth: int) -> None:
    inside = _inside(depth, len(value))
    members = sorted([_encoded(member, inside) for member in value])
    emit(b"S" + _length.pack(len(members)) + b"".join(members))


def _encoded(value: Any, depth: int) -> bytes:
    parts: list[bytes] = []
    try:
        _writer_of(value)(value, parts.append, depth)
    except _NoForm as problem:
        problem.path.append(value)
        raise
    return b"".join(parts)


def _write_scalar(value: Any, emit: _Emit, depth: int) -> None:
    form = _form_of(value.dtype, ())
    if form is not None:
        head, _, swapped, maybe_nans = form
        body = value.tobytes()
        if not swapped and (maybe_nans is None or maybe_nans(body) is None):
            emit(head + body)
            return
    _write_array(value, emit, depth)


def _write_array(value: Any, emit: _Emit, depth: int) -> None:
    array = np.asarray(value)
    form = array_form(array)
    if form is not None:
        emit(form[0])
        emit(form[1])
        return
    dtype, shape = array.dtype, array.shape
    if dtype.names is not None:  # field by field: the padding between them is not data
        emit(b"r" + _length.pack(len(dtype.names)))
        name = ""
        try:
            for name in dtype.names:
                _write_text(name, emit, depth)
                _write_array(array[name], emit, depth + 1)
        except _NoForm as problem:
            problem.path.append(name)
            raise
        return
    emit(b"o" + struct.pack(f"<{len(shape) + 1}Q", len(shape), *shape))
    inside, index = _inside(depth, array.size), 0
    try:
        for index, item in enumerate(array.ravel().tolist()):  # noqa: B007 read where it fails
            _writer_of(item)(item, emit, inside)
    except _NoForm as problem:
        problem.path.append(index)
        raise


_MAYBE_NANS = {
    2: re.compile(rb"[\x7c-\x7f\xfc-\xff]").search,
    4: re.compile(rb"[\x80-\xff][\x7f\xff]").search,
    8: re.compile(rb"[\xf0-\xff][\x7f\xff]").search,
}
"""By the size of a float: finds the last bytes of every NaN, little-endian, and some others. To look through
a few bytes is quicker than numpy's own answer, which is asked for where something is found."""

_FEW_BYTES = 4096


def array_form(array: np.ndarray[Any, Any]) -> tuple[bytes, bytes] | None:
    """Return the canonical form of an array, as what it is and its items; ``None``: it has fields or objects.

    Raises:
        TypeError: its items differ between machines.
    """
    form = _form_of(array.dtype, array.shape)
    if form is None:
        return None
    head, little, swapped, maybe_nans = form
    if swapped:
        array = array.astype(little)
    if maybe_nans is None:
        return head, array.tobytes()
    if array.nbytes <= _FEW_BYTES:
        body = array.tobytes()
        if maybe_nans(body) is None:
            return head, body
    not_numbers = np.isnan(array)
    if not_numbers.any():
        array = np.where(not_numbers, array.dtype.type(np.nan), array).astype(little)
    return head, array.tobytes()


@functools.lru_cache(maxsize=1024)
def _form_of(
    dtype: np.dtype[Any], shape: tuple[int, ...]
) -> tuple[bytes, np.dtype[Any], bool, Callable[[bytes], object] | None] | None:
    """Return an array's head, its dtype in the form, whether it has another one, and what looks for NaNs.

    ``None`` where its items have forms of their own.
    """
    if dtype.names is not None or dtype.hasobject:
        return None
    if dtype.char in "gG":
        raise _NoForm("cannot checksum a longdouble: its size and padding differ between machines")
    little = dtype.newbyteorder("<")
    name = little.str.encode()
    head = b"a" + struct.pack(f"<B{len(shape) + 1}Q", len(name), len(shape), *shape) + name
    size = {"f": dtype.itemsize, "c": dtype.itemsize // 2}.get(dtype.kind)
    return head, little, little != dtype, None if size is None else _MAYBE_NANS[size]


def _write_nothing(_value: None, emit: _Emit, _depth: int) -> None:
    emit(b"N")


def _write_bool(value: bool, emit: _Emit, _depth: int) -> None:  # noqa: FBT001 as all writers
    emit(b"T" if value else b"F")


_WRITERS: dict[type, _Writer] = {
    type(None): _write_nothing,
    bool: _write_bool,
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
    np.generic: _write_scalar,
    **dict.fromkeys(np.sctypeDict.values(), _write_scalar),
}
