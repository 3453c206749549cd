"""What the service announces to those who wait in a queue, and what was measured before their match.

It knows no queue: who is sent what is :mod:`gym_p2p.core.matchmaking.queues`'s to decide.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import attrs

from gym_p2p.core.api.payloads import Count, Number, Text

__all__ = [
    "MatchFailed",
    "MatchProbe",
    "MatchProposed",
    "PairMeasured",
    "QueueAck",
    "QueueStatus",
    "Verdict",
    "worst_rtt_ms",
]


class Verdict(enum.Enum):
    """What a pre-match hook, or a player, answers to a proposed match."""

    ACCEPT = "accept"
    """Play."""
    REJECT = "reject"
    """Not these: they are put off for the cool-down."""
    NEXT = "next"
    """Look for somebody else first: they are put off for a moment only."""


@attrs.frozen(kw_only=True)
class QueueAck:
    """The service's answer to joining a queue.

    Attributes:
        group_size: players in a match: one for each seat.
        waiting: who waits by now, this one included.
    """

    queue: Text
    group_size: Count
    waiting: Count


@attrs.frozen(kw_only=True)
class QueueStatus:
    """Sent to everyone in a queue when their own state or the number of those who wait has changed.

    Attributes:
        state: ``waiting``, ``probing``, or ``asking`` (a group is found, its members and the service's hook
            vote).
        threshold_ms: the largest round trip of a pair by now; ``None`` if there is no limit.
        probes: how many probes this subject has been in since it joined.
    """

    event: ClassVar[str] = "queue_status"

    queue: Text
    state: Text
    waiting: Count
    wait_s: Number
    threshold_ms: Number | None
    probes: Count


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
    rtt_ms: Number | None
    reports: Mapping[str, Mapping[str, Any]]

    def renamed(self, name: Callable[[str], str]) -> PairMeasured:
        """Return the same with other names for the two."""
        one, other = self.subjects
        reports = {name(subject): report for subject, report in self.reports.items()}
        return PairMeasured(subjects=(name(one), name(other)), rtt_ms=self.rtt_ms, reports=reports)


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

    waited_s: Number
    pairs: tuple[PairMeasured, ...]

    def rtt_ms(self, one: str, other: str) -> float | None:
        """Return the measured round trip between two subjects in ms; ``None`` if there is none."""
        return next((pair.rtt_ms for pair in self.pairs if set(pair.subjects) == {one, other}), None)

    @property
    def worst_rtt_ms(self) -> float | None:
        """The largest round trip of any pair in ms; ``None`` if nothing was measured."""
        return worst_rtt_ms(self.pairs)


@attrs.frozen(kw_only=True)
class MatchProposed:
    """A group was found, and this player votes on whether to play in it.

    Attributes:
        proposal_id: what the answer names.
        queue: the queue that it comes from.
        subjects: everybody in the group, this player included.
        probe: what was measured between them.
        answer_within_s: later than this counts as a refusal.
        page_rtts_ms: by subject, of people: the round trip between their process and their page, which they
            feel beside the one that was measured.
    """

    event: ClassVar[str] = "match_proposed"

    proposal_id: Text
    queue: Text
    subjects: tuple[str, ...]
    probe: MatchProbe
    answer_within_s: Number
    page_rtts_ms: Mapping[str, Number] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class MatchFailed:
    """There is no match for this player, who has left the queue.

    Attributes:
        reason: ``nobody_else``, ``nobody_near_enough``, ``refused`` (by the service's rule), ``rule_failed``
            (it raised, took too long, or answered what is no verdict), ``declined`` (by a player's vote), or
            ``no_answer`` (the player wanted a vote, and did not use it).
    """

    event: ClassVar[str] = "match_failed"

    queue: Text
    reason: Text
    waited_s: Number
