from __future__ import annotations

import math

import attrs
import pytest

from gym_p2p.core.api.payloads import MAX_RTT_MS
from gym_p2p.core.api.probes import ProbeReport
from gym_p2p.core.probing.outcome import Mark, ProbeOutcome, Reason

PAIR = ("ann", "bob")
FOUND = ProbeOutcome(
    subjects=PAIR,
    reason=Reason.MEASURED,
    rtt_ms=40.0,
    marks=frozenset({Mark.ONE_SIDED}),
    reports={"ann": ProbeReport(rtt_ms=40.0, success=True, samples_ms=(39.0, 41.0)), "bob": None},
)


def test_players_are_shown_the_figure_and_the_reports_that_came() -> None:
    shown = FOUND.measured
    assert (shown.subjects, shown.rtt_ms) == (PAIR, 40.0)
    assert set(shown.reports) == {"ann"}
    assert shown.reports["ann"]["samples_ms"] == [39.0, 41.0]


@pytest.mark.parametrize("reason", Reason)
def test_it_is_not_the_pairs_fault_that_a_member_was_gone_or_busy(reason: Reason) -> None:
    blameless = {Reason.MEASURED, Reason.AGAIN, Reason.LEFT, Reason.ABSENT, Reason.BUSY, Reason.CANCELLED}
    assert ProbeOutcome(subjects=PAIR, reason=reason).pair_failed == (reason not in blameless)


def test_a_second_attempt_remembers_the_first_and_one_that_found_nothing_leaves_it_standing() -> None:
    first = attrs.evolve(FOUND, reason=Reason.AGAIN)
    second = attrs.evolve(FOUND, rtt_ms=50.0)
    assert second.after(first, 3.0) == attrs.evolve(second, earlier=first, took_s=3.0)
    failed = ProbeOutcome(subjects=PAIR, reason=Reason.NOT_MEASURED)
    assert failed.after(first, 3.0) == attrs.evolve(FOUND, took_s=3.0)
    assert failed.after(None, 3.0) == attrs.evolve(failed, took_s=3.0)


def test_under_other_names_all_is_the_same_in_both_attempts() -> None:
    first = attrs.evolve(FOUND, reason=Reason.AGAIN)
    renamed = FOUND.after(first, 3.0).renamed({"ann": "P1", "bob": "P2"}.__getitem__)
    assert renamed.earlier is not None
    for one in (renamed, renamed.earlier):
        assert one.subjects == ("P1", "P2")
        assert one.reports == {"P1": FOUND.reports["ann"], "P2": None}
    assert renamed.renamed({"P1": "ann", "P2": "bob"}.__getitem__) == FOUND.after(first, 3.0)


@pytest.mark.parametrize("rtt_ms", [-0.1, MAX_RTT_MS + 1.0, math.nan, math.inf])
def test_what_cannot_be_a_round_trip_is_no_outcome(rtt_ms: float) -> None:
    with pytest.raises(ValueError, match="rtt_ms"):
        ProbeOutcome(subjects=PAIR, reason=Reason.MEASURED, rtt_ms=rtt_ms)
