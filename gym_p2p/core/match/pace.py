"""How fast what was played is told to who comes back by others: no faster than these pass it on.

What is beyond is sent again, all of it from the first gap on: to tell it faster takes longer.

Knows rates; refuses to know what is told. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

from gym_p2p.core.link.bucket import Bucket
from gym_p2p.core.match.forwards import FORWARD_BURST_BYTES, FORWARD_BYTES_PER_S
from gym_p2p.core.match.peer import Peer
from gym_p2p.core.match.ways import SERVICE

__all__ = ["SERVICE_BURST_BYTES", "SERVICE_BYTES_PER_S", "Pace"]

SERVICE_BYTES_PER_S = 24_576
SERVICE_BURST_BYTES = 65_536
"""Of all that one player may send by the service (:mod:`gym_p2p.core.api.relaying`, in base64), to all who
come back: less than its share of control messages (:mod:`gym_p2p.core.link.relay_budget`), so that none is
dropped, and the match goes on beside it."""

_SHARE = 3 / 4
"""Of what a third player passes on from one to another."""

_PIECES_PER_S = 4
"""One piece takes this part of a second: it has to be through before the way counts as silent."""


class Pace:
    """What one player still may tell."""

    def __init__(self) -> None:
        self._by_service = Bucket(SERVICE_BYTES_PER_S, SERVICE_BURST_BYTES)
        self._by_player: dict[int, Bucket] = {}

    @staticmethod
    def piece_bytes(peer: Peer) -> int:
        """Return how much is told a peer at once, by the way that leads to it."""
        by_service = peer.ways.now == SERVICE
        return (SERVICE_BYTES_PER_S if by_service else round(_SHARE * FORWARD_BYTES_PER_S)) // _PIECES_PER_S

    def takes(self, peer: Peer, now: float) -> bool:
        """Whether a piece may be told to a peer now; it is then taken off."""
        return self._bucket(peer).takes(self.piece_bytes(peer), now)

    def takes_at(self, peer: Peer) -> float:
        """Return from when on a piece may be told to a peer."""
        return self._bucket(peer).takes_at(self.piece_bytes(peer))

    def _bucket(self, peer: Peer) -> Bucket:
        if peer.ways.now == SERVICE:
            return self._by_service
        fresh = Bucket(round(_SHARE * FORWARD_BYTES_PER_S), round(_SHARE * FORWARD_BURST_BYTES))
        return self._by_player.setdefault(peer.index, fresh)
