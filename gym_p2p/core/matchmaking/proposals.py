"""Proposals and probes: from "these might play" to a match, or back.

A proposal holds its members until it is a match or has fallen through; a probe holds its two subjects until
it has ended. Both are entered in the planner's books. Whom to propose is not decided here.

Why every proposal ends
-----------------------
A proposal is in one of two phases. While it is *probing*, each of its pairs has passed (``outcomes``), is
still to be probed (``missing``), or is being probed (``probing`` counts these). When the last has passed it
is *at the hook*, and has a deadline. In numbers, with ``n`` members::

    len(outcomes) + len(missing) + probing == n (n - 1) / 2        (fewer where nobody is probed)

- A missing pair waits only for a member that is being probed with another member. Each probe has a deadline,
  and its end lets the proposal go on or dissolves it; so ``missing`` and ``probing`` fall until both are
  empty.
- It is closed once, by ``_match`` or ``_dissolve``, the only callers of ``_close``; this forgets its number,
  so that whatever comes for it later finds nothing.
- A probe may outlive its proposal, for what it measures is of use. Its two subjects stay busy until it ends,
  so that nobody is in two probes; ``Probe.proposal`` is ``None`` from then on.
"""

from __future__ import annotations

import itertools
from collections import deque

import attrs

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.matches import MakeMatch, QueuedPlayer
from gym_p2p.core.api.queues import MatchProbe, Verdict
from gym_p2p.core.matchmaking import decision_log
from gym_p2p.core.matchmaking.commands import CancelProbe, ProposedMatch, PutOff, RequestProbe, Withdrawn
from gym_p2p.core.matchmaking.estimator import LatencyEstimator
from gym_p2p.core.matchmaking.memory import Pair, PairMemory, pair_of
from gym_p2p.core.matchmaking.queue_state import Books
from gym_p2p.core.matchmaking.selection import Chooser
from gym_p2p.core.matchmaking.tickets import Action, Probe, Proposal, Ticket
from gym_p2p.core.presence.rate_limits import SlidingWindow
from gym_p2p.core.probing.outcome import ProbeOutcome, Reason

__all__ = ["Engagements"]


