"""Proposals that somebody is asked about: the service's hook first, then every member that wants a say.

The books of one queue: who has been asked, by when, and who lets proposals pass in silence. What a verdict
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

__all__ = ["MAX_SILENCES", "Asking", "Decision"]

MAX_SILENCES = 2
"""So many proposals in a row may somebody who wants to be asked leave unanswered."""


@attrs.frozen
class Decision:
    """Request: hand this to the planner.

    Attributes:
        silent: members that were asked and have not answered; for each call :meth:`Asking.is_too_silent`.
    """

    proposal_no: int
    verdict: Verdict
    reason: str
    silent: tuple[str, ...] = ()


@attrs.define(eq=False)
class _Question:
    """A proposal whose members are being asked."""

    proposal_no: int
    waiting_for: set[str]
    deadline: float


class Asking:
    """Who is asked about which proposal of one queue.

    Args:
        hook: whether the service has a pre-match hook.
        within_s: later than this counts as a refusal of a player; the hook's deadline is its caller's.
        outputs: where the questions go.
    """

    def __init__(self, *, hook: bool, within_s: float, outputs: deque[QueueOutput]) -> None:
        self._hook = hook
        self._within_s = within_s
        self._at_hook: set[int] = set()
        self._questions: dict[str, _Question] = {}  # by the proposal's id on the wire
        self._silences: Counter[str] = Counter()
        self._outputs = outputs

    # ---- a proposal comes, and may go

    def propose(self, proposed: ProposedMatch, tickets: Mapping[str, Ticket], now: float) -> Decision | None:
        """Ask the hook, or the members where there is none; ``None`` while there is no decision."""
        if not self._hook:
            return self._ask_players(proposed, tickets, now)
        self._at_hook.add(proposed.proposal_no)
        self._outputs.append(proposed)
        return None

    def withdraw(self, proposal_no: int) -> None:
        """Forget a proposal: nobody's answer counts any more."""
        self._at_hook.discard(proposal_no)
        self._questions.pop(_id_of(proposal_no), None)

    # ---- answers

    def hook_decided(
        self,
        proposed: ProposedMatch,
        verdict: Verdict,
        reason: str,
        tickets: Mapping[str, Ticket],
        now: float,
    ) -> Decision | None:
        """Take the hook's verdict; ``None`` where the members are asked next, or nobody waits for it."""
        if proposed.proposal_no not in self._at_hook:
            return None
        self._at_hook.remove(proposed.proposal_no)
        if verdict is Verdict.ACCEPT:
            return self._ask_players(proposed, tickets, now)
        return Decision(proposed.proposal_no, verdict, reason)

    def is_asked(self, subject_id: str, proposal_id: str) -> bool:
        """Tell whether this is a question to this subject that is still open."""
        question = self._questions.get(proposal_id)
        return question is not None and subject_id in question.waiting_for

    def answer(self, subject_id: str, proposal_id: str, verdict: Verdict) -> Decision | None:
        """Take the answer of one who is asked; ``None`` while others have not answered.

        The first refusal decides; to accept, it takes everybody.
        """
        question = self._questions[proposal_id]
        question.waiting_for.remove(subject_id)
        del self._silences[subject_id]
        if verdict is Verdict.ACCEPT and question.waiting_for:
            return None
        del self._questions[proposal_id]
        reason = "accepted" if verdict is Verdict.ACCEPT else f"player:{subject_id}"
        return Decision(question.proposal_no, verdict, reason)

    # ---- silence

    def is_too_silent(self, subject_id: str) -> bool:
        """Count an unanswered question; tell whether it was one too many, for that holds up the others."""
        self._silences[subject_id] += 1
        return self._silences[subject_id] >= MAX_SILENCES

    def forget(self, subject_id: str) -> None:
        """Forget how silent somebody was who has left the queue."""
        del self._silences[subject_id]

    def pop_overdue(self, now: float) -> Decision | None:
        """Take the next question that was not answered in time, as a refusal."""
        for proposal_id, question in self._questions.items():
            if question.deadline <= now:
                del self._questions[proposal_id]
                silent = tuple(sorted(question.waiting_for))
                reason = f"no_answer:{','.join(silent)}"
                return Decision(question.proposal_no, Verdict.REJECT, reason, silent)
        return None

    def next_timeout(self) -> float | None:
        """Return when :meth:`pop_overdue` has something, or ``None``."""
        return min((question.deadline for question in self._questions.values()), default=None)

    # ---- inside

    def _ask_players(
        self, proposed: ProposedMatch, tickets: Mapping[str, Ticket], now: float
    ) -> Decision | None:
        """Ask every member that wants a say; accept at once where nobody does."""
        subjects = tuple(candidate.subject_id for candidate in proposed.candidates)
        asked = [subject for subject in subjects if subject in tickets and tickets[subject].wish.asks]
        if not asked:
            return Decision(proposed.proposal_no, Verdict.ACCEPT, "accepted")
        proposal_id = _id_of(proposed.proposal_no)
        self._questions[proposal_id] = _Question(proposed.proposal_no, set(asked), now + self._within_s)
        for subject in asked:
            question = MatchProposed(
                proposal_id=proposal_id,
                queue=proposed.queue,
                subjects=subjects,
                probe=MatchProbe(waited_s=tickets[subject].wait_s(now), pairs=proposed.pairs),
                answer_within_s=self._within_s,
            )
            self._outputs.append(Notify(subject, question))
        return None


def _id_of(proposal_no: int) -> str:
    return f"proposal-{proposal_no}"
