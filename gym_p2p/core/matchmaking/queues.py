"""The queues of a service: who waits in which, who has to accept a match, and what they are sent.

An I/O-free machine around one :class:`~gym_p2p.core.matchmaking.planner.Planner` a queue. Whom to match, and
who sits where, is the planner's to say; this machine knows in which queue somebody waits, keeps the place of
one whose line broke (:mod:`gym_p2p.core.matchmaking.memory`), gathers acceptance before a match
(:mod:`gym_p2p.core.matchmaking.acceptance`), and lets everybody know where they stand
(:mod:`gym_p2p.core.matchmaking.membership`)::

    (absent) -- join --> waiting -- chosen --> probing -- passed --> asking -- all accept --> match
                waiting -- waited too long --> match_failed                -- one refuses --> waiting
                waiting -- line lost --> (absent, the place is kept for PLACE_KEPT_S)

A group is accepted in two steps: by the service's hook, then by every member that joined with ``asks``. Each
step has its deadline, and silence is a refusal.

It knows subjects by their ids, and refuses to know sockets, rooms and what a hook is: these come out as
requests, and back through the verbs.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Sequence

import attrs

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.matches import MakeMatch, QueueTicket
from gym_p2p.core.api.queues import MatchFailed, Verdict
from gym_p2p.core.api.replies import Accepted, Answer, Code, Notify, Refused
from gym_p2p.core.matchmaking import decision_log
from gym_p2p.core.matchmaking.acceptance import Acceptance
from gym_p2p.core.matchmaking.commands import LogDecision, ProposedMatch, QueueOutput, RequestProbe, TicketRow
from gym_p2p.core.matchmaking.estimator import LatencyEstimator
from gym_p2p.core.matchmaking.membership import MatchQueue, StatusUpdates
from gym_p2p.core.matchmaking.memory import KeptPlaces, Partners, RunningLatency
from gym_p2p.core.matchmaking.planner import Planner
from gym_p2p.core.matchmaking.strategy import Matchmaker, require_matchmaker
from gym_p2p.core.matchmaking.tickets import Ticket
from gym_p2p.core.presence.rate_limits import SlidingWindow
from gym_p2p.core.probing.outcome import ProbeOutcome

__all__ = ["Queues"]

_MAX_ESTIMATED = 64
"""Estimates for a table are a look at every pair: these take about 10 ms, in which nothing is relayed."""
_HOOK_MARGIN_S = 1.0
"""The planner's own deadline is above those of both steps of acceptance."""


