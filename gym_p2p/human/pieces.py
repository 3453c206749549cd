"""Messages to a page in pieces, for a channel that loses some, delivers others late, and takes small ones.

Knows sizes and numbers; refuses to know what is in the bytes. A piece has a head, in network order, and a
part of the whole::

    number u32 | index u16 | count u16 | part

``number`` counts the wholes. The page goes by the newest: pieces of a whole that is older than one that is
complete are of no use any more (``page/pieces.js``).
"""

from __future__ import annotations

import struct

from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES

__all__ = ["split"]

_HEAD = struct.Struct(">IHH")
_PART_BYTES = MAX_MESSAGE_BYTES - _HEAD.size


def split(number: int, data: bytes) -> list[bytes]:
    """Return the pieces of a whole, each at most :data:`~gym_p2p.core.wire.fragments.MAX_MESSAGE_BYTES` long.

    Args:
        number: of the whole, above those before it.
        data: of one byte at least, and of 2**16 pieces at most: 72 MiB, which no picture has.
    """
    count = -(-len(data) // _PART_BYTES)
    return [
        _HEAD.pack(number, index, count) + data[index * _PART_BYTES : (index + 1) * _PART_BYTES]
        for index in range(count)
    ]
