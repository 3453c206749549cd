"""Proposals and probes: from "these might play" to a match, or back.

A proposal holds its members until it is a match or has fallen through; a probe holds its two subjects until
it has ended. Both are entered in the planner's books. Whom to propose is not decided here.
"""

from __future__ import annotations

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.matchmaking import decision_log
from gym_p2p.core.matchmaking.commands import (
    AskHook,
    CancelProbe,
    Matched,
    Pair,
    PairProbe,
    PutOff,
    RequestProbe,
    Withdrawn,
    pair_of,
)
from gym_p2p.core.matchmaking.estimator import LatencyEstimator
from gym_p2p.core.matchmaking.queue_state import Books
from gym_p2p.core.matchmaking.selection import Chooser
from gym_p2p.core.matchmaking.tickets import Action, Budget, PairMemory, Probe, Proposal, Ticket

__all__ = ["Engagements"]


class Engagements:
    """Every proposal and every probe of one queue."""

    def __init__(
        self,
        books: Books,
        chooser: Chooser,
        config: MatchmakingConfig,
        *,
        estimator: LatencyEstimator,
        memory: PairMemory,
        budget: Budget,
        ask_hook: bool,
    ) -> None:
        self._books = books
        self._chooser = chooser
        self._config = config
        self._estimator = estimator
        self._memory = memory
        self._budget = budget
        self._ask_hook = ask_hook
        self._probes: dict[int, Probe] = {}
        self._proposals: dict[int, Proposal] = {}

    def finish_probe(self, probe_no: int, result: PairProbe, now: float) -> bool:
        """Take a probe's outcome; False if nobody waits for it any more."""
        probe = self._probes.get(probe_no)
        if probe is None:
            return False
        self._end_probe(probe)
        self._judge(probe, result, now)
        return True

    def give_up_probe(self, probe: Probe, now: float) -> None:
        """Take a probe for failed that has not answered in time."""
        self._books.outputs.append(CancelProbe(probe.number, probe.pair, "no_result"))
        self.finish_probe(probe.number, PairProbe(rtt_ms=None, reason="no_result"), now)

    def decide(self, proposal_no: int, verdict: Verdict, reason: str, now: float) -> bool:
        """Take the hook's answer; False if nobody waits for it any more."""
        proposal = self._proposals.get(proposal_no)
        if proposal is None or proposal.deadline is None:
            return False
        if verdict is Verdict.ACCEPT:
            self._match(proposal, now)
        else:
            self._refuse(proposal, verdict, reason, now)
        return True

    def leave(self, ticket: Ticket, now: float) -> None:
        """End what a ticket that has left the queue took part in; the others are free at once."""
        if ticket.proposal is not None:
            self._dissolve(ticket.proposal, "left", now)
        if ticket.probe is not None:
            self._cancel(ticket.probe, "left", now)

    def propose(self, members: tuple[Ticket, ...], now: float, *, relay_only: bool) -> None:
        """Hold these for a match: probe what is not known yet, ask the hook, make it."""
        proposal = Proposal(self._books.next_serial(), members, relay_only, [], {})
        self._proposals[proposal.number] = proposal
        for ticket in members:
            ticket.proposal = proposal
            self._books.news.discard(ticket)
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
        proposal.deadline = self._books.agenda.at(
            now + self._config.hook_timeout_s, Action.END_HOOK, proposal
        )
        candidates = tuple(self._chooser.show(ticket, now) for ticket in proposal.members)
        self._books.outputs.append(AskHook(proposal.number, candidates, dict(proposal.results)))

    def _match(self, proposal: Proposal, now: float) -> None:
        self._close(proposal)
        for ticket in proposal.members:
            self._books.remove(ticket)
        matched = Matched(
            proposal.number,
            tuple(ticket.subject_id for ticket in proposal.members),
            tuple(ticket.wait_s(now) for ticket in proposal.members),
            dict(proposal.results),
            proposal.relay_only,
        )
        self._books.outputs.append(matched)
        if self._books.log:
            self._books.decided(decision_log.made(matched, now))

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
        if proposal.deadline is not None:
            self._books.outputs.append(Withdrawn(proposal.number))
        if self._books.log:
            self._books.decided(decision_log.rejected([t.subject_id for t in proposal.members], reason, now))
        for ticket in proposal.members:
            if ticket.probe is not None:
                ticket.probe.proposal = None
            self._books.freed(ticket, now)

    def _close(self, proposal: Proposal) -> None:
        del self._proposals[proposal.number]
        if proposal.deadline is not None:
            proposal.deadline.cancelled = True
        for ticket in proposal.members:
            ticket.proposal = None

    # ---- probes

    def _start_probe(self, proposal: Proposal, one: Ticket, other: Ticket, attempt: int, now: float) -> None:
        probe = Probe(self._books.next_serial(), one, other, attempt, proposal.relay_only, proposal)
        probe.deadline = self._books.agenda.at(now + self._config.probe_timeout_s, Action.END_PROBE, probe)
        self._probes[probe.number] = probe
        proposal.probing += 1
        for ticket in (one, other):
            ticket.probe = probe
            ticket.probes += 1
            self._budget.spend(ticket.subject_id, now)
        if proposal.relay_only:
            self._memory.touch(probe.pair, now).relay_tried = True
        threshold_ms = self._chooser.threshold_ms(one, other, now)
        self._books.outputs.append(
            RequestProbe(probe.number, probe.pair, proposal.relay_only, attempt, threshold_ms)
        )

    def _end_probe(self, probe: Probe) -> None:
        del self._probes[probe.number]
        probe.one.probe = probe.other.probe = None
        if probe.deadline is not None:
            probe.deadline.cancelled = True
        if probe.proposal is not None:
            probe.proposal.probing -= 1

    def _cancel(self, probe: Probe, reason: str, now: float) -> None:
        self._end_probe(probe)
        self._books.outputs.append(CancelProbe(probe.number, probe.pair, reason))
        for ticket in (probe.one, probe.other):
            self._books.freed(ticket, now)

    def _judge(self, probe: Probe, result: PairProbe, now: float) -> None:
        """Take note of what a probe found, and let its proposal go on or fall through."""
        proposal = probe.proposal
        again = result.disagree and probe.attempt == 1 and proposal is not None
        rejected = self._chooser.rejects(result.rtt_ms, probe.one, probe.other, now)
        if self._books.log:
            limit_ms = self._chooser.threshold_ms(probe.one, probe.other, now)
            verdict = "again" if again else "rejected" if rejected else "passed"
            self._books.decided(decision_log.probed(probe, result, limit_ms, verdict, now))
        if again and proposal is not None:
            self._start_probe(proposal, probe.one, probe.other, 2, now)
            return
        self._remember(probe, result, now)
        if rejected:
            probe.one.rejections += 1
            probe.other.rejections += 1
            if result.rtt_ms is None or self._chooser.hopeless(result.rtt_ms):
                reason = result.reason or ("probe_failed" if result.rtt_ms is None else "too_far")
                put_off_s = self._config.pass_over_s if result.blameless else self._config.cooldown_s
                self._put_off(probe.pair, now + put_off_s, reason, now)
        if proposal is None:
            self._books.freed(probe.one, now)
            self._books.freed(probe.other, now)
        elif rejected:
            self._dissolve(proposal, "probe_failed" if result.rtt_ms is None else "above_threshold", now)
        else:
            proposal.results[probe.pair] = result
            self._advance(proposal, now)

    def _remember(self, probe: Probe, result: PairProbe, now: float) -> None:
        note = self._memory.touch(probe.pair, now)
        note.failed = result.rtt_ms is None and not result.blameless
        if result.rtt_ms is not None:
            note.measured, note.measured_at, note.measured_relay = result, now, probe.relay_only
            if not probe.relay_only:
                self._estimator.observe(*probe.pair, result.rtt_ms, now)

    def _put_off(self, pair: Pair, until: float, reason: str, now: float) -> None:
        self._memory.touch(pair, now).put_off_until = until
        self._books.outputs.append(PutOff(pair, until, reason))
