"""What the pair's latency is by both sides' reports of a probe.

Knows the rule by which two reports become one number. It refuses to know how a report came about.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs

from gym_p2p.core.api.probes import ProbeReport

__all__ = ["Mark", "Reconciled", "reconcile"]

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


@attrs.frozen
class Reconciled:
    """The pair's figure by both reports; ``rtt_ms`` is ``None`` when neither has one."""

    rtt_ms: float | None
    marks: frozenset[Mark] = frozenset()


def reconcile(reports: Sequence[ProbeReport | None]) -> Reconciled:
    """Return what two sides' reports amount to; ``None`` is a report that did not come.

    The larger median counts, so that nobody gains by reporting too little.
    """
    medians = [report.rtt_ms for report in reports if report is not None and report.rtt_ms is not None]
    if not medians:
        return Reconciled(None)
    if len(medians) == 1:
        return Reconciled(medians[0], frozenset({Mark.ONE_SIDED}))
    low, high = min(medians), max(medians)
    disagree = high - low > max(_DISAGREE_MS, _DISAGREE * low)
    return Reconciled(high, frozenset({Mark.DISAGREED}) if disagree else frozenset())