@attrs.define(eq=False, kw_only=True)
class Engagements:
    """Every proposal and every probe of one queue."""

    _books: Books
    _chooser: Chooser
    _config: MatchmakingConfig
    _estimator: LatencyEstimator
    _memory: PairMemory
    _budget: SlidingWindow
    _ask_hook: bool
    _probes: dict[int, Probe] = attrs.field(init=False, factory=dict)
    _proposals: dict[int, Proposal] = attrs.field(init=False, factory=dict)

    def finish_probe(self, probe_no: int, outcome: ProbeOutcome, now: float) -> bool:
        """Take a probe's outcome; False if nobody waits for it any more."""
        probe = self._probes.get(probe_no)
        if probe is None:
            return False
        self._end_probe(probe)
        self._judge(probe, outcome, now)
        return True

    def give_up_probe(self, probe: Probe, now: float) -> None:
        """Take a probe for failed whose outcome has not come in time."""
        request, reason = probe.request, Reason.NO_RESULT
        self._books.outputs.append(CancelProbe(request, str(reason)))
        self.finish_probe(request.probe_no, ProbeOutcome(subjects=request.subjects, reason=reason), now)

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
        if (probe := ticket.probe) is not None:
            self._end_probe(probe)
            self._books.outputs.append(CancelProbe(probe.request, "left"))
            self._free(probe, now)

    # ---- proposals

    def propose(self, members: tuple[Ticket, ...], now: float, *, relay_only: bool) -> None:
        """Hold these for a match: probe what is not known yet, show it to the hook, make it."""
        proposal = Proposal(next(self._books.serials), members, relay_only)
        self._proposals[proposal.number] = proposal
        for ticket in members:
            ticket.proposal = proposal
            self._books.changed.discard(ticket)
        for one, other in itertools.combinations(members, 2):
            pair = pair_of(one.subject_id, other.subject_id)
            note = self._memory.get(*pair)
            if note is not None and (measured := note.trusted(now)) is not None:
                proposal.outcomes[pair] = measured
                proposal.relay_only = proposal.relay_only or note.measured_relay
            elif self._chooser.probes or relay_only:
                proposal.missing.append((one, other))
        self._advance(proposal, now)

    def _advance(self, proposal: Proposal, now: float) -> None:
        """Start every probe that can start; go on once all pairs have passed."""
        for one, other in list(proposal.missing):
            if one.probe is None and other.probe is None:
                proposal.missing.remove((one, other))
                self._start_probe(proposal, one, other, now)
        if proposal.missing or proposal.probing:
            return
        if not self._ask_hook:
            self._match(proposal, now)
            return
        due = now + self._config.hook_timeout_s
        proposal.deadline = self._books.agenda.at(due, Action.END_HOOK, proposal)
        candidates = tuple(self._chooser.show(ticket, now) for ticket in proposal.members)
        self._books.outputs.append(
            ProposedMatch(self._books.name, proposal.number, candidates, proposal.measured)
        )

    def _match(self, proposal: Proposal, now: float) -> None:
        self._close(proposal)
        for ticket in proposal.members:
            self._books.remove(ticket)
        players, seats = _seated(proposal, now), proposal.members[-1].wish.seats
        self._books.outputs.append(MakeMatch(self._books.name, seats, players, proposal.relay_only))
        if self._books.log:
            self._books.record(decision_log.made(proposal, now))

    def _refuse(self, proposal: Proposal, verdict: Verdict, reason: str, now: float) -> None:
        """Put off the seed with each of the others: the same group cannot come up again at once."""
        put_off_s = self._config.cooldown_s if verdict is Verdict.REJECT else self._config.pass_over_s
        told = _refusal_of(reason)
        reason = f"{reason}:{verdict.value}"
        *others, seed = proposal.members
        for other in others:
            self._put_off(pair_of(seed.subject_id, other.subject_id), now + put_off_s, reason, now)
        for ticket in proposal.members:
            ticket.rejections += 1
            ticket.refused = told
        self._dissolve(proposal, reason, now)

    def _dissolve(self, proposal: Proposal, reason: str, now: float) -> None:
        """End a proposal; its probes in flight go on, for what they measure is of use."""
        self._close(proposal)
        if proposal.deadline is not None:
            self._books.outputs.append(Withdrawn(proposal.number))
        if self._books.log:
            subjects = [ticket.subject_id for ticket in proposal.members]
            self._books.record(decision_log.rejected(subjects, reason, now))
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

    def _start_probe(self, proposal: Proposal, one: Ticket, other: Ticket, now: float) -> None:
        request = RequestProbe(
            self._books.name,
            next(self._books.serials),
            pair_of(one.subject_id, other.subject_id),
            proposal.relay_only,
            self._chooser.threshold_ms(one, other, now),
        )
        probe = self._probes[request.probe_no] = Probe(request, one, other, proposal)
        probe.deadline = self._books.agenda.at(now + self._config.probe_timeout_s, Action.END_PROBE, probe)
        proposal.probing += 1
        for ticket in (one, other):
            ticket.probe = probe
            ticket.probes += 1
            self._budget.count(ticket.subject_id, now)
        if proposal.relay_only:
            self._memory.touch(request.subjects, now).relay_tried = True
        self._books.outputs.append(request)

    def _end_probe(self, probe: Probe) -> None:
        del self._probes[probe.request.probe_no]
        probe.one.probe = probe.other.probe = None
        if probe.deadline is not None:
            probe.deadline.cancelled = True
        if probe.proposal is not None:
            probe.proposal.probing -= 1

    def _free(self, probe: Probe, now: float) -> None:
        self._books.freed(probe.one, now)
        self._books.freed(probe.other, now)

    # What the outcome of a probe means depends on two questions that have nothing to do with each other:
    # whether the pair may play *by now*, and whether anybody still waits for it (`probe.proposal`).
    #
    #                    may play              not yet                    never, or no way found
    #   proposal         the proposal goes on  it falls through           it falls through, pair put off
    #   none any more    both are free         both are free              both are free, pair put off
    #
    # A pair that may not play *yet* is not put off: the threshold widens to it, and the planner knows when.
    #
    # The order matters, because `freed` lets a ticket be considered anew, from what is known at that moment:
    # 1. the decision log first, which shows the waits and the threshold that the verdict was made from;
    # 2. then the memory and the cool-down, or the same pair would be proposed again at once;
    # 3. then the tickets, by `freed` or through the proposal.
    # The probe itself has ended before (`_end_probe`), so that both of its subjects can be probed again by
    # whatever this sets going; and nothing here starts a probe of a pair that has an outcome.
    def _judge(self, probe: Probe, outcome: ProbeOutcome, now: float) -> None:
        """Take note of what a probe found, and let its proposal go on or fall through."""
        proposal, request = probe.proposal, probe.request
        rejected = self._chooser.rejects(outcome.rtt_ms, probe.one, probe.other, now)
        if self._books.log:
            limit_ms = self._chooser.threshold_ms(probe.one, probe.other, now)
            self._books.record(decision_log.probed(probe, outcome, limit_ms, now, rejected=rejected))
        self._remember(request, outcome, now)
        if rejected:
            probe.one.rejections += 1
            probe.other.rejections += 1
            self._put_off_if_hopeless(request.subjects, outcome, now)
        if proposal is None:
            self._free(probe, now)
        elif rejected:
            self._dissolve(proposal, "probe_failed" if outcome.rtt_ms is None else "above_threshold", now)
        else:
            proposal.outcomes[request.subjects] = outcome
            self._advance(proposal, now)

    def _remember(self, request: RequestProbe, outcome: ProbeOutcome, now: float) -> None:
        note = self._memory.touch(request.subjects, now)
        note.failed = outcome.pair_failed
        if outcome.rtt_ms is not None:
            note.measured, note.trusted_until = outcome, now + self._config.trust_measured_s
            note.measured_relay = request.relay_only
            if not request.relay_only:
                self._estimator.observe(*request.subjects, outcome.rtt_ms, now)

    def _put_off_if_hopeless(self, pair: Pair, outcome: ProbeOutcome, now: float) -> None:
        """Put off a pair that no wait would let play; only for a moment where one member was busy or gone."""
        config = self._config
        if outcome.rtt_ms is None:
            put_off_s = config.cooldown_s if outcome.pair_failed else config.pass_over_s
            self._put_off(pair, now + put_off_s, str(outcome.reason), now)
        elif self._chooser.hopeless(outcome.rtt_ms):
            self._put_off(pair, now + config.cooldown_s, "too_far", now)

    def _put_off(self, pair: Pair, until: float, reason: str, now: float) -> None:
        self._memory.touch(pair, now).put_off_until = until
        self._books.outputs.append(PutOff(pair, until, reason))


def _refusal_of(reason: str) -> str:
    """Return as what a refusal is told to those who gave up in the end; whose it was is the log's to know."""
    if reason == "hook":
        return "refused"
    return "rule_failed" if reason.startswith("hook_") else "declined"


def _seated(proposal: Proposal, now: float) -> tuple[QueuedPlayer, ...]:
    """Give each member the seat it wants, and the free ones to the others in their order; seat by seat."""
    members, measured = proposal.members, proposal.measured
    seats = members[-1].wish.seats
    wanted = {ticket.wish.take for ticket in members}
    free = deque(seat for seat in seats if seat not in wanted)
    players = [
        QueuedPlayer(
            ticket.subject_id,
            free.popleft() if ticket.wish.take is None else ticket.wish.take,
            ticket.wish,
            MatchProbe(waited_s=ticket.wait_s(now), pairs=measured),
        )
        for ticket in members
    ]
    return tuple(sorted(players, key=lambda player: seats.index(player.seat)))