class Queues:
    """The queues of one service, all under the same policy.

    Args:
        matchmaker: the strategy.
        config: how the queues are run; its ``group_size`` is each queue's number of seats instead.
        estimator: what is known of distances; by default an empty one.
        ask_hook: whether the service has a pre-match hook.
        log_decisions: whether :class:`LogDecision` events are made.

    Raises:
        TypeError: ``matchmaker`` is none.
    """

    def __init__(
        self,
        matchmaker: Matchmaker,
        *,
        config: MatchmakingConfig | None = None,
        estimator: LatencyEstimator | None = None,
        ask_hook: bool = False,
        log_decisions: bool = True,
    ) -> None:
        self._matchmaker = require_matchmaker(matchmaker)
        self._config = config or MatchmakingConfig()
        self._estimator = estimator or LatencyEstimator()
        self._ask_hook = ask_hook
        self._log_decisions = log_decisions
        self._serials = itertools.count(1)
        self._budget = SlidingWindow(self._config.probe_budget, self._config.probe_budget_window_s)
        self._outputs: deque[QueueOutput] = deque()
        self._queues: dict[str, MatchQueue] = {}
        self._queue_of: dict[str, MatchQueue] = {}
        self._places = KeptPlaces()
        self._partners = Partners()
        self._running = RunningLatency()

    @property
    def waiting_count(self) -> int:
        """Subjects in all queues."""
        return len(self._queue_of)

    def queue_of(self, subject_id: str) -> str | None:
        """Return in which queue a subject waits, or ``None``."""
        queue = self._queue_of.get(subject_id)
        return None if queue is None else queue.name

    def tables(self, now: float) -> dict[str, list[TicketRow]]:
        """Return every queue that somebody waits in as rows, the longest wait first.

        Those of a crowded queue are without estimates.
        """
        return {
            name: queue.planner.table(now, estimates=queue.members <= _MAX_ESTIMATED)
            for name, queue in self._queues.items()
            if queue.members
        }

    def waits(self, now: float) -> dict[str, tuple[int, float]]:
        """Return of every queue that somebody waits in how many do, and the longest wait in seconds."""
        return {
            name: (queue.members, max(t.wait_s(now) for t in queue.planner.tickets.values()))
            for name, queue in self._queues.items()
            if queue.members
        }

    # ---- what clients do

    def join(self, subject_id: str, ticket: QueueTicket, now: float) -> Answer:
        """Let a subject wait for a match; joining again changes nothing but ``asks``."""
        if ticket.problem is not None:
            return Refused(Code.BAD_REQUEST, ticket.problem)
        there = self._queue_of.get(subject_id)
        if there is not None:
            return there.join_again(subject_id, ticket)
        if ticket.group_history is None:
            ticket = attrs.evolve(ticket, previous_partners=self._partners.of(subject_id))
        queue = self._queue_for(ticket)
        if queue is None:
            there = self._queues[ticket.queue]
            refused = there.refusal(ticket)
            self._outputs.extend(there.tell_waiting(refused))
            return refused
        ack = queue.ack(waiting=queue.members + 1)
        self._enter(queue, subject_id, ticket, self._places.take(subject_id, queue.name), now)
        return ack

    def leave(self, subject_id: str, now: float) -> Answer:
        """Take a subject out of its queue; leaving where one is not is fine."""
        self._take_out(subject_id, now)
        return Accepted()

    def gone(self, subject_id: str, now: float) -> None:
        """Take out one whose line broke, and keep the place for a while. Idempotent."""
        ticket = self._take_out(subject_id, now)
        if ticket is not None:
            self._places.keep(subject_id, ticket.wish.queue, ticket.enqueued_at, now)

    def answer(self, subject_id: str, proposal_id: str, verdict: Verdict, now: float) -> Answer:
        """Take a player's verdict on a proposed match; the first one counts."""
        queue = self._queue_of.get(subject_id)
        if queue is None or not queue.acceptance.awaits(subject_id, proposal_id):
            return Refused(Code.STALE, "this proposal is not, or no longer, yours to answer")
        decision = queue.acceptance.answer(subject_id, proposal_id, verdict)
        self._carry_out(queue, queue.decided(decision, now), now)
        return Accepted()

    # ---- what the host answers and reports

    def measured(self, request: RequestProbe, outcome: ProbeOutcome, now: float) -> None:
        """Take the outcome of a probe that was requested; one that comes too late changes nothing."""
        queue = self._queues.get(request.queue)
        if queue is not None:
            queue.planner.probe_ended(request.probe_no, outcome, now)
            self._carry_out(queue, queue.settle(now), now)

    def hook_decided(
        self, proposed: ProposedMatch, verdict: Verdict, now: float, reason: str = "hook"
    ) -> None:
        """Take the answer of the service's hook; for one that raised, a ``REJECT`` with that reason."""
        queue = self._queues.get(proposed.queue)
        if queue is not None:
            tickets = queue.planner.tickets
            decision = queue.acceptance.hook_decided(proposed, verdict, reason, tickets, now)
            self._carry_out(queue, queue.decided(decision, now), now)

    def not_made(self, match: MakeMatch, gone: Sequence[str], now: float) -> None:
        """Let the others back to their places: somebody was gone when the match was to be made.

        Who waits elsewhere by then stays there; whose queue has other seats by then has no match.
        """
        if self._log_decisions:
            subjects = [player.subject_id for player in match.players]
            record = decision_log.rejected(subjects, f"gone:{','.join(gone)}", now)
            self._outputs.append(LogDecision({"queue": match.queue, **record}))
        for player in match.players:
            subject_id, waited_s = player.subject_id, player.probe.waited_s
            if subject_id in gone or subject_id in self._queue_of:
                continue
            queue = self._queue_for(player.ticket)
            if queue is None:
                failed = MatchFailed(queue=match.queue, reason="nobody_else", waited_s=waited_s)
                self._outputs.append(Notify(subject_id, failed))
            else:
                self._enter(queue, subject_id, player.ticket, now - waited_s, now)

    def observe(self, reporter: str, partner: str, rtt_ms: float, now: float) -> None:
        """Learn from a running match: what a player reports of the median round trip to another one.

        It counts once both have reported, the larger figure for both.
        """
        agreed_ms = self._running.report(reporter, partner, rtt_ms)
        if agreed_ms is not None:
            self._estimator.observe(reporter, partner, agreed_ms, now)

    # ---- time and outputs

    def handle_timeout(self, now: float) -> None:
        """Do what has come due by ``now``."""
        for queue in tuple(self._queues.values()):
            self._carry_out(queue, queue.handle_timeout(now), now)
            if queue.can_be_forgotten(now):
                del self._queues[queue.name]
        self._places.handle_timeout(now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        times = [queue.next_timeout() for queue in self._queues.values()]
        if (place_due := self._places.next_timeout()) is not None:
            times.append(place_due)
        return min(times, default=None)

    def poll(self) -> QueueOutput | None:
        """Return the next request to carry out or event, or ``None``."""
        return self._outputs.popleft() if self._outputs else None

    # ---- members

    def _queue_for(self, ticket: QueueTicket) -> MatchQueue | None:
        """Return the queue that a ticket belongs into, a new one where need be.

        ``None``: those who wait there have other seats, or play something else.
        """
        queue = self._queues.get(ticket.queue)
        if queue is not None and queue.admits(ticket):
            return queue
        if queue is not None and queue.members:
            return None
        queue = self._queues[ticket.queue] = self._new_queue(ticket)
        return queue

    def _new_queue(self, wish: QueueTicket) -> MatchQueue:
        """Return a queue for what a ticket wishes; all share one budget of probes, and their numbers."""
        within_s = self._config.hook_timeout_s
        hook_s = 2 * within_s + _HOOK_MARGIN_S
        kept_s = max(self._config.cooldown_s, self._config.pass_over_s)
        planner = Planner(
            self._matchmaker,
            name=wish.queue,
            config=attrs.evolve(self._config, group_size=len(wish.seats), hook_timeout_s=hook_s),
            estimator=self._estimator,
            ask_hook=True,
            log_decisions=self._log_decisions,
            serials=self._serials,
            budget=self._budget,
        )
        acceptance = Acceptance(hook=self._ask_hook, within_s=within_s, outputs=self._outputs)
        return MatchQueue(
            wish.queue, wish.seats, wish.plays, planner, acceptance, StatusUpdates(wish.queue), kept_s
        )

    def _enter(
        self, queue: MatchQueue, subject_id: str, ticket: QueueTicket, since: float | None, now: float
    ) -> None:
        self._queue_of[subject_id] = queue
        queue.empty_at = None
        queue.planner.enqueue(subject_id, ticket, now, enqueued_at=since)
        self._carry_out(queue, queue.settle(now), now)

    def _take_out(self, subject_id: str, now: float) -> Ticket | None:
        """Take somebody out, whatever they were in."""
        queue = self._queue_of.get(subject_id)
        if queue is None:
            return None
        ticket = queue.planner.tickets[subject_id]
        queue.planner.leave(subject_id, now)
        self._forget(queue, subject_id, now)
        self._carry_out(queue, queue.settle(now), now)
        return ticket

    def _forget(self, queue: MatchQueue, subject_id: str, now: float) -> None:
        """Keep no more of one who has left the planner."""
        del self._queue_of[subject_id]
        queue.forget(subject_id, now)

    def _carry_out(self, queue: MatchQueue, outputs: Iterable[QueueOutput], now: float) -> None:
        """Hand on what a queue wants done, and keep no more of whose tickets have ended by it."""
        for output in outputs:
            match output:
                case MakeMatch(players=players):
                    subjects = [player.subject_id for player in players]
                    for subject_id in subjects:
                        self._forget(queue, subject_id, now)
                    self._partners.played(subjects)
                case Notify(subject_id, MatchFailed()):
                    self._forget(queue, subject_id, now)
            self._outputs.append(output)
