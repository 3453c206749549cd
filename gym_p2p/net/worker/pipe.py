"""How the user's process and its network process talk: length-prefixed frames over a socket pair.

Both ends are the same program on the same machine, so frames are pickles, but for the two that a step
waits for: those are packed by hand, for a pickle would cost more than everything else in a step.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from typing import Any

from gym_p2p.core.match.events import GiveInput, InputsArrived

__all__ = ["FrameReader", "pack"]

_LENGTH = struct.Struct("<I")
_GIVE = struct.Struct("<IBI")
_ARRIVED = struct.Struct("<IBHIQQH")
_GIVE_KIND, _ARRIVED_KIND, _PICKLE_KIND = 1, 2, 3

# A frame is the length of what follows, 4 bytes; what it is, 1 byte; and that. All three structures begin so.


def pack(value: Any) -> bytes:
    """Return the frame of a value; ``(timestamp_ms, InputsArrived)`` and ``GiveInput`` are quick."""
    if type(value) is GiveInput:
        data = value.data
        return _GIVE.pack(_GIVE.size - _LENGTH.size + len(data), _GIVE_KIND, value.frame) + data
    if type(value) is tuple and type(value[1]) is InputsArrived:
        return _pack_arrived(*value)
    body = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(1 + len(body)) + bytes((_PICKLE_KIND,)) + body


def _pack_arrived(timestamp_ms: int, event: InputsArrived) -> bytes:
    inputs = event.inputs
    body = b"".join([len(data).to_bytes(2, "little") + data for data in inputs])
    size = _ARRIVED.size - _LENGTH.size + len(body)
    head = _ARRIVED.pack(
        size, _ARRIVED_KIND, event.player, event.start, timestamp_ms, event.confirmed, len(inputs)
    )
    return head + body


def _unpack(data: bytes, at: int, end: int) -> Any:
    """Return the value of the frame that is at these bytes."""
    kind = data[at + _LENGTH.size]
    if kind == _GIVE_KIND:
        return GiveInput(_GIVE.unpack_from(data, at)[2], data[at + _GIVE.size : end])
    if kind == _ARRIVED_KIND:
        return _unpack_arrived(data, at)
    body = memoryview(data)[at + _LENGTH.size + 1 : end]
    return pickle.loads(body)  # noqa: S301 - from the other half of this very program


def _unpack_arrived(data: bytes, at: int) -> tuple[int, InputsArrived]:
    _, _, player, start, timestamp_ms, confirmed, count = _ARRIVED.unpack_from(data, at)
    at += _ARRIVED.size
    inputs = []
    for _ in range(count):
        end = at + 2 + int.from_bytes(data[at : at + 2], "little")
        inputs.append(data[at + 2 : end])
        at = end
    return timestamp_ms, InputsArrived(player, start, tuple(inputs), confirmed)


class FrameReader:
    """Cuts a stream of bytes back into values."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        """What came of frames that are not complete."""
        self._missing = _LENGTH.size
        """How many bytes must come at least until one is, or until its length is known."""

    def feed(self, data: bytes) -> Iterator[Any]:
        """Take in bytes; return the values that are complete, each of which is read when it is wanted.

        All of them are to be taken before the next call.
        """
        self._missing -= len(data)
        if self._pieces or self._missing > 0:
            self._pieces.append(data)
            if self._missing > 0:
                return
            data = b"".join(self._pieces)
        at, size = 0, len(data)
        end = _LENGTH.size  # of what has to be there next: a length, or the frame that it is of
        while end <= size:
            end += _LENGTH.unpack_from(data, at)[0]
            if end <= size:
                yield _unpack(data, at, end)
                at, end = end, end + _LENGTH.size
        self._pieces = [data[at:]] if at < size else []
        self._missing = end - size
