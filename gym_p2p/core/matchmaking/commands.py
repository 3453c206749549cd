"""The vocabulary of the planner and the queues: what they request, what they report, what they are answered.

Requests must be carried out, in their order; events may be ignored. A planner knows its queue's name, so that
the queues pass on what comes out of it as it is. It knows no state.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gym_p2p.core.api.matches import GroupHistory, MakeMatch
from gym_p2p.core.api.payloads import Count, Number, Text
from gym_p2p.core.api.queues import PairMeasured, Verdict, worst_rtt_ms
from gym_p2p.core.api.replies import Notify
from gym_p2p.core.matchmaking.memory import Pair
from gym_p2p.core.matchmaking.strategy import QueuedCandidate
from gym_p2p.core.wire.foreign_text import printable

__all__ = [
    "CancelProbe",
    "LogDecision",
    "NoVerdictError",
    "PlannerOutput",
    "ProposedMatch",
    "PutOff",
    "QueueOutput",
    "RequestProbe",
    "TicketRow",
    "Withdrawn",
    "as_verdict",
]


class NoVerdictError(ValueError):
    """A hook answered what is no verdict."""


def as_verdict(answer: object) -> Verdict:
    """Return what a hook answered as a verdict: ``True`` accepts, ``False`` rejects; also by its text.

    What equals ``True`` or ``False`` counts as it: NumPy's comparisons answer with a kind of their own.

    Raises:
        NoVerdictError: it is no answer.
    """
    with contextlib.suppress(ValueError):  # no verdict's text, or an array, which equals nothing
        if answer in (True, False):
            return Verdict.ACCEPT if answer else Verdict.REJECT
        return Verdict(answer)
    shown = printable(repr(answer), 80)
    raise NoVerdictError(f"a pre-match hook answers True, False or a Verdict, not {shown}")


@attrs.frozen
class RequestProbe:
    """Request: probe this pair, and answer with ``Queues.measured(request, …)``.

    Attributes:
        queue: for which one.
        probe_no: no two probes of queues that share their serials have the same.
        subjects: whom; neither is in another probe.
        relay_only: over a relay, for there seems to be no direct way.
        threshold_ms: what the result will be compared with; ``None`` if there is no limit.
    """

    queue: str
    probe_no: int
    subjects: Pair
    relay_only: bool
    threshold_ms: float | None


@attrs.frozen
class CancelProbe:
    """Request: end this probe; its outcome is no longer waited for."""

    request: RequestProbe
    reason: str


@attrs.frozen
class ProposedMatch:
    """Request: show this to the service's hook, and answer with ``Queues.hook_decided(proposed, …)``.

    Attributes:
        queue: which one.
        proposal_no: no two proposals of queues that share their serials have the same.
        candidates: who is to play, with waits and former partners.
        pairs: what was measured between them; empty where nothing was probed.
    """

    queue: str
    proposal_no: int
    candidates: tuple[QueuedCandidate, ...]
    pairs: tuple[PairMeasured, ...]

    @property
    def worst_rtt_ms(self) -> float | None:
        """The largest round trip of any pair in ms; ``None`` if nothing was measured."""
        return worst_rtt_ms(self.pairs)

    def renamed(self, name: Callable[[str], str]) -> ProposedMatch:
        """Return the same with other names for everybody."""
        candidates = tuple(
            attrs.evolve(
                one, subject_id=name(one.subject_id), group_history=_renamed(one.group_history, name)
            )
            for one in self.candidates
        )
        return attrs.evolve(
            self, candidates=candidates, pairs=tuple(pair.renamed(name) for pair in self.pairs)
        )


def _renamed(history: GroupHistory | None, name: Callable[[str], str]) -> GroupHistory | None:
    if history is None:
        return None
    return attrs.evolve(history, previous_partners=map(name, history.previous_partners))


@attrs.frozen
class Withdrawn:
    """Request: await nobody's verdict on this proposal any more; it has fallen through, or its time is up."""

    proposal_no: int


@attrs.frozen
class PutOff:
    """Event: this pair is not proposed again before ``until``."""

    subjects: Pair
    until: float
    reason: str


@attrs.frozen
class LogDecision:
    """Event: a decision was taken, made or rejected; a JSON-ready record for the decision log."""

    record: Mapping[str, Any]


QueueOutput = RequestProbe | CancelProbe | ProposedMatch | MakeMatch | Notify | LogDecision
PlannerOutput = QueueOutput | Withdrawn | PutOff


@attrs.frozen(kw_only=True)
class TicketRow:
    """One waiting subject, for a live table of the queue.

    Attributes:
        state: ``waiting``, ``probing``, or ``asking`` (for acceptance).
        threshold_ms: of a pair with somebody who has waited as long; ``None`` if there is no limit.
        best_estimate_ms: to the nearest other one in the queue; ``None`` if unknown.
    """

    subject_id: Text
    state: Text
    wait_s: Number
    threshold_ms: Number | None
    best_estimate_ms: Number | None
    probes: Count
    rejections: Count
