"""What the service tells those who wait in a queue, and what was measured before their match.

Knows the wire form of these announcements and validates what arrives. It knows no queue: who is told what is
:mod:`gym_p2p.core.matchmaking.queues`'s to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from gym_p2p.core.wire.json_values import read_list, read_number, read_object, read_optional_number, read_text
from gym_p2p.errors import ProtocolError

__all__ = [
    "MatchFailed",
    "MatchProbe",
    "MatchProposed",
    "PairMeasured",
    "QueueAck",
    "QueueStatus",
    "worst_rtt_ms",
]


@attrs.frozen(kw_only=True)
class QueueAck:
    """The service's answer to joining a queue."""

    queue: str
    group_size: int
    """Players in a match: one for each seat."""
    waiting: int
    """Who waits by now, this one included."""

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return attrs.asdict(self)

    @classmethod
    def from_wire(cls, data: object) -> QueueAck:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "join_queue's answer")
        return cls(
            queue=read_text(fields, "queue"),
            group_size=int(read_number(fields, "group_size")),
            waiting=int(read_number(fields, "waiting")),
        )


@attrs.frozen(kw_only=True)
class QueueStatus:
    """Told to everyone in a queue when his own state or the number of those who wait has changed.

    Attributes:
        state: ``waiting``, ``probing``, or ``asking`` (a group is found, its members and the service's hook
            are asked).
        threshold_ms: the largest round trip of a pair by now; ``None`` if there is no limit.
        probes: how many probes this subject has been in since it joined.
    """

    queue: str
    state: str
    waiting: int
    wait_s: float
    threshold_ms: float | None
    probes: int

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return attrs.asdict(self)

    @classmethod
    def from_wire(cls, data: object) -> QueueStatus:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "queue_status")
        return cls(
            queue=read_text(fields, "queue"),
            state=read_text(fields, "state"),
            waiting=int(read_number(fields, "waiting")),
            wait_s=read_number(fields, "wait_s"),
            threshold_ms=read_optional_number(fields, "threshold_ms"),
            probes=int(read_number(fields, "probes")),
        )


@attrs.frozen(kw_only=True)
class PairMeasured:
    """What the probe of a pair found.

    Attributes:
        subjects: whom it was of.
        rtt_ms: the pair's round trip in ms, the larger of both sides' medians; ``None``: it failed.
        reports: what each side reported, by subject: ``rtt_ms``, ``samples_ms``, ``jitter_ms``, ``loss``,
            ``path`` (types of the two candidates).
    """

    subjects: tuple[str, str]
    rtt_ms: float | None
    reports: Mapping[str, Mapping[str, Any]]

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {"subjects": list(self.subjects), "rtt_ms": self.rtt_ms, "reports": dict(self.reports)}

    @classmethod
    def from_wire(cls, data: object) -> PairMeasured:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "pair")
        subjects = read_list(fields, "subjects")
        if len(subjects) != 2 or not all(isinstance(subject, str) for subject in subjects):
            raise ProtocolError("malformed subjects")
        reports = read_object(fields.get("reports"), "reports")
        return cls(
            subjects=(subjects[0], subjects[1]),
            rtt_ms=read_optional_number(fields, "rtt_ms"),
            reports={subject: read_object(report, "report") for subject, report in reports.items()},
        )


def worst_rtt_ms(pairs: Sequence[PairMeasured]) -> float | None:
    """Return the largest round trip of any pair in ms; ``None`` if nothing was measured."""
    return max((pair.rtt_ms for pair in pairs if pair.rtt_ms is not None), default=None)


@attrs.frozen(kw_only=True)
class MatchProbe:
    """What was measured before a match was made.

    Attributes:
        waited_s: how long this player has waited for it.
        pairs: one entry a pair that was probed; empty where the queue probes nobody.
    """

    waited_s: float
    pairs: tuple[PairMeasured, ...]

    def rtt_ms(self, one: str, other: str) -> float | None:
        """Return the measured round trip between two subjects in ms; ``None`` if there is none."""
        return next((pair.rtt_ms for pair in self.pairs if set(pair.subjects) == {one, other}), None)

    @property
    def worst_rtt_ms(self) -> float | None:
        """The largest round trip of any pair in ms; ``None`` if nothing was measured."""
        return worst_rtt_ms(self.pairs)

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {"waited_s": self.waited_s, "pairs": [pair.to_wire() for pair in self.pairs]}

    @classmethod
    def from_wire(cls, data: object) -> MatchProbe:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "probe")
        pairs = tuple(PairMeasured.from_wire(item) for item in read_list(fields, "pairs"))
        return cls(waited_s=read_number(fields, "waited_s"), pairs=pairs)


@attrs.frozen(kw_only=True)
class MatchProposed:
    """A group was found, and this player is asked whether he wants to play in it.

    Attributes:
        proposal_id: what the answer names.
        queue: the queue that it comes from.
        subjects: everybody in the group, this player included.
        probe: what was measured between them.
        answer_within_s: later than this counts as a refusal.
    """

    proposal_id: str
    queue: str
    subjects: tuple[str, ...]
    probe: MatchProbe
    answer_within_s: float

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "proposal_id": self.proposal_id,
            "queue": self.queue,
            "subjects": list(self.subjects),
            "probe": self.probe.to_wire(),
            "answer_within_s": self.answer_within_s,
        }

    @classmethod
    def from_wire(cls, data: object) -> MatchProposed:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "match_proposed")
        subjects = read_list(fields, "subjects")
        if not all(isinstance(subject, str) for subject in subjects):
            raise ProtocolError("malformed subjects")
        return cls(
            proposal_id=read_text(fields, "proposal_id"),
            queue=read_text(fields, "queue"),
            subjects=tuple(subjects),
            probe=MatchProbe.from_wire(fields.get("probe")),
            answer_within_s=read_number(fields, "answer_within_s"),
        )


@attrs.frozen(kw_only=True)
class MatchFailed:
    """There is no match for this player; he has left the queue.

    Attributes:
        reason: ``nobody_else``, ``nobody_near_enough``, or ``no_answer`` (he wanted to be asked, and did not
            answer).
    """

    queue: str
    reason: str
    waited_s: float

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return attrs.asdict(self)

    @classmethod
    def from_wire(cls, data: object) -> MatchFailed:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "match_failed")
        return cls(
            queue=read_text(fields, "queue"),
            reason=read_text(fields, "reason"),
            waited_s=read_number(fields, "waited_s"),
        )
