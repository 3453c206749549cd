"""The decision log: one JSON-ready record a decision, made and rejected, and its replay under another policy.

The records hold raw inputs (waits, estimates and where they came from, measured round trips), no scores, so
that a log answers questions that nobody had when it was written. Kinds:

``considered``  a seed and everybody who was free to play with it; ``chosen`` is ``null`` for nobody
``probed``      a pair's probe: both reports, waits and threshold at that instant; passed or rejected
``made``        a match
``rejected``    a proposal that fell through, and why
``gave_up``     a subject for which there was nobody

Keys are snake_case; ``t`` is the queue's monotonic clock in seconds. :func:`replay` puts every recorded
*situation* before another matchmaker. It does not play the queue on: what would have happened
after a different decision, no log knows (the simulation does: ``gym-p2p matchmaking simulate``).
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from gym_p2p.core.api.matches import GroupHistory
from gym_p2p.core.api.queues import MatchFailed
from gym_p2p.core.matchmaking.estimator import Estimate, Source
from gym_p2p.core.matchmaking.selection import Choice, threshold_of
from gym_p2p.core.matchmaking.strategy import Matchmaker, QueuedCandidate, require_matchmaker
from gym_p2p.core.matchmaking.tickets import Probe, Proposal, Ticket
from gym_p2p.core.probing.outcome import Mark, ProbeOutcome

__all__ = ["VERSION", "ReplayedLog", "considered", "gave_up", "made", "probed", "rejected", "replay"]

VERSION = 1
_KINDS = frozenset({"considered", "probed", "made", "rejected", "gave_up"})
Record = dict[str, Any]


def considered(
    choice: Choice, group: Sequence[Ticket] | None, matchmaker: Matchmaker, group_size: int, now: float
) -> Record:
    """Return the record of a seed that was considered."""
    return {
        **_head("considered", now),
        "policy": type(matchmaker).__name__,
        "group_size": group_size,
        "seed": _candidate(choice.seed),
        "waiting": [
            {**_candidate(c), "threshold_ms": threshold_of(matchmaker, choice.seed.wait_s, c.wait_s)}
            for c in choice.waiting
        ],
        "chosen": None if group is None else [ticket.subject_id for ticket in group],
        "relay": group is not None and choice.group is None,
        "fault": choice.fault,
    }


def probed(
    probe: Probe, outcome: ProbeOutcome, threshold_ms: float | None, now: float, *, rejected: bool
) -> Record:
    """Return the record of a finished probe."""
    return {
        **_head("probed", now),
        "subjects": list(probe.request.subjects),
        "waits_s": [t.wait_s(now) for t in sorted((probe.one, probe.other), key=lambda t: t.subject_id)],
        "attempt": 1 if outcome.earlier is None else 2,
        "relay": probe.request.relay_only,
        "threshold_ms": threshold_ms,
        **_found(outcome),
        "verdict": "rejected" if rejected else "passed",
        "reason": str(outcome.reason) if outcome.rtt_ms is None else None,
    }


def made(proposal: Proposal, now: float) -> Record:
    """Return the record of a proposal that became a match."""
    return {
        **_head("made", now),
        "subjects": [ticket.subject_id for ticket in proposal.members],
        "waits_s": [ticket.wait_s(now) for ticket in proposal.members],
        "relay": proposal.relay_only,
        "probes": [{"subjects": list(pair), **_found(o)} for pair, o in proposal.outcomes.items()],
    }


def rejected(subjects: Sequence[str], reason: str, now: float) -> Record:
    """Return the record of a proposal that fell through."""
    return {**_head("rejected", now), "subjects": list(subjects), "reason": reason}


def gave_up(ticket: Ticket, failed: MatchFailed, now: float) -> Record:
    """Return the record of a subject for which there was nobody."""
    return {
        **_head("gave_up", now),
        "subject": ticket.subject_id,
        "reason": failed.reason,
        "wait_s": failed.waited_s,
        "probes": ticket.probes,
        "rejections": ticket.rejections,
    }


@attrs.define
class ReplayedLog:
    """What another matchmaker would have chosen in the recorded situations.

    Attributes:
        situations: seeds that were considered.
        same: it would have chosen the same group, or nobody where nobody was chosen.
        differences: the others: ``t``, ``seed``, ``chosen`` and ``would_choose``.
        probes: pairs that were measured.
        verdicts: how often a pair that was ``then`` passed or rejected ``now`` would be, as ``then->now``.
        skipped: lines that are no record of this version.
        records: the others.
    """

    situations: int = 0
    same: int = 0
    differences: list[Record] = attrs.field(factory=list)
    probes: int = 0
    verdicts: collections.Counter[str] = attrs.field(factory=collections.Counter)
    skipped: int = 0
    records: int = 0


def replay(log: Iterable[object], matchmaker: Matchmaker) -> ReplayedLog:
    """Put every situation in a log before a matchmaker.

    Args:
        log: records, as read from the lines of a log; what is none is counted and skipped.
        matchmaker: the other policy.

    Raises:
        TypeError: ``matchmaker`` is none.
    """
    require_matchmaker(matchmaker)
    outcome = ReplayedLog()
    for record in log:
        try:
            _replay_one(record, matchmaker, outcome)
            outcome.records += 1
        except (KeyError, TypeError, ValueError, AttributeError):
            outcome.skipped += 1
    return outcome


def _replay_one(record: Any, matchmaker: Matchmaker, outcome: ReplayedLog) -> None:
    if record["v"] != VERSION:
        raise ValueError("another version")
    if record["kind"] not in _KINDS:
        raise ValueError("of no kind that is known")
    if record["kind"] == "considered":
        seed = _read(record["seed"])
        waiting = [_read(candidate) for candidate in record["waiting"]]
        size = record["group_size"]
        ranked = matchmaker.rank_candidates(seed, list(waiting), size)
        group = matchmaker.find_match(seed, ranked, size)
        would_choose = None if group is None else [candidate.subject_id for candidate in group]
        outcome.situations += 1
        if would_choose == record["chosen"]:
            outcome.same += 1
        else:
            difference = {"t": record["t"], "seed": seed.subject_id, "chosen": record["chosen"]}
            outcome.differences.append({**difference, "would_choose": would_choose})
    elif record["kind"] == "probed":
        wait_a_s, wait_b_s = record["waits_s"]
        rejects = matchmaker.rejects_pair(record["rtt_ms"], wait_a_s, wait_b_s)
        outcome.probes += 1
        outcome.verdicts[f"{record['verdict']}->{'rejected' if rejects else 'passed'}"] += 1


def _head(kind: str, now: float) -> Record:
    return {"v": VERSION, "t": now, "kind": kind}


def _found(outcome: ProbeOutcome) -> Record:
    disagree = Mark.DISAGREED in outcome.marks
    return {"rtt_ms": outcome.rtt_ms, "disagree": disagree, "reports": dict(outcome.measured.reports)}


def _candidate(candidate: QueuedCandidate) -> Record:
    history = candidate.group_history
    return {
        "id": candidate.subject_id,
        "rtt_ms": candidate.rtt_ms,
        "wait_s": candidate.wait_s,
        "rejections": candidate.rejections,
        "page_rtt_ms": candidate.page_rtt_ms,
        "estimate_ms": candidate.estimate.rtt_ms,
        "source": candidate.estimate.source.value,
        "exact": candidate.estimate.exact,
        "history": None if history is None else attrs.asdict(history),
    }


def _read(data: Mapping[str, Any]) -> QueuedCandidate:
    history = data["history"]
    return QueuedCandidate(
        data["id"],
        data["rtt_ms"],
        None if history is None else GroupHistory(**history),
        wait_s=data["wait_s"],
        rejections=data["rejections"],
        page_rtt_ms=data.get("page_rtt_ms"),  # logs from before have none
        estimate=Estimate(data["estimate_ms"], Source(data["source"]), data["exact"]),
    )
