"""The vocabulary of the planner: what it asks for, what it tells, and the answers that it takes.

Requests must be carried out, in their order; events may be ignored. It knows no state.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.core.api.payloads import MAX_RTT_MS, Count, Number, Text
from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.matchmaking.strategy import QueuedCandidate

__all__ = [
    "AskHook",
    "CancelProbe",
    "Decided",
    "GaveUp",
    "Matched",
    "Pair",
    "PairProbe",
    "PlannerOutput",
    "PutOff",
    "RequestProbe",
    "TicketRow",
    "Withdrawn",
    "as_verdict",
    "pair_of",
]

Pair = tuple[str, str]
"""Two subject ids in order, so that a pair has one name."""


def pair_of(a: str, b: str) -> Pair:
    """Return the name of the pair of these two."""
    return (a, b) if a < b else (b, a)


def as_verdict(answer: object) -> Verdict:
    """Return what a hook answered as a verdict: ``True`` accepts, ``False`` rejects; also by its text.

    What equals ``True`` or ``False`` counts as it: NumPy's comparisons answer with a kind of their own.

    Raises:
        ValueError: it is no answer.
    """
    with contextlib.suppress(ValueError):  # no verdict's text, or an array, which equals nothing
        if answer in (True, False):
            return Verdict.ACCEPT if answer else Verdict.REJECT
        return Verdict(answer)
    raise ValueError(f"a pre-match hook answers True, False or a Verdict, not {answer!r:.80}")


def _rtt(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not (math.isfinite(value) and 0 <= value <= MAX_RTT_MS):
        raise ValueError(f"{attribute.name}: wanted None or 0 to {MAX_RTT_MS:g}, got {value!r}")


@attrs.frozen(kw_only=True)
class PairProbe:
    """How a probe of a pair ended.

    Attributes:
        rtt_ms: the pair's round trip, the larger of both medians; ``None`` if it failed.
        reason: why it failed, as a short fixed text; ``None`` if it did not.
        blameless: it failed, but not by the pair (one of them was busy): it may be tried again soon.
        disagree: the two reports differ too much; the planner then asks for one more probe.
        reports: what each subject reported, JSON-ready, by subject id: RTT, jitter, loss, path.
    """

    rtt_ms: float | None = attrs.field(validator=_rtt)
    reason: str | None = None
    blameless: bool = False
    disagree: bool = False
    reports: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)


@attrs.frozen
class RequestProbe:
    """Request: probe this pair, and answer with ``Planner.probe_result(probe_no, …)``.

    Attributes:
        probe_no: the planner's number of this probe.
        subjects: whom; neither is in another probe.
        relay_only: over a relay, for there seems to be no direct way.
        attempt: 2 when the reports of the first one disagreed.
        threshold_ms: what the result will be compared with; ``None`` if there is no limit.
    """

    probe_no: int
    subjects: Pair
    relay_only: bool
    attempt: int
    threshold_ms: float | None


@attrs.frozen
class CancelProbe:
    """Request: end this probe; its result is no longer waited for."""

    probe_no: int
    subjects: Pair
    reason: str


@attrs.frozen
class AskHook:
    """Request: ask the pre-match hook, and answer with ``Planner.hook_decision(proposal_no, …)``.

    Attributes:
        proposal_no: the planner's number of this proposal.
        candidates: who is to play.
        probes: what was measured, one result a pair; empty where nothing was probed.
    """

    proposal_no: int
    candidates: tuple[QueuedCandidate, ...]
    probes: Mapping[Pair, PairProbe]


@attrs.frozen
class Withdrawn:
    """Request: ask nobody about this proposal any more; it has fallen through, or its time is up."""

    proposal_no: int


@attrs.frozen
class Matched:
    """Request: make this match; its players have left the queue.

    Attributes:
        proposal_no: the planner's number of the proposal that became this match.
        subjects: who plays, the seed last.
        waits_s: how long each has waited, in the same order.
        probes: what was measured, one result a pair; empty where nothing was probed.
        relay_only: the way that was measured leads over a relay.
    """

    proposal_no: int
    subjects: tuple[str, ...]
    waits_s: tuple[float, ...]
    probes: Mapping[Pair, PairProbe]
    relay_only: bool


@attrs.frozen
class GaveUp:
    """Request: tell this subject that there is no match for it; it has left the queue."""

    subject_id: str
    reason: str
    waited_s: float


@attrs.frozen
class PutOff:
    """Event: this pair is not proposed again before ``until``."""

    subjects: Pair
    until: float
    reason: str


@attrs.frozen
class Decided:
    """Event: a decision was taken, made or rejected; a JSON-ready record for the decision log."""

    record: Mapping[str, Any]


PlannerOutput = RequestProbe | CancelProbe | AskHook | Withdrawn | Matched | GaveUp | PutOff | Decided


@attrs.frozen(kw_only=True)
class TicketRow:
    """One waiting subject, for a live table of the queue.

    Attributes:
        state: ``waiting``, ``probing``, or ``asking`` (the hook).
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
