"""The queues of a service: who waits in which, who is asked before a match, and what they are told.

An I/O-free machine around one :class:`~gym_p2p.core.matchmaking.planner.Planner` a queue. Whom to match is
the planner's to say; this machine seats the players of a match, asks those who want a say in it, keeps the
place of one whose line broke, and tells everybody where he stands::

    (absent) -- join --> waiting -- chosen --> probing -- passed --> asking -- all accept --> match
                waiting -- waited too long --> match_failed                -- one refuses --> waiting
                waiting -- line lost --> (absent, his place is kept for PLACE_KEPT_S)

A group is asked in two steps: the service's hook, then every member that joined with ``asks``. Each step has
its deadline, and silence is a refusal.

It knows subjects by their ids, and refuses to know sockets, rooms and what a hook is: these come out as
requests, and back through the verbs.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping, Sequence

import attrs

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.matches import MakeMatch, QueuedPlayer, QueueTicket
from gym_p2p.core.api.queues import (
    MatchFailed,
    MatchProbe,
    MatchProposed,
    PairMeasured,
    QueueAck,
    QueueStatus,
    Verdict,
)
from gym_p2p.core.api.replies import Accepted, Answer, Code, Notify, Refused
from gym_p2p.core.matchmaking import decision_log
from gym_p2p.core.matchmaking.commands import (
    AskHook,
    CancelProbe,
    Decided,
    GaveUp,
    Matched,
    Pair,
    PairProbe,
    RequestProbe,
    TicketRow,
    Withdrawn,
)
from gym_p2p.core.matchmaking.estimator import LatencyEstimator
from gym_p2p.core.matchmaking.history import Partners, RunningLatency
from gym_p2p.core.matchmaking.planner import Planner
from gym_p2p.core.matchmaking.queue_commands import (
    EndProbe,
    LogDecision,
    MeasurePair,
    ProposedMatch,
    QueueOutput,
)
from gym_p2p.core.matchmaking.strategy import Matchmaker, require_matchmaker
from gym_p2p.core.matchmaking.tickets import Budget
from gym_p2p.core.wire.seats import SeatId

__all__ = ["Queues"]

PLACE_KEPT_S = 30.0
"""For so long after his line broke somebody can come back to his place."""
STATUS_EVERY_S = 1.0
"""Nobody is told of changes more often."""
STATUS_ANYWAY_S = 5.0
"""And everybody is told this often, for his threshold widens while he waits."""
_MAX_ESTIMATED = 64
"""Estimates for a table are a look at every pair: these take about 10 ms, in which nothing is relayed."""
MAX_SILENCES = 2
"""So many proposals in a row may somebody who wants to be asked leave unanswered."""
_HOOK_MARGIN_S = 1.0
"""The planner's own deadline is above those of both steps of asking."""


@attrs.define(eq=False)
class _Member:
    subject_id: str
    ticket: QueueTicket
    enqueued_at: float
    told: tuple[str, int] | None = None
    """State and number of those who wait, as he was told last."""
    told_at: float = 0.0
    silences: int = 0
    """Proposals in a row that he let pass without a word."""


@attrs.define(eq=False)
class _Asked:
    """A proposal whose members are being asked."""

    proposal_no: int
    waiting_for: set[str]
    deadline: float


