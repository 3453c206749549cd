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
_GIVE = struct.Struct("<BI")
_ARRIVED = struct.Struct("<BHIQQH")
_GIVE_KIND, _ARRIVED_KIND, _PICKLE_KIND = 1, 2, 3


def pack(value: Any) -> bytes:
    """Return the frame of a value; ``(timestamp_ms, InputsArrived)`` and ``GiveInput`` are quick."""
    if type(value) is GiveInput:
        body = _GIVE.pack(_GIVE_KIND, value.frame) + value.data
    elif type(value) is tuple and type(value[1]) is InputsArrived:
        body = _pack_arrived(*value)
    else:
        body = bytes((_PICKLE_KIND,)) + pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


def _pack_arrived(timestamp_ms: int, event: InputsArrived) -> bytes:
    parts = [
        _ARRIVED.pack(
            _ARRIVED_KIND, event.player, event.start, timestamp_ms, event.confirmed, len(event.inputs)
        )
    ]
    for data in event.inputs:
        parts.append(len(data).to_bytes(2, "little"))
        parts.append(data)
    return b"".join(parts)


def _unpack(body: bytes) -> Any:
    kind = body[0]
    if kind == _GIVE_KIND:
        return GiveInput(_GIVE.unpack_from(body)[1], body[_GIVE.size :])
    if kind == _ARRIVED_KIND:
        return _unpack_arrived(body)
    return pickle.loads(memoryview(body)[1:])  # noqa: S301 - from the other half of this very program


def _unpack_arrived(body: bytes) -> tuple[int, InputsArrived]:
    _, player, start, timestamp_ms, confirmed, count = _ARRIVED.unpack_from(body)
    at = _ARRIVED.size
    inputs = []
    for _ in range(count):
        size = int.from_bytes(body[at : at + 2], "little")
        inputs.append(body[at + 2 : at + 2 + size])
        at += 2 + size
    return timestamp_ms, InputsArrived(player, start, tuple(inputs), confirmed)


class FrameReader:
    """Cuts a stream of bytes back into values."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """Take in bytes; return the values that are complete."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(buffer)
            end = _LENGTH.size + size
            if len(buffer) < end:
                return
            body = bytes(buffer[_LENGTH.size : end])
            del buffer[:end]
            yield _unpack(body)
