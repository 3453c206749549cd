"""What is longer than one message of a link may be: cut into fragments, and put together again.

Knows sizes and order; refuses to know what is in the bytes. A fragment is its kind, three numbers of one byte
each, and a piece of the whole::

    0x06 | number | index | count | piece

This layout and the first two bytes of a greeting (:mod:`gym_p2p.core.wire.codec`) are the same in every
version of the protocol: a greeting is often longer than one message, and has to be understood by all.
"""

from __future__ import annotations

from gym_p2p.errors import ProtocolError

__all__ = ["MAX_CTRL_BYTES", "MAX_MESSAGE_BYTES", "Reassembler", "is_fragment", "split"]

MAX_MESSAGE_BYTES = 1160
"""One SCTP chunk of aiortc (its ``USERDATA_MAX_LENGTH``): a longer message costs two datagrams."""

MAX_CTRL_BYTES = 65_536
"""A control message put together from fragments; a handshake is a few kilobytes."""

_KIND = 0x06
"""No first byte of a message in MessagePack, and no greeting's."""
_HEAD_BYTES = 4
_PIECE_BYTES = MAX_MESSAGE_BYTES - _HEAD_BYTES
_MAX_COUNT = 58
"""What a whole of :data:`MAX_CTRL_BYTES` needs, and one more: pieces of version 1 were a little shorter."""
_NUMBERS = 128
"""Below it a byte is the same number in this layout and as a varint, which it was in version 1."""


def split(data: bytes, number: int) -> list[bytes]:
    """Return the messages that carry ``data``: itself, or as many fragments as it needs.

    Args:
        data: an encoded message for the ordered channel.
        number: tells this message's fragments from those before and after it; the caller counts up.

    Raises:
        ValueError: it is longer than :data:`MAX_CTRL_BYTES`, which nobody would take.
    """
    if len(data) <= MAX_MESSAGE_BYTES:
        return [data]
    if len(data) > MAX_CTRL_BYTES:
        raise ValueError(f"a message of {len(data)} bytes cannot be sent; at most {MAX_CTRL_BYTES} can")
    pieces = [data[at : at + _PIECE_BYTES] for at in range(0, len(data), _PIECE_BYTES)]
    return [
        bytes((_KIND, number % _NUMBERS, index, len(pieces))) + piece for index, piece in enumerate(pieces)
    ]


def is_fragment(data: bytes) -> bool:
    """Whether a message of a link is a part of a longer one."""
    return data[:1] == bytes((_KIND,))


class Reassembler:
    """Puts the fragments of one peer's messages together (the channel keeps their order)."""

    def __init__(self) -> None:
        self._number = -1
        self._pieces: list[bytes] = []
        self._size_bytes = 0

    def add(self, data: bytes) -> bytes | None:
        """Take a message or a fragment of one; return the whole message once it is here.

        Raises:
            ProtocolError: the fragment does not continue what came before, or the whole is too long.
        """
        if not data or data[0] != _KIND:
            return data
        if len(data) < _HEAD_BYTES:
            raise ProtocolError("truncated message")
        _, number, index, count = data[:_HEAD_BYTES]
        if index == 0:
            self._begin(number)
        if number != self._number or index != len(self._pieces) or index >= count:
            self._begin(-1)
            raise ProtocolError("fragment out of order")
        self._pieces.append(data[_HEAD_BYTES:])
        self._size_bytes += len(data) - _HEAD_BYTES
        if count > _MAX_COUNT or self._size_bytes > MAX_CTRL_BYTES:
            self._begin(-1)
            raise ProtocolError("message too long")
        if len(self._pieces) < count:
            return None
        whole = b"".join(self._pieces)
        self._begin(-1)
        return whole

    def _begin(self, number: int) -> None:
        self._number, self._pieces, self._size_bytes = number, [], 0
