"""One queue: who waits, whom to probe, who plays with whom, and for whom there is nobody.

An I/O-free machine around any :class:`~gym_p2p.core.matchmaking.strategy.Matchmaker`::

    ticket:    idle -- chosen --> in a proposal -- every pair passed, hook accepted --> matched
               idle <-- a pair failed, the hook refused, a member left -- in a proposal
               idle -- waited too long --> gave up          any -- leave --> gone
    proposal:  probing (each pair that is not known yet) --> at the hook --> a match
    pair:      failed or out of the question --> put off for the cool-down, not for ever

A ticket is considered when something has changed for it: it has joined, its proposal has fallen through, a
pair's cool-down has ended, its threshold has widened to somebody. Of several, the one that has waited
longest is the seed and chooses first. So a quiet queue costs nothing, an arrival costs one look at
everybody who is idle, and what can be decided is decided at once, without ticks.

A ticket is in at most one proposal and in at most one probe. Nothing is waited for without a deadline: a
probe that never answers has failed, a hook that never answers has rejected, and a ticket that is engaged
when its time is up gives up as soon as it is free. Results that come too late change nothing.

It knows subjects by their ids. It refuses to know sockets, how a probe is made, and what a hook is; these
come out as requests (:mod:`gym_p2p.core.matchmaking.commands`) and back through the verbs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.matchmaking import decision_log
from gym_p2p.core.matchmaking.commands import PlannerOutput, TicketRow
from gym_p2p.core.matchmaking.estimator import LatencyEstimator
from gym_p2p.core.matchmaking.memory import PairMemory
from gym_p2p.core.matchmaking.proposals import Engagements
from gym_p2p.core.matchmaking.queue_state import Books, age
from gym_p2p.core.matchmaking.selection import Choice, Chooser
from gym_p2p.core.matchmaking.strategy import Matchmaker, require_matchmaker
from gym_p2p.core.matchmaking.tickets import Action, Probe, Proposal, Ticket
from gym_p2p.core.presence.rate_limits import SlidingWindow
from gym_p2p.core.probing.outcome import ProbeOutcome

__all__ = ["Planner"]


class Planner:
    """One queue.

    Args:
        matchmaker: the strategy.
        name: the queue's; under it goes everything that comes out. Without one the decision log has none.
        config: how the queue is run.
        estimator: what is known of distances; queues may share one. By default an empty one of its own.
        ask_hook: whether a pre-match hook has to accept before a match is made.
        log_decisions: whether :class:`~gym_p2p.core.matchmaking.commands.LogDecision` events are made.
        serials: the numbers of tickets, probes and proposals; no two queues that share them use one twice.
        budget: how often everybody may be probed; queues may share one. By default one of its own.

    Raises:
        TypeError: ``matchmaker`` is none.
    """

    def __init__(
        self,
        matchmaker: Matchmaker,
        *,
        name: str = "",
        config: MatchmakingConfig | None = None,
        estimator: LatencyEstimator | None = None,
        ask_hook: bool = False,
        log_decisions: bool = True,
        serials: Iterator[int] | None = None,
        budget: SlidingWindow | None = None,
    ) -> None:
        self._matchmaker = require_matchmaker(matchmaker)
        self._config = config or MatchmakingConfig()
        self._estimator = estimator or LatencyEstimator()
        kept_s = max(self._config.cooldown_s, self._config.pass_over_s, self._config.trust_measured_s)
        self._memory = PairMemory(kept_s)
        budget = budget or SlidingWindow(self._config.probe_budget, self._config.probe_budget_window_s)
        self._chooser = Chooser(matchmaker, self._config, self._estimator, self._memory, budget)
        self._books = Books(name, log_decisions, serials or itertools.count(1))
        self._engagements = Engagements(
            books=self._books,
            chooser=self._chooser,
            config=self._config,
            estimator=self._estimator,
            memory=self._memory,
            budget=budget,
            ask_hook=ask_hook,
        )

    @property
    def tickets(self) -> Mapping[str, Ticket]:
        """Who is in the queue, engaged or not, by subject."""
        return self._books.tickets

    # ---- what happens

    def enqueue(
        self,
        subject_id: str,
        wish: QueueTicket,
        now: float,
        *,
        landmarks: Mapping[str, float] | None = None,
        enqueued_at: float | None = None,
    ) -> bool:
        """Let a subject wait for a match; False if it waits already (nothing changes then).

        Args:
            subject_id: who joins.
            wish: what it joins with; all in a queue have the same seats, as many as a match has players.
            now: monotonic seconds.
            landmarks: round trips to the landmarks, by name.
            enqueued_at: since when it counts as waiting, for one that comes back to its place.
        """
        if subject_id in self._books.tickets:
            return False
        if landmarks:
            self._estimator.place(subject_id, landmarks)
        since = now if enqueued_at is None else min(enqueued_at, now)
        ticket = Ticket(subject_id, wish, since, next(self._books.serials))
        if self._config.give_up_after_s is not None:
            ticket.end = self._books.agenda.at(since + self._config.give_up_after_s, Action.GIVE_UP, ticket)
        self._books.add(ticket)
        self._plan(now)
        return True

    def leave(self, subject_id: str, now: float, *, dismissed: str | None = None) -> bool:
        """Take a subject out of the queue, whatever it was in; its partners are free at once.

        One that is ``dismissed`` is sent this reason. False if it did not wait.
        """
        ticket = self._books.tickets.get(subject_id)
        if ticket is None:
            return False
        if dismissed is None:
            self._books.remove(ticket)
        else:
            self._books.give_up(ticket, now, dismissed)
        self._engagements.leave(ticket, now)
        self._plan(now)
        return True

    def probe_ended(self, probe_no: int, outcome: ProbeOutcome, now: float) -> bool:
        """Take the outcome of a requested probe; False if nobody waits for it any more."""
        taken = self._engagements.finish_probe(probe_no, outcome, now)
        self._plan(now)
        return taken

    def hook_decision(self, proposal_no: int, verdict: Verdict, now: float, reason: str = "hook") -> bool:
        """Take the answer of the pre-match hook; False if nobody waits for it any more.

        For a hook that raised, pass ``Verdict.REJECT`` with that as its ``reason``.
        """
        taken = self._engagements.decide(proposal_no, verdict, reason, now)
        self._plan(now)
        return taken

    # ---- time and outputs

    def handle_timeout(self, now: float) -> None:
        """Do what has come due by ``now``."""
        while (timer := self._books.agenda.pop_due(now)) is not None:
            target = timer.target
            match timer.action, target:
                case Action.CONSIDER, Ticket():
                    target.wake = None
                    self._books.changed.add(target)
                case Action.GIVE_UP, Ticket():
                    self._books.time_is_up(target, now)
                case Action.END_PROBE, Probe():
                    self._engagements.give_up_probe(target, now)
                case Action.END_HOOK, Proposal():
                    self._engagements.decide(target.number, Verdict.REJECT, "hook_timeout", now)
        self._plan(now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        return self._books.agenda.next()

    def poll(self) -> PlannerOutput | None:
        """Return the next request or event, or ``None``."""
        return self._books.outputs.popleft() if self._books.outputs else None

    def table(self, now: float, *, estimates: bool = True) -> list[TicketRow]:
        """Return the queue as rows, the longest wait first.

        Args:
            now: monotonic seconds.
            estimates: with the best estimates, which costs a look at every pair.
        """
        return [self._row(ticket, now, estimates=estimates) for ticket in self._books.queue]

    # ---- choosing

    # After every verb the queue is *settled*: no ticket is left for which something has changed. That an idle
    # ticket need not be looked at until something does change rests on three cases, one for each reason for
    # which a pair did not come about when it was last considered:
    #
    # - the other was engaged: whoever comes free (`Books.freed`) is considered as a seed itself, and looks at
    #   everybody who is idle, this one included;
    # - the pair is put off, or has spent its probes: `Choice.again_at` is when that ends, and the seed wakes
    #   then;
    # - its threshold is too narrow: the matchmaker says when waiting alone will have changed the answer,
    #   which is in `again_at` too (never sooner than a pause: a matchmaker that says "now" does not spin).
    #
    # It is enough that one of the two wakes, so only the seed sets a timer, and only its newest counts.
    #
    # Why it ends: every turn takes a ticket out of `changed`, and only `freed` and an arrival put one in.
    # `freed` comes of a proposal that has fallen through, and a group that was just refused or has just
    # failed is put off, or waits for its threshold, before its members are freed: so the same group is not
    # found twice.
    #
    # The oldest first: of two seeds that want the same third, the one that has waited longer gets it.
    def _plan(self, now: float) -> None:
        while self._books.changed:
            seed = min(self._books.changed, key=age)
            self._books.changed.discard(seed)
            if not (seed.gone or seed.busy):
                self._consider(seed, now)

    def _consider(self, seed: Ticket, now: float) -> None:
        choice = self._chooser.choose(seed, self._books.queue, now)
        for candidate in choice.waiting:
            seed.met_anyone = self._books.tickets[candidate.subject_id].met_anyone = True
        group, relay_only = choice.group, False
        if group is None and (partner := self._relay_partner(seed, now)) is not None:
            group, relay_only = (partner, seed), True
        if choice.fault or (self._books.log and choice.waiting):
            self._books.record(
                decision_log.considered(choice, group, self._matchmaker, self._config.group_size, now)
            )
        if group is not None:
            self._engagements.propose(group, now, relay_only=relay_only)
        else:
            self._wake(seed, choice, now)

    def _wake(self, seed: Ticket, choice: Choice, now: float) -> None:
        times = [] if choice.again_at is None else [choice.again_at]
        if self._config.relay_after_s is not None:
            relay_at = seed.enqueued_at + self._config.relay_after_s
            times += [relay_at] if now < relay_at else []
        if seed.wake is not None:
            seed.wake.cancelled = True
        seed.wake = self._books.agenda.at(min(times), Action.CONSIDER, seed) if times else None

    # A relay adds a detour to every packet of a match, so it is tried late and for few: the seed has waited
    # for `relay_after_s` and the other for half of it (so that the one who has just come still gets a chance
    # of a direct way), the last probe of just this pair has found no way at all, and no relay was tried
    # since. The mark `relay_tried` is set as that probe starts: one a pair, for as long as it is remembered.
    def _relay_partner(self, seed: Ticket, now: float) -> Ticket | None:
        """Return with whom to try a relay, if it is time: direct ways have failed, and both have waited."""
        after_s = self._config.relay_after_s
        if after_s is None or self._config.group_size != 2 or now < seed.enqueued_at + after_s:
            return None
        if self._chooser.budget_spent(seed, now):
            return None
        for other in self._books.queue:
            if other.busy or other is seed or seed.rivals(other) or now < other.enqueued_at + after_s / 2:
                continue
            note = self._memory.get(seed.subject_id, other.subject_id)
            untried = note is not None and note.failed and not note.relay_tried
            if untried and not self._chooser.budget_spent(other, now):
                return other
        return None

    def _row(self, ticket: Ticket, now: float, *, estimates: bool) -> TicketRow:
        others = [other for other in self._books.queue if other is not ticket] if estimates else []
        guesses_ms = [self._chooser.estimate(ticket, other, now).rtt_ms for other in others]
        state = "probing" if ticket.probe else "asking" if ticket.proposal else "waiting"
        return TicketRow(
            subject_id=ticket.subject_id,
            state=state,
            wait_s=ticket.wait_s(now),
            threshold_ms=self._chooser.threshold_ms(ticket, ticket, now),
            best_estimate_ms=min((ms for ms in guesses_ms if ms is not None), default=None),
            probes=ticket.probes,
            rejections=ticket.rejections,
        )
