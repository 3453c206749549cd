"""The vocabulary of the queues: what somebody says who joins one, and what they ask of the service.

Requests must be carried out, in their order; events may be ignored. It knows no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.core.announce import MAX_PLAYERS, MAX_SPECTATORS, SeatId, is_seat_id
from gym_p2p.core.estimates import MAX_RTT_MS
from gym_p2p.core.lobby import is_public_id
from gym_p2p.core.matchmaking import GroupHistory, QueuedCandidate
from gym_p2p.core.plans import RequestProbe
from gym_p2p.core.queue_news import MatchProbe, PairMeasured, worst_rtt_ms

__all__ = [
    "EndProbe",
    "LogDecision",
    "MakeMatch",
    "MeasurePair",
    "Output",
    "ProposedMatch",
    "QueueTicket",
    "QueuedPlayer",
    "Tell",
    "spectators_problem",
]


@attrs.frozen(kw_only=True)
class QueueTicket:
    """What somebody says who joins a queue.

    Attributes:
        queue: which one; who names the same one is matched there.
        seats: every seat of his environment, in its order: the first in a queue fixes them for the others.
        take: the seat that he wants; ``None`` takes any.
        client: the software that he says he runs.
        asks: whether he wants to be asked before a match is made.
        rtt_ms: his round trip to the service; ``None`` if unknown.
        group_history: former partners; ``None`` goes by what the service remembers.
        plays: a digest of what both sides of a match must agree on; ``None`` if he does not say.
        spectators: to how many he shows the match.
    """

    queue: str
    seats: tuple[SeatId, ...]
    take: SeatId | None = None
    client: str | None = None
    asks: bool = False
    rtt_ms: float | None = None
    group_history: GroupHistory | None = None
    plays: str | None = None
    spectators: int = 0

    @property
    def problem(self) -> str | None:
        """What is wrong with it, or ``None``."""
        if not is_public_id(self.queue):
            return "queue: wanted 1 to 128 characters of A-Z a-z 0-9 . _ : @ + - (and not '.' or '..')"
        if not 2 <= len(self.seats) <= MAX_PLAYERS or not all(map(is_seat_id, self.seats)):
            return f"seats: wanted 2 to {MAX_PLAYERS} seat ids: a queue puts one player on each"
        if len(set(self.seats)) != len(self.seats):
            return "seats: the same seat is listed twice"
        if self.take is not None and self.take not in self.seats:
            return f"take: wanted null, or one of {list(self.seats)}"
        if self.rtt_ms is not None and not 0 <= self.rtt_ms <= MAX_RTT_MS:
            return f"rtt_ms: wanted null, or 0 to {MAX_RTT_MS:g}"
        return spectators_problem(self.spectators)


def spectators_problem(spectators: int) -> str | None:
    """Say what is wrong with how many spectators somebody offers to have, or ``None``."""
    return None if 0 <= spectators <= MAX_SPECTATORS else f"spectators: wanted 0 to {MAX_SPECTATORS}"


@attrs.frozen
class Tell:
    """Request: send this event to this subject."""

    subject_id: str
    event: str
    data: Mapping[str, Any]


@attrs.frozen
class MeasurePair:
    """Request: probe a pair, and answer with ``Queues.measured(queue, request.probe_no, …)``."""

    queue: str
    request: RequestProbe


@attrs.frozen
class EndProbe:
    """Request: end a probe, whose result is no longer waited for."""

    queue: str
    probe_no: int


@attrs.frozen
class ProposedMatch:
    """Request: ask the service's hook, and answer with ``Queues.hook_decided(queue, proposal_no, …)``.

    Attributes:
        queue: which one.
        proposal_no: what the answer names.
        candidates: who is to play, with waits and former partners.
        pairs: what was measured between them; empty where nothing was probed.
    """

    queue: str
    proposal_no: int
    candidates: tuple[QueuedCandidate, ...]
    pairs: tuple[PairMeasured, ...]

    @property
    def worst_rtt_ms(self) -> float | None:
        """The largest round trip of any pair in ms; ``None`` if nothing was measured."""
        return worst_rtt_ms(self.pairs)


@attrs.frozen
class QueuedPlayer:
    """One player of a match, with his seat and what is known of his wait."""

    subject_id: str
    seat: SeatId
    ticket: QueueTicket
    probe: MatchProbe


@attrs.frozen
class MakeMatch:
    """Request: make this match; call ``Queues.not_made`` if somebody is gone.

    Attributes:
        queue: which one.
        seats: every seat.
        players: one for each seat, in the order of the seats.
        relay_only: the way that was measured leads over a relay.
    """

    queue: str
    seats: tuple[SeatId, ...]
    players: tuple[QueuedPlayer, ...]
    relay_only: bool


@attrs.frozen
class LogDecision:
    """Event: a decision was taken; a JSON-ready record for the decision log."""

    record: Mapping[str, Any]


Output = Tell | MeasurePair | EndProbe | ProposedMatch | MakeMatch | LogDecision
