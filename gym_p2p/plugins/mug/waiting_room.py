"""A framework's waiting room, seen by our planner: who has come, who has left, who is to be seated together.

An I/O-free machine. The framework owns the room: it lets people in and out as it likes, tells nobody, and
seats pairs. So the room is compared, again and again, with what was known of it::

    in the room, unknown            --> a ticket
    a ticket, not in the room       --> left; its probe is cancelled
    the planner has made a match    --> Seat: the framework is to seat these two
    both of a match out of the room --> seated
    one of them out for a while, or neither within SEATED_WITHIN_S --> whoever is left is back at their place

The last line is why a match is no promise: a page can be gone before the framework has seated it.

It knows subjects by their ids. It refuses to know how the framework seats anybody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence

import attrs

from gym_p2p.core.api.matches import MakeMatch, QueuedPlayer, QueueTicket
from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.matchmaking import decision_log
from gym_p2p.core.matchmaking.commands import (
    CancelProbe,
    LogDecision,
    ProposedMatch,
    PutOff,
    RequestProbe,
    Withdrawn,
)
from gym_p2p.core.matchmaking.memory import Partners
from gym_p2p.core.matchmaking.planner import Planner
from gym_p2p.core.probing.outcome import ProbeOutcome, Reason

__all__ = ["SEATED_WITHIN_S", "Arrival", "RoomOutput", "Seat", "WaitingRoom"]

SEATED_WITHIN_S = 5.0
"""The framework seats at once, or not at all; this is far above any pause of its process."""
ONE_OUT_S = 0.5
"""The framework takes the two out of its room one after the other."""
_SEATS = (0, 1)
"""The planner hands out seats, and the framework draws its own; only their number counts."""


@attrs.frozen
class Arrival:
    """Somebody in the room, as the framework knows them.

    Attributes:
        rtt_ms: the round trip to the server, by the page's own account; ``None`` if unknown.
        previous_partners: of the last game, by the framework's account.
    """

    subject_id: str
    rtt_ms: float | None = None
    previous_partners: tuple[str, ...] = ()


@attrs.frozen
class Seat:
    """Request: have the framework seat these two."""

    subjects: tuple[str, str]


RoomOutput = RequestProbe | CancelProbe | ProposedMatch | LogDecision | Seat


@attrs.define(eq=False)
class _Made:
    """A match that the framework has not seated yet."""

    players: Sequence[QueuedPlayer]
    made_at: float
    one_out_at: float | None = None

    @property
    def subjects(self) -> tuple[str, str]:
        one, other = (player.subject_id for player in self.players)
        return one, other


class WaitingRoom:
    """One waiting room of a framework, for pairs.

    Args:
        name: of the room, as it stands in the decision log.
        planner: decides; its name is that of the room.
        partners: who has played with whom; rooms may share it.
    """

    def __init__(self, name: str, planner: Planner, partners: Partners) -> None:
        self._name = name
        self._planner = planner
        self._partners = partners
        self._made: dict[str, _Made] = {}  # by each of its two subjects
        self._outputs: deque[RoomOutput] = deque()

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits or is to be seated."""
        return not (self._planner.tickets or self._made)

    # ---- what the framework shows

    def knows(self, subject_id: str) -> bool:
        """Return whether somebody waits already, or is to be seated."""
        return subject_id in self._planner.tickets or subject_id in self._made

    def compare(self, present: Collection[str], arrivals: Mapping[str, Arrival], now: float) -> None:
        """Take note of who is in the room by now.

        Args:
            present: everybody in it.
            arrivals: what the framework knows of those who were not known.
            now: monotonic seconds.
        """
        # Each step can make a match at once, of pairs that are measured already; who is in one is known only
        # when that has been settled, and would be a newcomer until then.
        for made in dict.fromkeys(self._made.values()):
            self._follow_up(made, present, now)
            self._settle(now)
        for subject_id in tuple(self._planner.tickets):
            if subject_id not in present:
                self._planner.leave(subject_id, now)
                self._settle(now)
        for subject_id, arrival in arrivals.items():
            if subject_id in present and not self.knows(subject_id):
                self._planner.enqueue(subject_id, self._wish(arrival), now)
                self._settle(now)
        self._planner.handle_timeout(now)
        self._settle(now)

    def partner_of(self, subject_id: str, present: Collection[str]) -> str | None:
        """Return who of those present is to be seated with somebody; ``None``: nobody, yet."""
        made = self._made.get(subject_id)
        if made is None:
            return None
        return next((one for one in made.subjects if one != subject_id and one in present), None)

    def outcome_of(self, one: str, other: str) -> ProbeOutcome | None:
        """Return what was measured of two who are to be seated together; ``None``: they are not."""
        made = self._made.get(one)
        if made is None or other not in made.subjects or one == other:
            return None
        rtt_ms = made.players[0].probe.worst_rtt_ms
        return ProbeOutcome(subjects=(one, other), reason=Reason.MEASURED, rtt_ms=rtt_ms)

    # ---- answers

    def probe_ended(self, request: RequestProbe, outcome: ProbeOutcome, now: float) -> None:
        """Take the outcome of a probe that was requested."""
        self._planner.probe_ended(request.probe_no, outcome, now)
        self._settle(now)

    def hook_decided(self, proposed: ProposedMatch, verdict: Verdict, reason: str, now: float) -> None:
        """Take the answer of the pre-match hook."""
        self._planner.hook_decision(proposed.proposal_no, verdict, now, reason)
        self._settle(now)

    # ---- outputs

    def poll(self) -> RoomOutput | None:
        """Return the next request to carry out, or ``None``."""
        return self._outputs.popleft() if self._outputs else None

    # ---- inside

    def _wish(self, arrival: Arrival) -> QueueTicket:
        partners = arrival.previous_partners or self._partners.of(arrival.subject_id)
        ticket = QueueTicket(queue=self._name, seats=_SEATS, previous_partners=partners)
        wish = attrs.evolve(ticket, rtt_ms=arrival.rtt_ms)
        return wish if wish.problem is None else ticket

    def _follow_up(self, made: _Made, present: Collection[str], now: float) -> None:
        """See whether a match has been seated, or has to be undone."""
        out = [one for one in made.subjects if one not in present]
        if len(out) == 2:
            self._forget(made)
            self._partners.played(made.subjects)
            return
        if out:
            made.one_out_at = now if made.one_out_at is None else made.one_out_at
            overdue = made.one_out_at + ONE_OUT_S <= now
        else:
            overdue = made.made_at + SEATED_WITHIN_S <= now
        if overdue:
            self._undo(made, out, now)

    def _undo(self, made: _Made, out: Sequence[str], now: float) -> None:
        """Let those of a match who are still there back to their places."""
        self._forget(made)
        reason = f"gone:{','.join(out)}" if out else "not_seated"
        record = decision_log.rejected(made.subjects, reason, now)
        self._outputs.append(LogDecision({"queue": self._name, **record}))
        for player in made.players:
            if player.subject_id not in out:
                since = made.made_at - player.probe.waited_s
                self._planner.enqueue(player.subject_id, player.ticket, now, enqueued_at=since)

    def _forget(self, made: _Made) -> None:
        for subject_id in made.subjects:
            del self._made[subject_id]

    def _settle(self, now: float) -> None:
        while (output := self._planner.poll()) is not None:
            match output:
                case MakeMatch(players=players):
                    made = _Made(players, now)
                    self._made |= dict.fromkeys(made.subjects, made)
                    self._outputs.append(Seat(made.subjects))
                case RequestProbe() | CancelProbe() | ProposedMatch() | LogDecision():
                    self._outputs.append(output)
                case Withdrawn() | PutOff() | _:  # the room's page is the framework's
                    pass
