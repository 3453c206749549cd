"""The planner's books: who is in the queue, who has to be considered, what has to be carried out.

State and its bookkeeping; the rules are in :mod:`gym_p2p.core.matchmaking.planner` and
:mod:`gym_p2p.core.matchmaking.proposals`.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from gym_p2p.core.api.queues import MatchFailed
from gym_p2p.core.api.replies import Notify
from gym_p2p.core.matchmaking import decision_log
from gym_p2p.core.matchmaking.commands import LogDecision, PlannerOutput
from gym_p2p.core.matchmaking.tickets import Agenda, Ticket

__all__ = ["Books", "age"]


@attrs.define(eq=False)
class Books:
    """One queue's state, shared by those who change it.

    Attributes:
        name: the queue's; empty where the decision log is to have none.
        log: whether decisions are recorded.
        serials: the numbers of tickets, probes and proposals.
        agenda: timers.
        tickets: by subject.
        queue: the same, the oldest first.
        changed: tickets for which something has changed since they were last considered.
        outputs: requests and events, in order.
    """

    name: str
    log: bool
    serials: Iterator[int]
    agenda: Agenda = attrs.field(init=False, factory=Agenda)
    tickets: dict[str, Ticket] = attrs.field(init=False, factory=dict)
    queue: list[Ticket] = attrs.field(init=False, factory=list)
    changed: set[Ticket] = attrs.field(init=False, factory=set)
    outputs: deque[PlannerOutput] = attrs.field(init=False, factory=deque)

    def add(self, ticket: Ticket) -> None:
        """Put a ticket into the queue, by its age."""
        self.tickets[ticket.subject_id] = ticket
        bisect.insort(self.queue, ticket, key=age)
        self.changed.add(ticket)

    def remove(self, ticket: Ticket) -> None:
        """Take a ticket out of the queue."""
        ticket.gone = True
        ticket.stop_timers()
        del self.tickets[ticket.subject_id]
        del self.queue[bisect.bisect_left(self.queue, age(ticket), key=age)]
        self.changed.discard(ticket)

    def freed(self, ticket: Ticket, now: float) -> None:
        """Take note that a ticket has come out of a probe or a proposal."""
        if ticket.gone or ticket.busy:
            return
        if ticket.overdue:
            self.give_up(ticket, now)
        else:
            self.changed.add(ticket)

    def time_is_up(self, ticket: Ticket, now: float) -> None:
        """End a ticket that has waited as long as anybody may; one that is engaged ends when it is free."""
        if ticket.busy:
            ticket.overdue = True
        else:
            self.give_up(ticket, now)

    def give_up(self, ticket: Ticket, now: float, reason: str | None = None) -> None:
        """Take a ticket out, and its subject is sent why; by default, that nobody would do."""
        self.remove(ticket)
        nobody = "nobody_near_enough" if ticket.met_anyone else "nobody_else"
        why = reason or ticket.refused or nobody
        failed = MatchFailed(queue=self.name, reason=why, waited_s=ticket.wait_s(now))
        self.outputs.append(Notify(ticket.subject_id, failed))
        if self.log:
            self.record(decision_log.gave_up(ticket, failed, now))

    def record(self, decision: Mapping[str, Any]) -> None:
        """Report a decision; under the name of the queue, if it has one."""
        self.outputs.append(LogDecision({"queue": self.name, **decision} if self.name else decision))


def age(ticket: Ticket) -> tuple[float, int]:
    """Return the sort key of the queue: who joined earlier comes first."""
    return (ticket.enqueued_at, ticket.serial)
