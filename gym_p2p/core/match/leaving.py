"""The local player leaves: what the others still need of us, and we of them, is waited for, not for long.

Who leaves has mostly said much just before: the digests of the last frames, and the goodbye. A link's ordered
channel brings them over as long as it carries, and what takes another way is repeated only by who is there.
So a leaver stays until everybody has said to hold all of it: their pings tell how much, and one answers a
goodbye at once. Over a path that carries that takes a round trip. Whose path is being repaired, or leads over
others, is waited for longer: another way, or another link, takes that long.

Why two who leave at once both end: who has said goodbye needs that of nobody else. What each had sent before
it they tell each other to hold, the last time as they go; then their links and lines close, which says that
nothing is wanted any more.

Knows since when we leave and who lacks what; refuses to know how it is sent. Times are monotonic seconds,
passed in.
"""

from __future__ import annotations

from collections.abc import Mapping

from gym_p2p.core.match.commands import Leave
from gym_p2p.core.match.comparison import Comparison
from gym_p2p.core.match.forwards import Forwards
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.membership import Departures
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.match.ways import DIRECT
from gym_p2p.core.wire.messages import Goodbye

__all__ = ["CARRIED_S", "LINGER_S", "REPAIRED_S", "Leaving"]

LINGER_S = 1.0
"""After a goodbye, what is owed by players who are there, and may never give it, is waited for this long."""

REPAIRED_S = 3.0
"""The same for what has to pass a path that does not carry, or leads over others: twice what it takes to
notice that (``disconnect_notice_s``, 0.5), to leave it (``LEFT_AFTER_S``), and to take another way."""

CARRIED_S = 0.3
"""After the newest message that we passed on for two who are both there: somewhat more than the longest time
between two (``KEEP_ALIVE_S``). They may have no other way, and be leaving as well."""


class Leaving:
    """The local player's way out of one match.

    Attributes:
        since: when the goodbye was said, later by the time for which we stood still; ``None`` before that.
        over: whether nothing is waited for any more.
    """

    def __init__(
        self,
        *,
        peers: Mapping[int, Peer],
        exchange: InputExchange,
        departures: Departures,
        comparison: Comparison,
        forwards: Forwards,
        seals: Seals,
    ) -> None:
        self._peers = peers
        self._exchange = exchange
        self._departures = departures
        self._comparison = comparison
        self._forwards = forwards
        self._seals = seals
        self.since: float | None = None
        self.over = False
        self._said_before: dict[int, int] = {}
        """How many control messages to each player came before our goodbye."""

    @property
    def until(self) -> float | None:
        """When it is over at the latest, as things stand; ``None`` before the goodbye."""
        if self.since is None:
            return None
        ends = [self.since + LINGER_S if self._departures.open else self.since]
        ends.append(min(self._forwards.carried_at + CARRIED_S, self.since + LINGER_S))
        ends += [self._waits_until(peer, self.since) for peer in self._peers.values() if peer.present]
        return max(ends)

    def goodbye(self, command: Leave) -> Goodbye:
        """Return our goodbye, for everybody; it comes after all else that we say by ourselves."""
        for player, peer in self._peers.items():
            self._said_before[player] = peer.control.sent
        exchange = self._exchange
        return self._seals.sealed(
            Goodbye(command.reason, exchange.episode, exchange.given, command.lost, command.cause, ())
        )

    def excuse(self, awake_at: float, now: float) -> None:
        """Wait for so much longer: we stood still ourselves, and nobody could give us what they owe.

        Args:
            awake_at: from when on.
            now: until now; of whoever said goodbye in between, only from then on.
        """
        if self.since is not None:
            self.since += now - max(awake_at, self.since)

    def finish(self, now: float) -> bool:
        """Return whether it is over by now; only once."""
        if self.since is None or self.over:
            return False
        for peer in self._peers.values():
            peer.ways.owed_since = self.since if self.is_owed_words(peer) else None
        until = self.until
        self.over = until is not None and until <= now
        return self.over

    def is_owed_words(self, peer: Peer) -> bool:
        """Whether a player has not said to hold what we said; who has said goodbye can do without ours."""
        if not peer.greeted or _has_hung_up(peer):
            return False
        leaves = peer.state is PeerState.LEAVING
        return peer.control.delivered < (
            self._said_before.get(peer.index, 0) if leaves else peer.control.sent
        )

    def _waits_until(self, peer: Peer, since: float) -> float:
        """Return until when a player who is there is waited for; ``since``, where nothing is owed.

        Who has closed their line to the service after their own goodbye wants nothing any more; whose process
        has mostly ended gets no more time for a way.
        """
        words = self.is_owed_words(peer)
        owed = words or (peer.playing and self._exchange.lacks_ours(peer))
        awaited = peer.state is PeerState.PLAYING and self._comparison.awaits([peer.index])
        if _has_hung_up(peer) or not (owed or awaited):
            return since
        if peer.closed_at is not None or peer.line_closed_at is not None:
            return since + LINGER_S
        around = peer.interrupted or peer.control.held_back or peer.ways.now is not DIRECT
        if words or around or peer.lacks(self._exchange.held()):
            return since + REPAIRED_S
        return min(max(since, peer.ways.carries_since) + LINGER_S, since + REPAIRED_S)


def _has_hung_up(peer: Peer) -> bool:
    """Whether a player has said goodbye, and closed their line to the service as they do at the end."""
    return peer.state is PeerState.LEAVING and peer.line_closed_at is not None and not peer.line_cut_off
