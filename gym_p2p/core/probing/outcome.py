"""How a probe ends, and how long it may take: the values that the service's side of probing speaks in.

It knows the reasons, the deadlines, and the rule by which two reports become one number. It refuses to know
how a probe gets there (:mod:`gym_p2p.core.probing.session`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence

import attrs

from gym_p2p.core.api.payloads import MAX_RTT_MS, encode
from gym_p2p.core.api.probes import ProbeReport
from gym_p2p.core.api.queues import PairMeasured

__all__ = ["Mark", "ProbeDeadlines", "ProbeOutcome", "Reason", "reconcile"]


_DISAGREE_MS = 8.0
_DISAGREE = 0.25
"""Both sides measure one path: on a bad radio link their medians of ten pings differ by 38 ms in a thousand
cases; an invented number usually by more than this."""


class Mark(enum.StrEnum):
    """What is noteworthy about a pair's figure."""

    ONE_SIDED = "one_sided"
    """Only one side had a usable report."""
    DISAGREED = "disagreed"
    """The two sides' medians differ by more than 25 % and 8 ms; the larger one counts."""


def reconcile(reports: Sequence[ProbeReport | None]) -> tuple[float | None, frozenset[Mark]]:
    """Return the pair's round trip in ms by both sides' reports, and what is noteworthy about it.

    The larger median counts, so that nobody gains by reporting too little; ``None`` where neither has one. A
    report that is ``None`` did not come.
    """
    medians = [report.rtt_ms for report in reports if report is not None and report.rtt_ms is not None]
    if not medians:
        return None, frozenset()
    if len(medians) == 1:
        return medians[0], frozenset({Mark.ONE_SIDED})
    low, high = min(medians), max(medians)
    disagree = high - low > max(_DISAGREE_MS, _DISAGREE * low)
    return high, frozenset({Mark.DISAGREED}) if disagree else frozenset()


class Reason(enum.StrEnum):
    """Why a probe ended, as it stands on the wire."""

    MEASURED = "measured"
    AGAIN = "again"
    """The two reports disagreed; the pair is probed once more."""
    NOT_READY = "not_ready"
    NOT_CONNECTED = "not_connected"
    NOT_MEASURED = "not_measured"
    FAILED = "failed"
    """Both sides reported a failure, or one did and the other nothing."""
    LEFT = "left"
    """A member is gone."""
    ABSENT = "absent"
    """A member was not there to begin with."""
    BUSY = "busy"
    """A member is in another probe."""
    CANCELLED = "cancelled"
    NO_RESULT = "no_result"
    """Whoever asked for the probe has waited in vain for its end."""


@attrs.frozen(kw_only=True)
class ProbeDeadlines:
    """How long each part of a probe may take, in seconds."""

    ready_s: float = 3.0
    connect_s: float = 12.0
    """From the start; a browser gives up by itself after 10."""
    measure_s: float = 5.0
    """After ``connect_s``."""
    total_s: float = 18.0
    """From the creation, a second attempt included."""
    second_report_s: float = 2.0
    """From the first report to doing without the second."""


_IN_RANGE = attrs.validators.optional([attrs.validators.ge(0.0), attrs.validators.le(MAX_RTT_MS)])


@attrs.frozen(kw_only=True)
class ProbeOutcome:
    """How a probe ended.

    Attributes:
        probe_session_id: of the last attempt; empty where it has not come to one.
        rtt_ms: the pair's round trip; ``None`` when there is none.
        reports: what each member reported; ``None`` for nothing, or nothing that could be read.
        earlier: the first attempt, when the pair was probed once more.
        took_s: from the creation to the end.
    """

    subjects: tuple[str, str]
    reason: Reason
    probe_session_id: str = ""
    rtt_ms: float | None = attrs.field(default=None, validator=_IN_RANGE)
    marks: frozenset[Mark] = frozenset()
    reports: Mapping[str, ProbeReport | None] = attrs.field(factory=dict)
    earlier: ProbeOutcome | None = None
    took_s: float = 0.0

    @property
    def pair_failed(self) -> bool:
        """Whether it is the pair that came to nothing, and not one member who was gone or busy."""
        return self.reason in _PAIR_FAILED

    @property
    def measured(self) -> PairMeasured:
        """What of it the two, and the service's pre-match hook, are shown before a match."""
        reports = {subject: encode(r) for subject, r in self.reports.items() if r is not None}
        return PairMeasured(subjects=self.subjects, rtt_ms=self.rtt_ms, reports=reports)

    def renamed(self, name: Callable[[str], str]) -> ProbeOutcome:
        """Return the same with other names for the two, in the earlier attempt, too."""
        one, other = self.subjects
        return attrs.evolve(
            self,
            subjects=(name(one), name(other)),
            reports={name(subject): report for subject, report in self.reports.items()},
            earlier=None if self.earlier is None else self.earlier.renamed(name),
        )

    def after(self, first: ProbeOutcome | None, took_s: float) -> ProbeOutcome:
        """Return the outcome of both attempts: this one's, or the first one's when this one found nothing."""
        if first is not None and self.pair_failed:
            return attrs.evolve(first, reason=Reason.MEASURED, took_s=took_s)
        return attrs.evolve(self, earlier=first, took_s=took_s)


_PAIR_FAILED = frozenset(
    {Reason.NOT_READY, Reason.NOT_CONNECTED, Reason.NOT_MEASURED, Reason.FAILED, Reason.NO_RESULT}
)
