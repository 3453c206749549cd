"""The parts of one player's match, and what each of them knows of the others.

A part is given what it works with when it is made; so this is the order in which they can be made, and the
one place that shows who uses whom. What they do together is :mod:`gym_p2p.core.match.match`'s to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.answers import Answers
from gym_p2p.core.match.barrier import Barrier
from gym_p2p.core.match.catching_up import CatchingUp, Comeback
from gym_p2p.core.match.checksum_post import ChecksumPost
from gym_p2p.core.match.comparison import Comparison
from gym_p2p.core.match.course import Course
from gym_p2p.core.match.deadlines import Deadlines
from gym_p2p.core.match.forwards import Forwards
from gym_p2p.core.match.handshake import Handshake
from gym_p2p.core.match.history import History
from gym_p2p.core.match.inbox import Inbox
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.keeping import Keeping
from gym_p2p.core.match.leaving import Leaving
from gym_p2p.core.match.membership import Departures
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.peer import Peer
from gym_p2p.core.match.reaching import Reaching
from gym_p2p.core.match.reconnecting import Reconnecting
from gym_p2p.core.match.refusing import Refusing
from gym_p2p.core.match.rerouting import Rerouting
from gym_p2p.core.match.returning import Returning
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.match.taking_seat import TakingSeat
from gym_p2p.core.match.ways_round import WaysRound

__all__ = ["Parts"]


class Parts:
    """All of them; the arguments are those of :class:`~gym_p2p.core.match.match.Match`."""

    def __init__(
        self,
        *,
        local: int,
        players: int,
        description: Mapping[str, Any],
        match_seed: int,
        sync: SyncConfig,
        secret: bytes,
        comeback: Comeback | None,
        relay: Literal["service", "players", "none"],
        relay_above_ms: float,
    ) -> None:
        self.peers = peers = {
            i: Peer(index=i, sync=sync, players=players) for i in range(players) if i != local
        }
        incarnation, theirs = (0, {}) if comeback is None else (comeback.incarnation, comeback.keys)
        self.seals = Seals(secret, players=players, incarnation=incarnation, theirs=theirs)
        forwards = Forwards(local=local, peers=peers, seals=self.seals)
        self.outputs = Outputs(peers, forwards)
        self.handshake = handshake = Handshake(
            description,
            peers,
            self.seals,
            reconnect_ms=round(sync.reconnect_timeout_s * 1e3),
            rejoin_ms=round(sync.rejoin_timeout_s * 1e3),
        )
        self.barrier = barrier = Barrier(local=local, peers=peers, match_seed=match_seed)
        self.exchange = exchange = InputExchange(local=local, peers=peers, paced=sync.fps is not None)
        self.departures = departures = Departures(
            local=local,
            peers=peers,
            exchange=exchange,
            barrier=barrier,
            handshake=handshake,
            seals=self.seals,
        )
        self.answers = Answers(local=local, peers=peers, exchange=exchange, departures=departures)
        self.comparison = comparison = Comparison(local=local, players=players)
        self.checksum_post = ChecksumPost(peers, self.outputs)
        self.leaving = Leaving(
            peers=peers,
            exchange=exchange,
            departures=departures,
            comparison=comparison,
            forwards=forwards,
            seals=self.seals,
        )
        self._add_paths(local, sync, relay, relay_above_ms / 1e3)
        self._add_course(local, sync)
        self._add_inbox(local, forwards)
        self.taking_seat = None if comeback is None else self._take_seat(local, players, sync)

    def _add_paths(
        self, local: int, sync: SyncConfig, relay: Literal["service", "players", "none"], rtt_most_s: float
    ) -> None:
        """Add what sees to paths, and to the processes at their other ends."""
        self.ways_round = WaysRound(self.peers, self.seals, relay)
        self.rerouting = Rerouting(
            local=local,
            peers=self.peers,
            outputs=self.outputs,
            exchange=self.exchange,
            handshake=self.handshake,
            seals=self.seals,
            sync=sync,
            ways_round=self.ways_round,
            rtt_most_s=rtt_most_s,
        )
        self.reconnecting = Reconnecting(
            self.peers, outputs=self.outputs, seals=self.seals, rerouting=self.rerouting
        )
        if sync.rejoin_timeout_s:
            self.exchange.history = History(len(self.peers) + 1)
        self.returning = Returning(
            local=local,
            peers=self.peers,
            outputs=self.outputs,
            handshake=self.handshake,
            barrier=self.barrier,
            exchange=self.exchange,
            ways_round=self.ways_round,
            acts=acts_for_away(sync),
        )

    def _add_course(self, local: int, sync: SyncConfig) -> None:
        """Add what the match goes on by: what is due, and who plays for whom."""
        self.deadlines = Deadlines(
            local=local,
            peers=self.peers,
            exchange=self.exchange,
            barrier=self.barrier,
            leaving=self.leaving,
            rerouting=self.rerouting,
            returning=self.returning,
            checksum_post=self.checksum_post,
        )
        self.course = Course(
            local=local,
            peers=self.peers,
            outputs=self.outputs,
            barrier=self.barrier,
            exchange=self.exchange,
            departures=self.departures,
            comparison=self.comparison,
        )
        self.keeping = Keeping(
            acts=acts_for_away(sync),
            local=local,
            peers=self.peers,
            outputs=self.outputs,
            barrier=self.barrier,
            exchange=self.exchange,
            departures=self.departures,
            course=self.course,
        )
        self.reaching = self.deadlines.reaching = Reaching(
            self.peers,
            outputs=self.outputs,
            seals=self.seals,
            rerouting=self.rerouting,
            ways_round=self.ways_round,
            returning=self.returning,
            departures=self.departures,
            course=self.course,
            leaving=self.leaving,
            exchange=self.exchange,
            reconnecting=self.reconnecting,
        )

    def _add_inbox(self, local: int, forwards: Forwards) -> None:
        """Add what takes in all that comes over the paths."""
        self.refusing = Refusing(
            local=local,
            peers=self.peers,
            outputs=self.outputs,
            rerouting=self.rerouting,
            exchange=self.exchange,
            departures=self.departures,
            course=self.course,
        )
        self.inbox = Inbox(
            outputs=self.outputs,
            handshake=self.handshake,
            barrier=self.barrier,
            exchange=self.exchange,
            departures=self.departures,
            comparison=self.comparison,
            checksum_post=self.checksum_post,
            course=self.course,
            leaving=self.leaving,
            returning=self.returning,
            keeping=self.keeping,
            refusing=self.refusing,
            rerouting=self.rerouting,
            ways_round=self.ways_round,
            reaching=self.reaching,
            forwards=forwards,
            deadlines=self.deadlines,
        )

    def _take_seat(self, local: int, players: int, sync: SyncConfig) -> TakingSeat:
        """Return what takes the seat again of a player who has come back."""
        history = self.exchange.history or History(players)
        catching_up = CatchingUp(
            local=local, peers=self.peers, outputs=self.outputs, history=history, looks_on=acts_for_away(sync)
        )
        self.inbox.catching_up = catching_up
        taking_seat = self.deadlines.taking_seat = TakingSeat(
            catching_up,
            local=local,
            peers=self.peers,
            outputs=self.outputs,
            handshake=self.handshake,
            barrier=self.barrier,
            exchange=self.exchange,
            departures=self.departures,
            comparison=self.comparison,
            course=self.course,
            limit_s=sync.rejoin_timeout_s,
            on_known=self.inbox.end_catching_up,
            handle=self.inbox.handle_late,
        )
        return taking_seat


def acts_for_away(sync: SyncConfig) -> bool:
    """Whether others act for who is away, and the match goes on."""
    return sync.rejoin_timeout_s > 0 and sync.while_away != "pause"
