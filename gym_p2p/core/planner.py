"""The queue: who waits, whom to probe, who plays with whom, and who is told that there is nobody.

An I/O-free machine around any :class:`~gym_p2p.core.matchmaking.Matchmaker`::

    ticket:    idle -- chosen --> in a proposal -- every pair passed, hook accepted --> matched
               idle <-- a pair failed, the hook refused, a member left -- in a proposal
               idle -- waited too long --> gave up          any -- leave --> gone
    proposal:  probing (each pair that is not known yet) --> asking the hook --> a match
    pair:      failed or out of the question --> put off for the cool-down, not for ever

A ticket is considered when something has changed for it: it has joined, its proposal has fallen through, a
pair's cool-down has ended, its threshold has widened to somebody. Of several, the one that has waited
longest is the seed and chooses first. So a quiet queue costs nothing, an arrival costs one look at
everybody who is idle, and what can be decided is decided at once, without ticks.

A ticket is in at most one proposal and in at most one probe. Nothing is waited for without a deadline: a
probe that never answers has failed, a hook that never answers has rejected, and a ticket that is engaged
when its time is up gives up as soon as it is free. Results that come too late change nothing.

It knows subjects by their ids. It refuses to know sockets, how a probe is made, and what a hook is; these
come out as requests (:mod:`gym_p2p.core.plans`) and back through the verbs.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Mapping

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core import decisions
from gym_p2p.core.choosing import Choice, Chooser
from gym_p2p.core.estimates import LatencyEstimator, Source
from gym_p2p.core.matchmaking import GroupHistory, Matchmaker, require_matchmaker
from gym_p2p.core.plans import (
    AskHook,
    CancelProbe,
    Decided,
    GaveUp,
    Matched,
    Output,
    Pair,
    ProbeResult,
    PutOff,
    RequestProbe,
    TicketRow,
    Verdict,
    pair_of,
)
from gym_p2p.core.tickets import Action, Agenda, Budget, PairMemory, Probe, Proposal, Ticket

__all__ = ["Planner"]


class Planner:
    """One queue.

    Args:
        matchmaker: the strategy.
        config: how the queue is run.
        estimator: what is known of distances; queues may share one. By default an empty one of its own.
        ask_hook: whether a pre-match hook is asked before a match is made.
        log_decisions: whether :class:`~gym_p2p.core.plans.Decided` events are made.

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
        self._log = log_decisions
        kept_s = max(self._config.cooldown_s, self._config.pass_over_s, self._config.trust_measured_s)
        self._memory = PairMemory(kept_s)
        self._budget = Budget(self._config.probe_budget, self._config.probe_budget_window_s)
        self._chooser = Chooser(matchmaker, self._config, self._estimator, self._memory, self._budget)
        self._agenda = Agenda()
        self._tickets: dict[str, Ticket] = {}
        self._queue: list[Ticket] = []  # by age
        self._news: set[Ticket] = set()
        self._probes: dict[int, Probe] = {}
        self._proposals: dict[int, Proposal] = {}
        self._serial = 0
        self._outputs: deque[Output] = deque()

    def __contains__(self, subject_id: object) -> bool:
        return subject_id in self._tickets

    @property
    def ticket_count(self) -> int:
        """How many subjects are in the queue, engaged or not."""
        return len(self._queue)

    # ---- what happens

    def enqueue(
        self,
        subject_id: str,
        now: float,
        *,
        rtt_ms: float | None = None,
        landmarks: Mapping[str, float] | None = None,
        group_history: GroupHistory | None = None,
        enqueued_at: float | None = None,
    ) -> bool:
        """Let a subject wait for a match; False if it waits already (nothing changes then).

        Args:
            subject_id: who.
            now: monotonic seconds.
            rtt_ms: the round trip to the service, if known.
            landmarks: round trips to the landmarks, by name.
            group_history: former partners.
            enqueued_at: since when it counts as waiting, for one that comes back to its place.
        """
        if subject_id in self._tickets:
            return False
        if landmarks:
            self._estimator.place(subject_id, landmarks)
        since = now if enqueued_at is None else min(enqueued_at, now)
        ticket = Ticket(subject_id, since, self._next_serial(), rtt_ms, group_history)
        self._tickets[subject_id] = ticket
        bisect.insort(self._queue, ticket, key=_age)
        if self._config.give_up_after_s is not None:
            ticket.end = self._agenda.at(since + self._config.give_up_after_s, Action.GIVE_UP, ticket)
        self._news.add(ticket)
        self._plan(now)
        return True

    def leave(self, subject_id: str, now: float) -> bool:
        """Take a subject out of the queue, whatever it was in; its partners are free at once.

        False if it did not wait.
        """
        ticket = self._tickets.get(subject_id)
        if ticket is None:
            return False
        self._remove(ticket)
        if ticket.proposal is not None:
            self._dissolve(ticket.proposal, "left", now)
        if ticket.probe is not None:
            self._cancel(ticket.probe, "left", now)
        self._plan(now)
        return True

    def probe_result(self, probe_no: int, result: ProbeResult, now: float) -> bool:
        """Take the outcome of a requested probe; False if nobody waits for it any more."""
        probe = self._probes.get(probe_no)
        if probe is None:
            return False
        self._end_probe(probe)
        self._judge(probe, result, now)
        self._plan(now)
        return True

    def hook_decision(self, proposal_no: int, verdict: Verdict, now: float, reason: str = "hook") -> bool:
        """Take the answer of the pre-match hook; False if nobody waits for it any more.

        For a hook that raised, pass ``Verdict.REJECT`` and say so in ``reason``.
        """
        proposal = self._proposals.get(proposal_no)
        if proposal is None or proposal.deadline is None:
            return False
        if verdict is Verdict.ACCEPT:
            self._match(proposal, now)
        else:
            self._refuse(proposal, verdict, reason, now)
        self._plan(now)
        return True

    def observe(self, subject_a: str, subject_b: str, rtt_ms: float, now: float) -> None:
        """Learn from a running match: the recent median round trip between two of its players."""
        self._estimator.observe(subject_a, subject_b, rtt_ms, now)

    # ---- time and outputs

    def handle_timeout(self, now: float) -> None:
        """Do what has come due by ``now``."""
        while (alarm := self._agenda.pop_due(now)) is not None:
            target = alarm.target
            match alarm.action, target:
                case Action.CONSIDER, Ticket():
                    target.wake = None
                    self._news.add(target)
                case Action.GIVE_UP, Ticket():
                    self._time_is_up(target, now)
                case Action.END_PROBE, Probe():
                    result = ProbeResult(rtt_ms=None, reason="no_result")
                    self._outputs.append(CancelProbe(target.number, target.pair, "no_result"))
                    self._end_probe(target)
                    self._judge(target, result, now)
                case Action.END_HOOK, Proposal():
                    self._refuse(target, Verdict.REJECT, "hook_timeout", now)
        self._plan(now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        return self._agenda.next()

    def poll(self) -> Output | None:
        """Return the next request or event, or ``None``."""
        return self._outputs.popleft() if self._outputs else None

    def table(self, now: float) -> list[TicketRow]:
        """Return the queue as rows, the longest wait first; costs a look at every pair."""
        return [self._row(ticket, now) for ticket in self._queue]

    # ---- choosing

    def _plan(self, now: float) -> None:
        while self._news:
            seed = min(self._news, key=_age)
            self._news.discard(seed)
            if not (seed.gone or seed.busy):
                self._consider(seed, now)

    def _consider(self, seed: Ticket, now: float) -> None:
        choice = self._chooser.choose(seed, self._queue, now)
        for candidate in choice.waiting:
            seed.met_anyone = self._tickets[candidate.subject_id].met_anyone = True
        group, relay_only = choice.group, False
        if group is None and (partner := self._relay_partner(seed, now)) is not None:
            group, relay_only = (partner, seed), True
        if choice.fault or (self._log and choice.waiting):
            self._decided(decisions.considered(choice, group, self._matchmaker, self._config.group_size, now))
        if group is not None:
            self._propose(group, now, relay_only=relay_only)
        else:
            self._wake(seed, choice, now)

    def _wake(self, seed: Ticket, choice: Choice, now: float) -> None:
        times = [] if choice.again_at is None else [choice.again_at]
        if self._config.relay_after_s is not None and seed.wait_s(now) < self._config.relay_after_s:
            times.append(seed.enqueued_at + self._config.relay_after_s)
        if seed.wake is not None:
            seed.wake.cancelled = True
        seed.wake = self._agenda.at(min(times), Action.CONSIDER, seed) if times else None

    def _relay_partner(self, seed: Ticket, now: float) -> Ticket | None:
        """Return with whom to try a relay, if it is time: direct ways have failed, and both have waited."""
        after_s = self._config.relay_after_s
        if after_s is None or self._config.group_size != 2 or now < seed.enqueued_at + after_s:
            return None
        if self._chooser.budget_spent(seed, now):
            return None
        for other in self._queue:
            if other.busy or other is seed or now < other.enqueued_at + after_s / 2:
                continue
            note = self._memory.get(seed.subject_id, other.subject_id)
            untried = note is not None and note.failed and not note.relay_tried
            if untried and not self._chooser.budget_spent(other, now):
                return other
        return None

    # ---- proposals

    def _propose(self, members: tuple[Ticket, ...], now: float, *, relay_only: bool) -> None:
        proposal = Proposal(self._next_serial(), members, relay_only, [], {})
        self._proposals[proposal.number] = proposal
        for ticket in members:
            ticket.proposal = proposal
            self._news.discard(ticket)
        for one, other in proposal.pairs:
            pair = pair_of(one.subject_id, other.subject_id)
            note = self._memory.get(*pair)
            if note is not None and note.measured is not None and self._chooser.trusts(note, now):
                proposal.results[pair] = note.measured
                proposal.relay_only = proposal.relay_only or note.measured_relay
            elif self._chooser.probes or relay_only:
                proposal.missing.append((one, other))
        self._advance(proposal, now)

    def _advance(self, proposal: Proposal, now: float) -> None:
        """Start every probe that can start; go on once all pairs have passed."""
        for one, other in list(proposal.missing):
            if one.probe is None and other.probe is None:
                proposal.missing.remove((one, other))
                self._start_probe(proposal, one, other, 1, now)
        if proposal.missing or proposal.probing:
            return
        if not self._ask_hook:
            self._match(proposal, now)
            return
        proposal.deadline = self._agenda.at(now + self._config.hook_timeout_s, Action.END_HOOK, proposal)
        candidates = tuple(self._chooser.show(ticket, now) for ticket in proposal.members)
        self._outputs.append(AskHook(proposal.number, candidates, dict(proposal.results)))

    def _match(self, proposal: Proposal, now: float) -> None:
        self._close(proposal)
        for ticket in proposal.members:
            self._remove(ticket)
        matched = Matched(
            proposal.number,
            tuple(ticket.subject_id for ticket in proposal.members),
            tuple(ticket.wait_s(now) for ticket in proposal.members),
            dict(proposal.results),
            proposal.relay_only,
        )
        self._outputs.append(matched)
        if self._log:
            self._decided(decisions.made(matched, now))

    def _refuse(self, proposal: Proposal, verdict: Verdict, reason: str, now: float) -> None:
        """Put off the seed with each of the others: the same group cannot come up again at once."""
        config = self._config
        put_off_s = config.cooldown_s if verdict is Verdict.REJECT else config.pass_over_s
        for other in proposal.members[:-1]:
            pair = pair_of(proposal.members[-1].subject_id, other.subject_id)
            self._put_off(pair, now + put_off_s, f"{reason}:{verdict.value}", now)
        for ticket in proposal.members:
            ticket.rejections += 1
        self._dissolve(proposal, f"{reason}:{verdict.value}", now)

    def _dissolve(self, proposal: Proposal, reason: str, now: float) -> None:
        """End a proposal; its probes in flight go on, for what they measure is of use."""
        self._close(proposal)
        if self._log:
            self._decided(decisions.rejected([t.subject_id for t in proposal.members], reason, now))
        for ticket in proposal.members:
            if ticket.probe is not None:
                ticket.probe.proposal = None
            self._freed(ticket, now)

    def _close(self, proposal: Proposal) -> None:
        del self._proposals[proposal.number]
        if proposal.deadline is not None:
            proposal.deadline.cancelled = True
        for ticket in proposal.members:
            ticket.proposal = None

    # ---- probes

    def _start_probe(self, proposal: Proposal, one: Ticket, other: Ticket, attempt: int, now: float) -> None:
        probe = Probe(self._next_serial(), one, other, attempt, proposal.relay_only, proposal)
        probe.deadline = self._agenda.at(now + self._config.probe_timeout_s, Action.END_PROBE, probe)
        self._probes[probe.number] = probe
        proposal.probing += 1
        for ticket in (one, other):
            ticket.probe = probe
            ticket.probes += 1
            self._budget.spend(ticket.subject_id, now)
        if proposal.relay_only:
            self._memory.touch(probe.pair, now).relay_tried = True
        self._outputs.append(RequestProbe(probe.number, probe.pair, proposal.relay_only, attempt))

    def _end_probe(self, probe: Probe) -> None:
        del self._probes[probe.number]
        probe.one.probe = probe.other.probe = None
        if probe.deadline is not None:
            probe.deadline.cancelled = True
        if probe.proposal is not None:
            probe.proposal.probing -= 1

    def _cancel(self, probe: Probe, reason: str, now: float) -> None:
        self._end_probe(probe)
        self._outputs.append(CancelProbe(probe.number, probe.pair, reason))
        for ticket in (probe.one, probe.other):
            self._freed(ticket, now)

    def _judge(self, probe: Probe, result: ProbeResult, now: float) -> None:
        """Take note of what a probe found, and let its proposal go on or fall through."""
        proposal = probe.proposal
        again = result.disagree and probe.attempt == 1 and proposal is not None
        rejected = self._chooser.rejects(result.rtt_ms, probe.one, probe.other, now)
        if self._log:
            limit_ms = self._chooser.threshold_ms(probe.one, probe.other, now)
            verdict = "again" if again else "rejected" if rejected else "passed"
            self._decided(decisions.probed(probe, result, limit_ms, verdict, now))
        if again and proposal is not None:
            self._start_probe(proposal, probe.one, probe.other, 2, now)
            return
        self._remember(probe, result, now)
        if rejected:
            probe.one.rejections += 1
            probe.other.rejections += 1
            if result.rtt_ms is None or self._chooser.hopeless(result.rtt_ms):
                reason = result.reason or ("probe_failed" if result.rtt_ms is None else "too_far")
                self._put_off(probe.pair, now + self._config.cooldown_s, reason, now)
        if proposal is None:
            self._freed(probe.one, now)
            self._freed(probe.other, now)
        elif rejected:
            self._dissolve(proposal, "probe_failed" if result.rtt_ms is None else "above_threshold", now)
        else:
            proposal.results[probe.pair] = result
            self._advance(proposal, now)

    def _remember(self, probe: Probe, result: ProbeResult, now: float) -> None:
        note = self._memory.touch(probe.pair, now)
        note.failed = result.rtt_ms is None
        if result.rtt_ms is not None:
            note.measured, note.measured_at, note.measured_relay = result, now, probe.relay_only
            if not probe.relay_only:
                self._estimator.observe(*probe.pair, result.rtt_ms, now)

    def _put_off(self, pair: Pair, until: float, reason: str, now: float) -> None:
        self._memory.touch(pair, now).put_off_until = until
        self._outputs.append(PutOff(pair, until, reason))

    # ---- tickets

    def _freed(self, ticket: Ticket, now: float) -> None:
        if ticket.gone or ticket.busy:
            return
        if ticket.overdue:
            self._give_up(ticket, now)
        else:
            self._news.add(ticket)

    def _time_is_up(self, ticket: Ticket, now: float) -> None:
        if ticket.busy:
            ticket.overdue = True
        else:
            self._give_up(ticket, now)

    def _give_up(self, ticket: Ticket, now: float) -> None:
        self._remove(ticket)
        reason = "nobody_near_enough" if ticket.met_anyone else "nobody_else"
        gave_up = GaveUp(ticket.subject_id, reason, ticket.wait_s(now))
        self._outputs.append(gave_up)
        if self._log:
            self._decided(decisions.gave_up(gave_up, ticket, now))

    def _remove(self, ticket: Ticket) -> None:
        ticket.gone = True
        ticket.silence()
        del self._tickets[ticket.subject_id]
        del self._queue[bisect.bisect_left(self._queue, _age(ticket), key=_age)]
        self._news.discard(ticket)

    def _row(self, ticket: Ticket, now: float) -> TicketRow:
        estimates = [
            self._chooser.estimate(ticket, other, now) for other in self._queue if other is not ticket
        ]
        known = [estimate.rtt_ms for estimate in estimates if estimate.source is not Source.UNKNOWN]
        state = "probing" if ticket.probe else "asking" if ticket.proposal else "waiting"
        return TicketRow(
            subject_id=ticket.subject_id,
            state=state,
            wait_s=ticket.wait_s(now),
            threshold_ms=self._chooser.threshold_ms(ticket, ticket, now),
            best_estimate_ms=min((rtt_ms for rtt_ms in known if rtt_ms is not None), default=None),
            probes=ticket.probes,
            rejections=ticket.rejections,
        )

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def _decided(self, record: Mapping[str, object]) -> None:
        self._outputs.append(Decided(record))


def _age(ticket: Ticket) -> tuple[float, int]:
    return ticket.age
