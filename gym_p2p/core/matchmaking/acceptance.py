"""Acceptance of proposals: by the service's hook first, then by every member that joined with ``asks``.

The books of one queue: who has to accept, by when, and who lets proposals pass in silence. What a verdict
does to a proposal is the planner's business; here it comes out as a :class:`Decision` to hand on.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

import attrs

from gym_p2p.core.api.queues import MatchProbe, MatchProposed, Verdict
from gym_p2p.core.api.replies import Notify
from gym_p2p.core.matchmaking.commands import ProposedMatch, QueueOutput
from gym_p2p.core.matchmaking.tickets import Ticket

__all__ = ["MAX_SILENCES", "Acceptance", "Decision"]

MAX_SILENCES = 2
"""So many proposals in a row may a player whose acceptance is wanted leave unanswered."""


@attrs.frozen
class Decision:
    """Request: hand this to the planner.

    Attributes:
        silent: members that have not answered in time; for each call :meth:`Acceptance.is_too_silent`.
    """

    proposal_no: int
    verdict: Verdict
    reason: str
    silent: tuple[str, ...] = ()


@attrs.define(eq=False)
class _Open:
    """A proposal that awaits the acceptance of its members."""

    proposal_no: int
    waiting_for: set[str]
    deadline: float


@attrs.define(eq=False, kw_only=True)
class Acceptance:
    """Who has to accept which proposal of one queue.

    Args:
        hook: whether the service has a pre-match hook.
        within_s: later than this counts as a refusal of a player; the hook's deadline is its caller's.
        outputs: where the proposals go.
    """

    _hook: bool
    _within_s: float
    _outputs: deque[QueueOutput]
    _at_hook: set[int] = attrs.field(init=False, factory=set)
    _open: dict[str, _Open] = attrs.field(init=False, factory=dict)
    """By the proposal's id on the wire."""
    _silences: Counter[str] = attrs.field(init=False, factory=Counter)

    # ---- a proposal comes, and may go

    def propose(self, proposed: ProposedMatch, tickets: Mapping[str, Ticket], now: float) -> Decision | None:
        """Show it to the hook, or to the members where there is none; ``None`` while there is no decision."""
        if not self._hook:
            return self._show_players(proposed, tickets, now)
        self._at_hook.add(proposed.proposal_no)
        self._outputs.append(proposed)
        return None

    def withdraw(self, proposal_no: int) -> None:
        """Forget a proposal: nobody's answer counts any more."""
        self._at_hook.discard(proposal_no)
        self._open.pop(_id_of(proposal_no), None)

    # ---- answers

    def hook_decided(
        self,
        proposed: ProposedMatch,
        verdict: Verdict,
        reason: str,
        tickets: Mapping[str, Ticket],
        now: float,
    ) -> Decision | None:
        """Take the hook's verdict; ``None`` where the members come next, or nobody waits for it."""
        if proposed.proposal_no not in self._at_hook:
            return None
        self._at_hook.remove(proposed.proposal_no)
        if verdict is Verdict.ACCEPT:
            return self._show_players(proposed, tickets, now)
        return Decision(proposed.proposal_no, verdict, reason)

    def awaits(self, subject_id: str, proposal_id: str) -> bool:
        """Return whether this subject's verdict on this proposal is still missing."""
        proposal = self._open.get(proposal_id)
        return proposal is not None and subject_id in proposal.waiting_for

    def answer(self, subject_id: str, proposal_id: str, verdict: Verdict) -> Decision | None:
        """Take the verdict of one who is awaited; ``None`` while others have not answered.

        The first refusal decides; to accept, it takes everybody.
        """
        proposal = self._open[proposal_id]
        proposal.waiting_for.remove(subject_id)
        del self._silences[subject_id]
        if verdict is Verdict.ACCEPT and proposal.waiting_for:
            return None
        del self._open[proposal_id]
        reason = "accepted" if verdict is Verdict.ACCEPT else f"player:{subject_id}"
        return Decision(proposal.proposal_no, verdict, reason)

    # ---- silence

    def is_too_silent(self, subject_id: str) -> bool:
        """Count an unanswered proposal; return whether it is one too many, for that holds up the others."""
        self._silences[subject_id] += 1
        return self._silences[subject_id] >= MAX_SILENCES

    def forget(self, subject_id: str) -> None:
        """Forget how silent somebody was who has left the queue."""
        del self._silences[subject_id]

    def pop_overdue(self, now: float) -> Decision | None:
        """Take the next proposal that was not answered in time, as refused."""
        for proposal_id, proposal in self._open.items():
            if proposal.deadline <= now:
                del self._open[proposal_id]
                silent = tuple(sorted(proposal.waiting_for))
                reason = f"no_answer:{','.join(silent)}"
                return Decision(proposal.proposal_no, Verdict.REJECT, reason, silent)
        return None

    def next_timeout(self) -> float | None:
        """Return when :meth:`pop_overdue` has something, or ``None``."""
        return min((proposal.deadline for proposal in self._open.values()), default=None)

    # ---- inside

    def _show_players(
        self, proposed: ProposedMatch, tickets: Mapping[str, Ticket], now: float
    ) -> Decision | None:
        """Await every member that joined with ``asks``; accept at once where none did."""
        subjects = tuple(candidate.subject_id for candidate in proposed.candidates)
        awaited = [subject for subject in subjects if subject in tickets and tickets[subject].wish.asks]
        if not awaited:
            return Decision(proposed.proposal_no, Verdict.ACCEPT, "accepted")
        proposal_id = _id_of(proposed.proposal_no)
        self._open[proposal_id] = _Open(proposed.proposal_no, set(awaited), now + self._within_s)
        for subject in awaited:
            proposed_match = MatchProposed(
                proposal_id=proposal_id,
                queue=proposed.queue,
                subjects=subjects,
                probe=MatchProbe(waited_s=tickets[subject].wait_s(now), pairs=proposed.pairs),
                answer_within_s=self._within_s,
                page_rtts_ms={
                    one.subject_id: one.page_rtt_ms
                    for one in proposed.candidates
                    if one.page_rtt_ms is not None
                },
            )
            self._outputs.append(Notify(subject, proposed_match))
        return None


def _id_of(proposal_no: int) -> str:
    return f"proposal-{proposal_no}"
