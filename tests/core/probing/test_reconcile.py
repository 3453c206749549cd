"""Two sides' reports become one figure: the larger median counts, and what is odd about it is marked."""

from __future__ import annotations

import pytest

from gym_p2p.core.api.probes import ProbeReport
from gym_p2p.core.probing.outcome import Mark, reconcile

FAILED = ProbeReport(success=False, failure="not_connected")


def report(rtt_ms: float) -> ProbeReport:
    return ProbeReport(rtt_ms=rtt_ms, success=True)


@pytest.mark.parametrize("reports", [[], [None, None], [FAILED, None], [FAILED, FAILED]])
def test_without_a_usable_report_there_is_no_figure(reports: list[ProbeReport | None]) -> None:
    assert reconcile(reports) == (None, frozenset())


@pytest.mark.parametrize("other", [None, FAILED])
def test_one_usable_report_is_enough_and_is_marked(other: ProbeReport | None) -> None:
    for reports in ([report(20.0), other], [other, report(20.0)]):
        assert reconcile(reports) == (20.0, frozenset({Mark.ONE_SIDED}))


@pytest.mark.parametrize(
    ("low", "high", "disagree"),
    [
        (20.0, 28.0, False),  # by 8 ms
        (20.0, 28.1, True),  # by more than 8 ms and 25 %
        (100.0, 125.0, False),  # by 25 %
        (100.0, 125.1, True),
        (0.0, 0.0, False),
    ],
)
def test_the_larger_median_counts_and_two_that_differ_too_much_are_marked(
    low: float, high: float, *, disagree: bool
) -> None:
    marks = frozenset({Mark.DISAGREED}) if disagree else frozenset()
    for reports in ([report(low), report(high)], [report(high), report(low)]):
        assert reconcile(reports) == (high, marks)
