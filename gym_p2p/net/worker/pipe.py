"""How the user's process and its network process talk: length-prefixed frames over a socket pair.

Both ends are the same program on the same machine, so frames are pickles, but for the two that a step
waits for: those are MessagePack of their classes, for a pickle would cost as much as several other parts of a
step. A frame is the length of its body, 4 bytes; what the body is, 1 byte; and the body.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from gym_p2p.core.match.commands import GiveInput
from gym_p2p.core.match.events import InputsArrived

__all__ = ["FrameReader", "pack"]

_HEAD = struct.Struct("<IB")
_GIVE, _ARRIVED, _PICKLE = 1, 2, 3

_encode = msgspec.msgpack.Encoder().encode
_given = msgspec.msgpack.Decoder(GiveInput)
_arrived = msgspec.msgpack.Decoder(tuple[int, InputsArrived])


def pack(value: Any) -> bytes:
    """Return the frame of a value; ``(timestamp_ms, InputsArrived)`` and ``GiveInput`` are quick."""
    if type(value) is GiveInput:
        kind, body = _GIVE, _encode(value)
    elif type(value) is tuple and type(value[1]) is InputsArrived:
        kind, body = _ARRIVED, _encode(value)
    else:
        kind, body = _PICKLE, pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return _HEAD.pack(len(body), kind) + body


def _unpack(kind: int, body: bytes) -> Any:
    if kind == _GIVE:
        return _given.decode(body)
    if kind == _ARRIVED:
        return _arrived.decode(body)
    return pickle.loads(body)  # noqa: S301 - from the other half of this very program


class FrameReader:
    """Cuts a stream of bytes back into values."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        """What came of frames that are not complete."""
        self._missing = _HEAD.size
        """How many bytes must come at least until one is, or until its length is known."""

    def feed(self, data: bytes) -> Iterable[Any]:
        """Take in bytes; return the values that are complete, each of which is read when it is wanted.

        All of them are to be taken before the next call.
        """
        if not self._pieces and len(data) > _HEAD.size:
            length, kind = _HEAD.unpack_from(data)
            if length + _HEAD.size == len(data):  # nearly always, and of these two kinds
                body = data[_HEAD.size :]
                if kind == _ARRIVED:
                    return (_arrived.decode(body),)
                return (_given.decode(body) if kind == _GIVE else _unpack(kind, body),)
        return self._cut(data)

    def _cut(self, data: bytes) -> Iterator[Any]:
        self._missing -= len(data)
        if self._pieces or self._missing > 0:
            self._pieces.append(data)
            if self._missing > 0:
                return
            data = b"".join(self._pieces)
        at, size = 0, len(data)
        body = end = _HEAD.size  # of what has to be there next: a head, or the frame that it is of
        while end <= size:
            length, kind = _HEAD.unpack_from(data, at)
            end = body + length
            if end <= size:
                yield _unpack(kind, data[body:end])
                at, body = end, end + _HEAD.size
                end = body
        self._pieces = [data[at:]] if at < size else []
        self._missing = end - size