@attrs.define(eq=False)
class _Queue:
    name: str
    seats: tuple[SeatId, ...]
    planner: Planner
    plays: str | None
    """A digest of what its members play; ``None`` while nobody has said."""
    members: dict[str, _Member] = attrs.field(factory=dict)
    at_hook: dict[int, AskHook] = attrs.field(factory=dict)
    """Proposals that the service's hook is asked about."""
    asked: dict[int, _Asked] = attrs.field(factory=dict)
    status_at: float = 0.0
    empty_at: float | None = None

    def fits(self, ticket: QueueTicket) -> bool:
        """Whether a ticket is for what the members play."""
        said = self.plays is not None and ticket.plays is not None
        return self.seats == ticket.seats and not (said and self.plays != ticket.plays)


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
        self._queues: dict[str, _Queue] = {}
        self._queue_of: dict[str, _Queue] = {}
        self._places: dict[tuple[str, str], tuple[float, float]] = {}  # when enqueued, kept until
        self._serials = itertools.count(1)
        self._budget = Budget(self._config.probe_budget, self._config.probe_budget_window_s)
        self._partners = Partners()
        self._running = RunningLatency()
        self._outputs: deque[QueueOutput] = deque()

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
            name: queue.planner.table(now, estimates=len(queue.members) <= _MAX_ESTIMATED)
            for name, queue in self._queues.items()
            if queue.members
        }

    def waits(self, now: float) -> dict[str, tuple[int, float]]:
        """Return of every queue that somebody waits in how many do, and the longest wait in seconds."""
        return {
            name: (len(queue.members), now - min(m.enqueued_at for m in queue.members.values()))
            for name, queue in self._queues.items()
            if queue.members
        }

    # ---- what clients do

    def join(self, subject_id: str, ticket: QueueTicket, now: float) -> Answer:
        """Let a subject wait for a match; joining again changes nothing but whether he is asked."""
        if ticket.problem is not None:
            return Refused(Code.BAD_REQUEST, ticket.problem)
        there = self._queue_of.get(subject_id)
        if there is not None:
            return self._join_again(there, there.members[subject_id], ticket)
        if ticket.group_history is None:
            ticket = attrs.evolve(ticket, group_history=self._partners.history(subject_id))
        queue = self._queue_for(ticket)
        if queue is None:
            return _mismatch(self._queues[ticket.queue], ticket)
        since, _until = self._places.pop((subject_id, queue.name), (now, 0.0))
        self._enter(queue, subject_id, ticket, since, now)
        ack = QueueAck(queue=queue.name, group_size=len(queue.seats), waiting=len(queue.members))
        self._carry_on(queue, now)
        return Accepted(ack)

    def leave(self, subject_id: str, now: float) -> Answer:
        """Take a subject out of his queue; leaving where one is not is fine."""
        self._forget(subject_id, now)
        return Accepted()

    def gone(self, subject_id: str, now: float) -> None:
        """Take out one whose line broke, and keep his place for a while. Idempotent."""
        member = self._forget(subject_id, now)
        if member is not None:
            self._places[(subject_id, member.ticket.queue)] = (member.enqueued_at, now + PLACE_KEPT_S)

    def answer(self, subject_id: str, proposal_id: str, verdict: Verdict, now: float) -> Answer:
        """Take a player's say about a proposed match; the first one counts."""
        queue = self._queue_of.get(subject_id)
        asked = None if queue is None else _find(queue, proposal_id)
        if queue is None or asked is None or subject_id not in asked.waiting_for:
            return Refused(Code.STALE, "this proposal is not, or no longer, yours to answer")
        asked.waiting_for.discard(subject_id)
        queue.members[subject_id].silences = 0
        if verdict is not Verdict.ACCEPT:
            self._decide(queue, asked.proposal_no, verdict, f"player:{subject_id}", now)
        elif not asked.waiting_for:
            self._decide(queue, asked.proposal_no, Verdict.ACCEPT, "accepted", now)
        return Accepted()

    # ---- what the host answers and tells

    def measured(self, queue: str, probe_no: int, result: PairProbe, now: float) -> None:
        """Take the outcome of a probe that was asked for; one that comes too late changes nothing."""
        there = self._queues.get(queue)
        if there is not None:
            there.planner.probe_result(probe_no, result, now)
            self._carry_on(there, now)

    def hook_decided(
        self, queue: str, proposal_no: int, verdict: Verdict, now: float, reason: str = "hook"
    ) -> None:
        """Take the answer of the service's hook; for one that raised, a ``REJECT`` that says so."""
        there = self._queues.get(queue)
        request = None if there is None else there.at_hook.pop(proposal_no, None)
        if there is None or request is None:
            return
        if verdict is Verdict.ACCEPT:
            self._ask_players(there, request, now)
            self._carry_on(there, now)
        else:
            self._decide(there, proposal_no, verdict, reason, now)

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
                self._tell_failed(match.queue, subject_id, "nobody_else", waited_s)
            else:
                self._enter(queue, subject_id, player.ticket, now - waited_s, now)
                self._carry_on(queue, now)

    def observe(self, reporter: str, partner: str, rtt_ms: float, now: float) -> None:
        """Learn from a running match: what a player says of the median round trip to another one.

        It counts once both have spoken, the larger figure for both.
        """
        agreed_ms = self._running.tell(reporter, partner, rtt_ms)
        if agreed_ms is not None:
            self._estimator.observe(reporter, partner, agreed_ms, now)

    # ---- time and outputs

    def handle_timeout(self, now: float) -> None:
        """Do what has come due by ``now``."""
        for queue in tuple(self._queues.values()):
            queue.planner.handle_timeout(now)
            for asked in tuple(queue.asked.values()):
                if asked.deadline <= now:
                    self._give_up_asking(queue, asked, now)
            self._carry_on(queue, now)
            if queue.members and queue.status_at <= now:
                self._tell_status(queue, now)
            if queue.empty_at is not None and queue.empty_at + self._forgotten_after_s <= now:
                del self._queues[queue.name]
        self._places = {key: place for key, place in self._places.items() if now < place[1]}

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        times: list[float] = [until for _since, until in self._places.values()]
        for queue in self._queues.values():
            due = queue.planner.next_timeout()
            times += [] if due is None else [due]
            times += [asked.deadline for asked in queue.asked.values()]
            times.append(
                queue.status_at if queue.empty_at is None else queue.empty_at + self._forgotten_after_s
            )
        return min(times, default=None)

    def poll(self) -> QueueOutput | None:
        """Return the next request to carry out or event, or ``None``."""
        return self._outputs.popleft() if self._outputs else None

    # ---- members

    @property
    def _forgotten_after_s(self) -> float:
        """An empty queue is remembered as long as its pairs are put off."""
        return max(self._config.cooldown_s, self._config.pass_over_s)

    def _join_again(self, queue: _Queue, member: _Member, ticket: QueueTicket) -> Answer:
        before = member.ticket
        if (before.queue, before.seats, before.take) != (ticket.queue, ticket.seats, ticket.take):
            return Refused(Code.WRONG_STATE, f"already in queue {queue.name!r}; leave it first")
        member.ticket = attrs.evolve(before, asks=ticket.asks, client=ticket.client)
        ack = QueueAck(queue=queue.name, group_size=len(queue.seats), waiting=len(queue.members))
        return Accepted(ack)

    def _queue_for(self, ticket: QueueTicket) -> _Queue | None:
        """Return the queue that a ticket belongs into, a new one where need be.

        ``None``: those who wait there have other seats, or play something else.
        """
        queue = self._queues.get(ticket.queue)
        if queue is not None and queue.members and not queue.fits(ticket):
            return None
        if queue is not None and queue.seats == ticket.seats:
            queue.plays = ticket.plays if not queue.members else queue.plays or ticket.plays
            return queue
        hook_s = 2 * self._config.hook_timeout_s + _HOOK_MARGIN_S
        planner = Planner(
            self._matchmaker,
            config=attrs.evolve(self._config, group_size=len(ticket.seats), hook_timeout_s=hook_s),
            estimator=self._estimator,
            ask_hook=True,
            log_decisions=self._log_decisions,
            serials=self._serials,
            budget=self._budget,
        )
        queue = self._queues[ticket.queue] = _Queue(ticket.queue, ticket.seats, planner, ticket.plays)
        return queue

    def _enter(
        self, queue: _Queue, subject_id: str, ticket: QueueTicket, enqueued_at: float, now: float
    ) -> None:
        member = queue.members[subject_id] = _Member(subject_id, ticket, enqueued_at)
        self._queue_of[subject_id] = queue
        queue.empty_at = None
        queue.planner.enqueue(
            member.subject_id,
            now,
            rtt_ms=ticket.rtt_ms,
            group_history=ticket.group_history,
            role=ticket.take,
            enqueued_at=enqueued_at,
        )

    def _forget(self, subject_id: str, now: float) -> _Member | None:
        """Take somebody out, whatever he was in."""
        queue = self._queue_of.get(subject_id)
        if queue is None:
            return None
        member = self._drop(queue, subject_id, now)
        queue.planner.leave(subject_id, now)
        self._carry_on(queue, now)
        return member

    def _drop(self, queue: _Queue, subject_id: str, now: float) -> _Member:
        del self._queue_of[subject_id]
        member = queue.members.pop(subject_id)
        queue.empty_at = None if queue.members else now
        return member

    # ---- proposals

    def _carry_on(self, queue: _Queue, now: float) -> None:
        """Pass on what the planner wants done."""
        while (output := queue.planner.poll()) is not None:
            match output:
                case RequestProbe():
                    self._outputs.append(MeasurePair(queue.name, output))
                case CancelProbe(probe_no):
                    self._outputs.append(EndProbe(queue.name, probe_no))
                case AskHook(proposal_no, candidates, probes) if self._ask_hook:
                    queue.at_hook[proposal_no] = output
                    self._outputs.append(ProposedMatch(queue.name, proposal_no, candidates, _pairs(probes)))
                case AskHook():
                    self._ask_players(queue, output, now)
                case Withdrawn(proposal_no):
                    queue.at_hook.pop(proposal_no, None)
                    queue.asked.pop(proposal_no, None)
                case Matched():
                    self._match(queue, output, now)
                case GaveUp(subject_id, reason, waited_s):
                    self._drop(queue, subject_id, now)
                    self._tell_failed(queue.name, subject_id, reason, waited_s)
                case Decided(record):
                    self._outputs.append(LogDecision({"queue": queue.name, **record}))

    def _ask_players(self, queue: _Queue, request: AskHook, now: float) -> None:
        """Ask every member that wants a say; go on at once where nobody does."""
        subjects = tuple(candidate.subject_id for candidate in request.candidates)
        asking = [s for s in subjects if s in queue.members and queue.members[s].ticket.asks]
        if not asking:
            queue.planner.hook_decision(request.proposal_no, Verdict.ACCEPT, now, "accepted")
            return
        within_s = self._config.hook_timeout_s
        queue.asked[request.proposal_no] = _Asked(request.proposal_no, set(asking), now + within_s)
        for subject_id in asking:
            waited_s = now - queue.members[subject_id].enqueued_at
            proposed = MatchProposed(
                proposal_id=_proposal_id(request.proposal_no),
                queue=queue.name,
                subjects=subjects,
                probe=MatchProbe(waited_s=waited_s, pairs=_pairs(request.probes)),
                answer_within_s=within_s,
            )
            self._outputs.append(Notify(subject_id, proposed))

    def _give_up_asking(self, queue: _Queue, asked: _Asked, now: float) -> None:
        """Take silence for a refusal; who is silent again and again holds the others up, and has to go."""
        late = sorted(asked.waiting_for)
        self._decide(queue, asked.proposal_no, Verdict.REJECT, f"no_answer:{','.join(late)}", now)
        for subject_id in late:
            member = queue.members.get(subject_id)
            if member is None:
                continue
            member.silences += 1
            if member.silences >= MAX_SILENCES:
                queue.planner.dismiss(subject_id, "no_answer", now)
        self._carry_on(queue, now)

    def _decide(self, queue: _Queue, proposal_no: int, verdict: Verdict, reason: str, now: float) -> None:
        queue.asked.pop(proposal_no, None)
        queue.planner.hook_decision(proposal_no, verdict, now, reason)
        self._carry_on(queue, now)

    def _match(self, queue: _Queue, matched: Matched, now: float) -> None:
        """Seat the players of a match, who have left the queue."""
        queue.asked.pop(matched.proposal_no, None)
        queue.at_hook.pop(matched.proposal_no, None)
        members = [self._drop(queue, subject_id, now) for subject_id in matched.subjects]
        wanted = {member.ticket.take for member in members}
        free = deque(seat for seat in queue.seats if seat not in wanted)
        pairs = _pairs(matched.probes)
        players = [
            QueuedPlayer(
                member.subject_id,
                free.popleft() if member.ticket.take is None else member.ticket.take,
                member.ticket,
                MatchProbe(waited_s=waited_s, pairs=pairs),
            )
            for member, waited_s in zip(members, matched.waits_s, strict=True)
        ]
        players.sort(key=lambda player: queue.seats.index(player.seat))
        self._partners.played(matched.subjects)
        self._outputs.append(MakeMatch(queue.name, queue.seats, tuple(players), matched.relay_only))

    # ---- telling

    def _tell_failed(self, queue: str, subject_id: str, reason: str, waited_s: float) -> None:
        failed = MatchFailed(queue=queue, reason=reason, waited_s=waited_s)
        self._outputs.append(Notify(subject_id, failed))

    def _tell_status(self, queue: _Queue, now: float) -> None:
        queue.status_at = now + STATUS_EVERY_S
        waiting = len(queue.members)
        for row in queue.planner.table(now, estimates=False):
            member = queue.members[row.subject_id]
            if member.told == (row.state, waiting) and now < member.told_at + STATUS_ANYWAY_S:
                continue
            member.told, member.told_at = (row.state, waiting), now
            status = QueueStatus(
                queue=queue.name,
                state=row.state,
                waiting=waiting,
                wait_s=row.wait_s,
                threshold_ms=row.threshold_ms,
                probes=row.probes,
            )
            self._outputs.append(Notify(row.subject_id, status))


def _mismatch(queue: _Queue, ticket: QueueTicket) -> Refused:
    if queue.seats != ticket.seats:
        message = f"in queue {queue.name!r} the seats are {list(queue.seats)}, yours are {list(ticket.seats)}"
    else:
        message = (
            f"those who wait in queue {queue.name!r} play something else than you: another environment or "
            "other arguments of it, another fps, or another version of gym_p2p"
        )
    return Refused(Code.QUEUE_MISMATCH, message)


def _proposal_id(proposal_no: int) -> str:
    return f"proposal-{proposal_no}"


def _find(queue: _Queue, proposal_id: str) -> _Asked | None:
    return next((a for no, a in queue.asked.items() if _proposal_id(no) == proposal_id), None)


def _pairs(probes: Mapping[Pair, PairProbe]) -> tuple[PairMeasured, ...]:
    return tuple(
        PairMeasured(subjects=pair, rtt_ms=probe.rtt_ms, reports=probe.reports)
        for pair, probe in probes.items()
    )
