"""The local player leaves: what the others still need of us is waited for, not for long.

Knows since when we leave and who lacks what; refuses to know how it is sent. Times are monotonic seconds,
passed in.
"""

from __future__ import annotations

from collections.abc import Mapping

from gym_p2p.core.match.comparison import Comparison
from gym_p2p.core.match.events import Leave
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.membership import Departures
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.wire.messages import Goodbye

__all__ = ["LINGER_S", "Leaving"]

LINGER_S = 1.0
"""After a goodbye, unacknowledged inputs are repeated for at most this long."""


class Leaving:
    """The local player's way out of one match.

    Attributes:
        since: when the goodbye was said; ``None`` before that.
        over: whether nothing is waited for any more.
    """

    def __init__(
        self,
        *,
        peers: Mapping[int, Peer],
        exchange: InputExchange,
        departures: Departures,
        comparison: Comparison,
    ) -> None:
        self._peers = peers
        self._exchange = exchange
        self._departures = departures
        self._comparison = comparison
        self.since: float | None = None
        self.over = False

    @property
    def until(self) -> float | None:
        """When it is over at the latest; ``None`` before the goodbye."""
        return None if self.since is None else self.since + LINGER_S

    def goodbye(self, command: Leave, seals: Seals) -> Goodbye:
        """Return our goodbye, for everybody."""
        exchange = self._exchange
        return seals.sealed(
            Goodbye(command.reason, exchange.episode, exchange.given, command.lost, command.cause, ())
        )

    def finish(self, now: float) -> bool:
        """Return whether it is over by now; only once."""
        until = self.until
        if until is None or self.over:
            return False
        self.over = not self._owe() or until <= now
        return self.over

    def _owe(self) -> bool:
        """Whether somebody lacks inputs, a checksum or an agreement that we may have a part in."""
        peers = self._peers.items()
        playing = [player for player, peer in peers if peer.state is PeerState.PLAYING]
        lacks = any(peer.playing and self._exchange.lacks_ours(peer) for _, peer in peers)
        return lacks or self._comparison.awaits(playing) or self._departures.open
