"""What the peers' network halves owe us by themselves, whatever their users do, and since when.

A network half acknowledges inputs, reports about those who are gone and hands over the last inputs of its
leaving player without anybody's help. One that answers pings and does none of that is broken, or a liar: it
would hold everybody up who waits for frames to become final, or for an agreement. So whoever owes the same
for a while longer than their path may be silent, :func:`answer_s` at most, is counted as gone. (How long to
wait for what a *user* owes, inputs and the next ``reset``, is for the user's half to decide:
:mod:`gym_p2p.core.sync.patience`.)

Knows counts and times; refuses to know what follows. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.membership import Departures
from gym_p2p.core.match.peer import Peer, PeerState

__all__ = ["REPORT_FRESH_S", "Answers", "answer_s"]

_BEYOND_SILENCE_S = 5.0
"""What a reliable channel takes, once a path carries again, until it sends what was lost meanwhile: its timer
has been doubled a few times by then (RFC 9260, section 6.3)."""

REPORT_FRESH_S = 1.0
"""What a peer says to hold is true for so long; several times the time after which it is said again."""


def answer_s(sync: SyncConfig) -> float:
    """Return how long a network half may owe an answer, at most: longer than any path may be silent.

    Where the players agreed to wait less for a broken path, it is less.
    """
    return max(sync.disconnect_timeout_s, sync.reconnect_timeout_s) + _BEYOND_SILENCE_S


class Answers:
    """What is owed to one player by all others."""

    def __init__(
        self, *, local: int, peers: Mapping[int, Peer], exchange: InputExchange, departures: Departures
    ) -> None:
        self._local = local
        self._peers = peers
        self._exchange = exchange
        self._departures = departures
        self._owed: dict[int, tuple[Hashable, float]] = {}

    def overdue(self, now: float) -> Iterator[Peer]:
        """Yield the peers who owe the same for too long. To be called now and then while there are any."""
        held = self._exchange.held()
        for player, peer in self._peers.items():
            owed = self._owes(peer, held)
            known, since = self._owed.get(player, (None, now))
            if owed is None:
                self._owed.pop(player, None)
            elif owed != known:
                self._owed[player] = owed, now
            elif since + peer.silence_limit_s + _BEYOND_SILENCE_S <= now:
                del self._owed[player]
                yield peer

    def is_held_up(self, peer: Peer, now: float) -> bool:
        """Whether a peer says that it lacks inputs which others or we have given.

        Who lacks some says so again and again: they are sent to them, and answered.
        """
        return peer.lacks(self._exchange.held()) and now <= peer.reported_at + REPORT_FRESH_S

    def excuse(self) -> None:
        """Forget since when anything is owed: we stood still ourselves."""
        self._owed.clear()

    def _owes(self, peer: Peer, held: Sequence[int]) -> Hashable:
        """Return what a peer owes; it changes whenever they make headway. ``None`` is nothing."""
        count = peer.remote_inputs.count
        if peer.playing and self._departures.lacks_report_of(peer):
            return "report"  # who leaves, too: an agreement waits for them as long as they are there
        if peer.state is PeerState.LEAVING:
            return count if peer.final is not None and count < peer.final else None
        if peer.state is not PeerState.PLAYING:
            return None
        # At the next barrier they may have passed it already, and speak of this episode no more.
        if self._exchange.episode + 1 in peer.ready or not held[self._local]:
            return None
        return tuple(peer.received) if self._lacks(peer, held) else None

    def _lacks(self, peer: Peer, held: Sequence[int]) -> bool:
        """Whether a peer lacks what we hold of those who give inputs themselves, or did until they were gone.

        What others give for somebody who is away is not taken by who sees that one come back.
        """
        for player, count in enumerate(held):
            whose = self._peers.get(player)
            counts = whose is None or whose.playing or whose.state is PeerState.GONE
            if counts and player != peer.index and peer.received[player] < count:
                return True
        return False
