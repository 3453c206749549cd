from __future__ import annotations

import pytest

from gym_p2p.bench.figures import Report, Round, Row, Series, times_between
from gym_p2p.bench.run import Rounds, turns
from gym_p2p.core.latency.statistics import nearest_rank


def test_a_round_has_the_median_and_the_nearest_rank_nearest_rank() -> None:
    one = Round.of([float(number) for number in range(1, 201)])
    assert one == Round(200, 100.5, 198.0)
    assert nearest_rank([5.0], 0.99) == 5.0


def test_a_series_is_the_median_over_its_rounds_and_skips_empty_ones() -> None:
    found = Rounds("us")
    for samples in ([10.0, 10.0, 20.0], [], [12.0, 12.0, 90.0]):
        found.add("step", samples)
    series = found.series("step")
    assert series.rounds == (Round(3, 10.0, 20.0), Round(3, 12.0, 90.0))
    assert (series.p50, series.p99) == (11.0, 55.0)


def test_a_frame_is_on_time_up_to_a_quarter_of_its_time_late() -> None:
    between, on_time = times_between([0.0, 0.5, 1.125, 1.75, 2.5], fps=2)
    assert between == [500, 625, 625, 750]
    assert on_time == 0.75
    assert times_between([1.0], fps=2) == ([], 0)


def test_what_warming_up_finds_is_forgotten() -> None:
    found, progress = Rounds("us"), list[str]()
    for count in turns(found, 2, progress.append, count=30, warm_up=4):
        found.add("step", [1.0] * count)
    assert [one.count for one in found.series("step").rounds] == [30, 30]
    assert progress == ["warming up", "round 1 of 2", "round 2 of 2"]


def test_a_series_without_samples_has_no_figures() -> None:
    assert Series(name="step", unit="us", rounds=()).p50 is None


def test_ratios_are_of_ours_and_absent_where_there_is_nothing_to_compare_with() -> None:
    row = Row("echo", "us", 30.0, floor=20.0, anchor=None)
    assert (row.per_floor, row.per_anchor) == (1.5, None)


@pytest.mark.parametrize("empty", [None, 0.0])
def test_a_ratio_to_nothing_is_unknown(empty: float | None) -> None:
    assert Row("echo", "us", 30.0, floor=empty).per_floor is None


def test_a_report_keeps_the_rounds_behind_its_rows() -> None:
    series = Series(name="ours", unit="us", rounds=(Round(2, 1.0, 2.0),))
    row = Row("echo", "us", series.p50)
    report = Report(bench="echo", settings={"rounds": 1}, notes=("a",), rows=(row,), series=(series,))
    mapping = report.to_mapping()
    assert mapping["series"] == (
        {"name": "ours", "unit": "us", "rounds": ({"count": 2, "p50": 1.0, "p99": 2.0},)},
    )
    assert mapping["rows"][0]["what"] == "echo"
    assert mapping["rows"][0]["per_floor"] is None
