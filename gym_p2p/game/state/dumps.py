"""States as they travel at a desync: packed, unpacked within bounds, compared.

A packed state is its fields as JSON, compressed (zlib). What another player packed may be anything: whatever
it is, :func:`compare` ends, and takes no more than the bounds of the JSON allow. That may still be seconds,
so it is called in a process of its own (:mod:`gym_p2p.play.state_comparer`). It refuses to know of processes,
and of matches.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import msgspec

from gym_p2p.core.match.state_transfer import MAX_STATE_BYTES
from gym_p2p.core.wire.bounded_json import JsonBounds, decode_json
from gym_p2p.errors import ProtocolError
from gym_p2p.game.state.fields import FieldDifference, Fields, differences
from gym_p2p.game.state.fields_json import fields_from_json, value_to_json

__all__ = ["MAX_PLAIN_BYTES", "Comparison", "NoStateError", "compare", "pack"]

MAX_PLAIN_BYTES = 4 * MAX_STATE_BYTES
"""Of a state as JSON. Both players' are kept with the match, and written into its documents."""

_BOUNDS = JsonBounds(size_bytes=MAX_PLAIN_BYTES, values=100_000, text_bytes=MAX_PLAIN_BYTES)
"""An array is one text, however large it is; a list of numbers is as many values."""


class NoStateError(ValueError):
    """What should be a packed state is none, or is larger than one may be; its text says which."""


@attrs.frozen
class Comparison:
    """Two states, and in what they differ.

    Attributes:
        differences: as :func:`~gym_p2p.game.state.fields.differences` returns them.
        ours: our fields as JSON.
        theirs: theirs.
    """

    differences: list[FieldDifference]
    ours: bytes
    theirs: bytes


def pack(fields: Fields, *, breathe: Callable[[], None] = lambda: None) -> bytes:
    """Return a state packed.

    Args:
        fields: the state.
        breathe: is called after every field, for who packs beside something that must not wait.

    Raises:
        NoStateError: it is larger than a state may be that travels.
    """
    packer = zlib.compressobj()
    packed, size_bytes, separator = [], 0, b"{"
    for path, value in fields.items():
        shown = path.encode("utf-8", "backslashreplace").decode()
        text = separator + msgspec.json.encode(shown) + b":" + msgspec.json.encode(value_to_json(value))
        size_bytes += len(text)
        if size_bytes >= MAX_PLAIN_BYTES:
            raise NoStateError(f"it has more than {MAX_PLAIN_BYTES} bytes as JSON")
        packed.append(packer.compress(text))
        separator = b","
        breathe()
    packed.append(packer.compress(b"}" if fields else b"{}"))
    data = b"".join([*packed, packer.flush()])
    if len(data) > MAX_STATE_BYTES:
        raise NoStateError(f"it has more than {MAX_STATE_BYTES} bytes, packed")
    return data


def compare(ours: bytes, theirs: bytes) -> Comparison:
    """Compare two packed states, of which the second may be anything.

    Raises:
        NoStateError: one is no state.
    """
    our_data, their_data = _unpacked(ours), _unpacked(theirs)
    try:
        found = differences(fields_from_json(our_data), fields_from_json(their_data))
    except Exception as error:  # noqa: BLE001 - bytes that are no item of their dtype are even a SystemError
        raise NoStateError(f"it cannot be read ({type(error).__name__})") from None
    return Comparison(found, msgspec.json.encode(our_data), msgspec.json.encode(their_data))


def _unpacked(data: bytes) -> Mapping[str, Any]:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, MAX_PLAIN_BYTES)
    except zlib.error:
        raise NoStateError("it cannot be unpacked") from None
    if not unpacker.eof or unpacker.unused_data:
        raise NoStateError(f"it is cut off, or has more than {MAX_PLAIN_BYTES} bytes as JSON")
    try:
        found = decode_json(text, _BOUNDS)
    except ProtocolError as error:
        raise NoStateError(error.problem) from None
    if not isinstance(found, dict):
        raise NoStateError("it is no mapping")
    return found
