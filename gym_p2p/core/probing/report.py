"""What the pair's latency is by both sides' reports of a probe.

Knows the rule by which two reports become one number. It refuses to know how a report came about.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from gym_p2p.core.api.probes import ProbeReport

__all__ = ["Mark", "reconcile"]

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
