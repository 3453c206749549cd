"""States that travel at a desync: cut into parts, put together again, within limits.

Knows bytes; refuses to know what a state is. A peer may send one state a match, and only of a frame at which
our checksums differed: nobody can be made to hold more than :data:`MAX_STATE_BYTES` for a peer.
"""

from __future__ import annotations

from collections.abc import Sequence

from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES
from gym_p2p.core.wire.messages import StatePart
from gym_p2p.errors import ProtocolError

__all__ = ["MAX_STATE_BYTES", "StateTransfers", "state_parts"]

MAX_STATE_BYTES = 2**20
"""Compressed. Atari's states take some kilobytes."""

_PART_BYTES = MAX_CTRL_BYTES // 2
_MAX_PARTS = MAX_STATE_BYTES // _PART_BYTES


def state_parts(episode: int, frame: int, data: bytes) -> Sequence[StatePart]:
    """Return the messages that carry a state; none where it is too large."""
    if not 0 < len(data) <= MAX_STATE_BYTES:
        return ()
    pieces = [data[at : at + _PART_BYTES] for at in range(0, len(data), _PART_BYTES)]
    return [StatePart(episode, frame, index, len(pieces), piece) for index, piece in enumerate(pieces)]


class StateTransfers:
    """The states that peers send at a desync."""

    def __init__(self) -> None:
        self._expected: dict[int, tuple[int, int]] = {}
        self._parts: dict[int, list[bytes]] = {}

    def expect(self, player: int, episode: int, frame: int) -> None:
        """Note that a player's checksum differed; the first such frame is the one whose state it may send."""
        self._expected.setdefault(player, (episode, frame))

    def add(self, player: int, part: StatePart) -> bytes | None:
        """Take a part, which come in order; return the state once it is whole.

        Raises:
            ProtocolError: it was not expected, or is out of order or too large.
        """
        parts = self._parts.setdefault(player, [])
        expected = self._expected.get(player) == (part.episode, part.frame)
        in_order = part.index == len(parts) and part.index < part.count <= _MAX_PARTS
        if not expected or not in_order or not 0 < len(part.data) <= _PART_BYTES:
            raise ProtocolError("unexpected state")
        parts.append(part.data)
        if len(parts) < part.count:
            return None
        self._expected[player] = (0, 0)  # no episode: nothing more is taken
        self._parts[player] = []
        return b"".join(parts)
