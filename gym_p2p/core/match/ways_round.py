"""Which ways there are from one player to another, beside the direct one.

A third player comes before the service: two direct paths take less time than TCP to a server and back, and
nothing depends on the service that did not before. Whom a player has never greeted is known to no third one.

Knows who may pass messages on, and whom that reaches; refuses to know which way is taken, and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.match.ways import SERVICE, Way, WayKind, through

__all__ = ["WaysRound"]


class WaysRound:
    """Those of one player.

    Args:
        peers: all others, by index.
        seals: who has greeted us, or a process of ours before.
        relay: who may pass messages on, as :attr:`gym_p2p.config.LinkConfig.relay` says.

    Attributes:
        service_up: whether the service can pass messages on now; before it is said it cannot.
    """

    def __init__(
        self, peers: Mapping[int, Peer], seals: Seals, relay: Literal["service", "players", "none"]
    ) -> None:
        self._peers = peers
        self._seals = seals
        self._kinds = {
            "service": frozenset({WayKind.DIRECT, WayKind.PLAYER, WayKind.SERVICE}),
            "players": frozenset({WayKind.DIRECT, WayKind.PLAYER}),
            "none": frozenset({WayKind.DIRECT}),
        }[relay]
        self.service_up = False

    def allow(self, kind: WayKind) -> bool:
        """Whether this player takes, and passes on, what comes over a kind of way."""
        return kind in self._kinds

    @property
    def are_any(self) -> bool:
        """Whether there may ever be one."""
        return len(self._kinds) > 1

    def leads_on(self, way: Way) -> bool:
        """Whether what goes a way can still be passed on, as far as it is seen from here."""
        return way.via is None or self._peers[way.via].plays_directly

    def to(self, peer: Peer) -> list[Way]:
        """Return those to a player, the best first."""
        ways: list[Way] = []
        if self.allow(WayKind.PLAYER) and self._seals.knows(peer.index):
            ways += [
                through(player)
                for player, other in self._peers.items()
                if other is not peer and _carries(other)
            ]
        if self.allow(WayKind.SERVICE) and self.service_up:
            ways.append(SERVICE)
        return ways


def _carries(other: Peer) -> bool:
    """Whether a third player can be sent what is for somebody else."""
    stays = other.state is PeerState.PLAYING and not other.interrupted
    return stays and other.plays_directly and not other.control.held_back
