"""When a match wants to be looked at again: the least of its peers' deadlines and of its own.

To look for it takes a look at every peer, which is too much for every message. So a time is kept that is
never later than anything is due, and may be too early: who wakes too early finds nothing due, and looks for
the next one. What arrives moves deadlines later, but for one thing: others may lack the inputs that arrived.
These are reported in a while, and an input that a peer lacks is repeated some time after the last message to
that peer: the first such time, whoever lacks anything, is kept from the last look on. Whatever else happens
may move any of them: then what is kept is forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gym_p2p.core.match.barrier import Barrier
from gym_p2p.core.match.checksum_post import ChecksumPost
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.leaving import Leaving
from gym_p2p.core.match.peer import Peer
from gym_p2p.core.match.peer_timers import RESEND_LEAST_S, Due, report_after_s
from gym_p2p.core.match.reaching import Reaching
from gym_p2p.core.match.rerouting import Rerouting
from gym_p2p.core.match.returning import Returning
from gym_p2p.core.match.taking_seat import TakingSeat

__all__ = ["Deadlines"]


class Deadlines:
    """The deadlines of one player's match."""

    def __init__(
        self,
        *,
        local: int,
        peers: Mapping[int, Peer],
        exchange: InputExchange,
        barrier: Barrier,
        leaving: Leaving,
        rerouting: Rerouting,
        returning: Returning,
        checksum_post: ChecksumPost,
    ) -> None:
        self._local = local
        self._peers = peers
        self._exchange = exchange
        self._barrier = barrier
        self._leaving = leaving
        self._rerouting = rerouting
        self._returning = returning
        self._checksum_post = checksum_post
        self.taking_seat: TakingSeat | None = None
        """Of a player who has come back."""
        self.reaching: Reaching | None = None
        """Of the same."""
        self._kept: float | None = None
        self._repeated_at = -math.inf
        self._forgotten = True

    def next(self) -> float | None:
        """Return a time before which nothing is due; ``None`` while there is nothing to wait for."""
        if self._leaving.over:
            return None
        if self._forgotten:
            self._kept, self._forgotten = self._look(), False
        return self._kept

    def forget(self) -> None:
        """Take note that any of them may have moved."""
        self._forgotten = True

    def input_given(self, now: float) -> None:
        """Take note that an input was given, of which all who play got a message: it is repeated later."""
        if self._kept is None:
            self._forgotten = True
        elif now + RESEND_LEAST_S < self._kept:
            tick_s = self._exchange.tick_s
            playing = [peer.repeated_at(tick_s) for peer in self._peers.values() if peer.playing]
            self._repeated_at = min(playing, default=math.inf)
            self._kept = min(self._kept, self._repeated_at)

    def pinged(self, peer: Peer) -> None:
        """Take note of a ping, or an answer to one, over the path in use: the round trip may be shorter."""
        if self._kept is None:
            self._forgotten = True
        else:
            self._repeated_at = min(self._repeated_at, peer.repeated_at(self._exchange.tick_s))
            self._kept = min(self._kept, self._repeated_at)

    def inputs_arrived(self, now: float) -> None:
        """Take note that inputs arrived, and nothing else moved."""
        at = min(self._repeated_at, now + report_after_s(self._exchange.tick_s))
        if at <= now or self._kept is None:
            self._forgotten = True
        elif at < self._kept:
            self._kept = at

    def due(self, peer: Peer, now: float) -> Sequence[Due]:
        """Return what is due, of a peer who is present."""
        return peer.due(self._times(peer), now)

    def _look(self) -> float | None:
        peers = [peer for peer in self._peers.values() if peer.present]
        tick_s = self._exchange.tick_s
        self._repeated_at = min([peer.repeated_at(tick_s) for peer in peers], default=math.inf)
        due = [min(*self._times(peer), self._rerouting.due_at(peer)) for peer in peers]
        own = self._leaving.until, self._barrier.opens_at, self._checksum_post.due_at
        due += [at for at in own if at is not None]
        if self.taking_seat is not None and (until := self.taking_seat.until) is not None:
            due.append(until)
        if self.reaching is not None and (asks_at := self.reaching.due_at) is not None:
            due.append(asks_at)
        due += [at for peer in self._peers.values() if (at := self._returning.due_at(peer)) is not None]
        return min(due, default=None)

    def _times(self, peer: Peer) -> tuple[float, float, float, float]:
        exchange = self._exchange
        return peer.times(exchange.held(), self._local, exchange.tick_s, exchange.unreported_since(peer))
