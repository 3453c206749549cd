"""One queue of a service: who may be in it, for what, and what its members are sent of where they stand.

It knows what tickets must have in common, passes proposals between the planner and those who have to accept
them, and knows what each member was sent last. It refuses to know how anybody is matched.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

import attrs

from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.queues import QueueAck, QueueStatus
from gym_p2p.core.api.replies import Accepted, Answer, Code, Notify, Refused
from gym_p2p.core.api.rooms import MAX_PLAYERS, TurnedAway
from gym_p2p.core.matchmaking.acceptance import Acceptance, Decision
from gym_p2p.core.matchmaking.commands import ProposedMatch, PutOff, QueueOutput, TicketRow, Withdrawn
from gym_p2p.core.matchmaking.planner import Planner
from gym_p2p.core.wire.seats import SeatId

__all__ = ["STATUS_ANYWAY_S", "STATUS_EVERY_S", "MatchQueue", "StatusUpdates"]

STATUS_EVERY_S = 1.0
"""Nobody is sent changes more often."""
STATUS_ANYWAY_S = 5.0
"""And everybody is sent one this often, for thresholds widen during the wait."""


_MOST_TOLD = MAX_PLAYERS


class StatusUpdates:
    """The status updates of one queue.

    Attributes:
        due: when :meth:`updates` should be called again, if anybody is in the queue.
    """

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._sent: dict[str, tuple[tuple[str, int], float]] = {}  # what, and when
        self.due = 0.0

    def updates(self, rows: Iterable[TicketRow], waiting: int, now: float) -> Iterator[Notify]:
        """Return an update for each of those whose state, or the number of those who wait, has changed.

        Everybody gets one now and then, changed or not.
        """
        self.due = now + STATUS_EVERY_S
        for row in rows:
            stands = (row.state, waiting)
            last, sent_at = self._sent.get(row.subject_id, (None, -math.inf))
            if last == stands and now < sent_at + STATUS_ANYWAY_S:
                continue
            self._sent[row.subject_id] = (stands, now)
            status = QueueStatus(
                queue=self._queue,
                state=row.state,
                waiting=waiting,
                wait_s=row.wait_s,
                threshold_ms=row.threshold_ms,
                probes=row.probes,
            )
            yield Notify(row.subject_id, status)

    def forget(self, subject_id: str) -> None:
        """Forget what somebody was sent who has left the queue. Idempotent."""
        self._sent.pop(subject_id, None)


@attrs.define(eq=False)
class MatchQueue:
    """One queue of a service.

    Attributes:
        name: by which it is joined.
        seats: of everybody's environment, as the first member named them.
        plays: a digest of what its members play; ``None`` while nobody has named one.
        planner: who is in it, and who plays with whom.
        acceptance: who has to accept which match.
        status: what its members are sent of where they stand.
        kept_s: how long it is remembered when nobody is in it: as long as its pairs are put off.
        empty_at: since when nobody is in it; ``None`` while somebody is.
    """

    name: str
    seats: tuple[SeatId, ...]
    plays: str | None
    planner: Planner
    acceptance: Acceptance
    status: StatusUpdates
    kept_s: float
    empty_at: float | None = None

    @property
    def members(self) -> int:
        """How many are in it."""
        return len(self.planner.tickets)

    def admits(self, wish: QueueTicket) -> bool:
        """Tell whether a wish is for what the members play; what it plays is then what they play.

        An empty queue takes whatever has the same seats.
        """
        if self.seats != wish.seats:
            return False
        if self.members and None not in (self.plays, wish.plays) and self.plays != wish.plays:
            return False
        self.plays = self.plays or wish.plays if self.members else wish.plays
        return True

    def refusal(self, wish: QueueTicket) -> Refused:
        """Return why a wish was not admitted."""
        if self.seats != wish.seats:
            theirs, yours = list(self.seats), list(wish.seats)
            message = f"in queue {self.name!r} the seats are {theirs}, yours are {yours}"
        else:
            message = (
                f"those who wait in queue {self.name!r} play something else than you: another environment or "
                "other arguments of it, another fps, or another version of gym_p2p"
            )
        return Refused(Code.QUEUE_MISMATCH, message)

    def tell_waiting(self, refused: Refused) -> Iterator[Notify]:
        """Tell those who wait why one was turned away; only a few, for one stranger is no news to many."""
        told = TurnedAway(
            place=f"queue {self.name}",
            code=refused.code,
            message="they play something else: another environment, other options, or another version",
        )
        yield from (
            Notify(subject_id, told) for subject_id in itertools.islice(self.planner.tickets, _MOST_TOLD)
        )

    def ack(self, waiting: int) -> Accepted:
        """Return the answer to one who has joined."""
        return Accepted(QueueAck(queue=self.name, group_size=len(self.seats), waiting=waiting))

    def join_again(self, subject_id: str, wish: QueueTicket) -> Answer:
        """Take the wish of one who is a member already: ``asks`` can be changed, and no more."""
        ticket = self.planner.tickets[subject_id]
        before = ticket.wish
        if (before.queue, before.seats, before.take) != (wish.queue, wish.seats, wish.take):
            return Refused(Code.WRONG_STATE, f"already in queue {self.name!r}; leave it first")
        ticket.wish = attrs.evolve(before, asks=wish.asks, client=wish.client)
        return self.ack(waiting=self.members)

    def forget(self, subject_id: str, now: float) -> None:
        """Keep no more of one who has left the planner."""
        self.acceptance.forget(subject_id)
        self.status.forget(subject_id)
        self.empty_at = None if self.members else now

    # ---- what happens: every output is consumed at once, for the steps go on as they are drawn

    def settle(self, now: float) -> Iterator[QueueOutput]:
        """Pass proposals to those who have to accept them, and yield what else the planner wants done."""
        while (output := self.planner.poll()) is not None:
            match output:
                case ProposedMatch():
                    self._hand_on(self.acceptance.propose(output, self.planner.tickets, now), now)
                case Withdrawn(proposal_no):
                    self.acceptance.withdraw(proposal_no)
                case PutOff():
                    pass
                case _:
                    yield output

    def decided(self, decision: Decision | None, now: float) -> Iterator[QueueOutput]:
        """Hand on what was decided; who is silent again and again holds the others up, and has to go."""
        self._hand_on(decision, now)
        yield from self.settle(now)
        for subject_id in () if decision is None else decision.silent:
            if subject_id in self.planner.tickets and self.acceptance.is_too_silent(subject_id):
                self.planner.leave(subject_id, now, dismissed="no_answer")
        yield from self.settle(now)

    def handle_timeout(self, now: float) -> Iterator[QueueOutput]:
        """Do what has come due by ``now``."""
        self.planner.handle_timeout(now)
        while (decision := self.acceptance.pop_overdue(now)) is not None:
            yield from self.decided(decision, now)
        yield from self.settle(now)
        if self.members and self.status.due <= now:
            yield from self.status.updates(self.planner.table(now, estimates=False), self.members, now)

    def next_timeout(self) -> float:
        """Return when :meth:`handle_timeout` wants to be called, or the queue can be forgotten."""
        own = self.status.due if self.empty_at is None else self.empty_at + self.kept_s
        times = own, self.planner.next_timeout(), self.acceptance.next_timeout()
        return min(due for due in times if due is not None)

    def can_be_forgotten(self, now: float) -> bool:
        """Tell whether nobody has been in it for so long that nothing of it counts any more."""
        return self.empty_at is not None and self.empty_at + self.kept_s <= now

    def _hand_on(self, decision: Decision | None, now: float) -> None:
        if decision is not None:
            self.planner.hook_decision(decision.proposal_no, decision.verdict, now, decision.reason)
