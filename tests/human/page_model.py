"""What the scripts of the page do with what comes: ``pieces.js`` and ``screen.js``, in Python."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from gym_p2p.human.encoding import Picture

__all__ = ["Page", "Pieces"]

_MOST_OPEN = 8


class Page:
    """Decodes frames."""

    def __init__(self) -> None:
        self.kept: dict[int, Picture] = {}
        self.exact = True

    def decode(self, data: bytes) -> tuple[int, Picture, int, int]:
        version, flags, number, base, frame, seq, width, height, count = struct.unpack_from(
            ">BBIIiIHHH", data
        )
        assert version == 2
        self.exact = not flags & 2
        picture = np.zeros((height, width, 3), np.uint8) if flags & 1 else self.kept[base].copy()
        body = zlib.decompress(data[24:])
        at = 8 * count
        for x, y, w, h in struct.iter_unpack(">HHHH", body[:at]):
            part = np.frombuffer(body[at : at + w * h * 3], np.uint8).reshape(h, w, 3)
            if flags & 4:
                part = np.cumsum(part, axis=1, dtype=np.uint8)
                part[:, :, ::2] += part[:, :, 1:2]
            picture[y : y + h, x : x + w] = part
            at += w * h * 3
        assert at == len(body)
        self.kept = {n: p for n, p in self.kept.items() if n == base or n > max(base, number - 16)}
        self.kept[number] = picture
        return number, picture, frame, seq


class Pieces:
    """Puts pieces together; the newest whole counts."""

    def __init__(self) -> None:
        self.newest = 0
        self._open: dict[int, dict[int, bytes]] = {}

    def add(self, piece: bytes) -> bytes | None:
        number, index, count = struct.unpack_from(">IHH", piece)
        if number <= self.newest or index >= count:
            return None
        parts = self._open.setdefault(number, {})
        parts[index] = piece[8:]
        if len(parts) < count:
            if len(self._open) > _MOST_OPEN:
                del self._open[min(self._open)]
            return None
        self.newest = number
        self._open = {other: rest for other, rest in self._open.items() if other > number}
        return b"".join(parts[place] for place in range(count))
