from __future__ import annotations

import itertools
import math
import statistics
import sys
import threading
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.latency.clock import ClockOffset
from gym_p2p.core.latency.quality import Quality, QualityChange, QualityMonitor
from gym_p2p.core.latency.series import LatencySeries, Poll
from gym_p2p.core.latency.webrtc_stats import MAX_MEASURED_RTT_MS, ConnectionDetails, PollStatus
from gym_p2p.errors import ConfigurationError

rtts = st.floats(min_value=0, max_value=MAX_MEASURED_RTT_MS, allow_nan=False)


def series_of(*values: float, max_samples: int = 600) -> LatencySeries:
    series = LatencySeries(max_samples)
    for number, value in enumerate(values):
        series.record(1000 * number, value)
    return series


def statistics_of(series: LatencySeries) -> dict[str, Any] | None:
    stats: dict[str, Any] | None = msgspec.to_builtins(series.statistics())
    return stats


def stats_of(*values: float) -> dict[str, Any]:
    stats = statistics_of(series_of(*values))
    assert stats is not None
    return stats


def test_no_sample_has_no_statistics_even_after_missed_polls() -> None:
    series = LatencySeries()
    assert statistics_of(series) is None
    series.missed(0)
    assert statistics_of(series) is None
    assert series.samples() == []


def test_one_sample_is_its_own_minimum_median_and_percentile() -> None:
    stats = stats_of(12.25)
    for key in ("minMs", "maxMs", "meanMs", "medianMs", "p90Ms", "p95Ms", "p99Ms"):
        assert stats[key] == 12.25
    assert (stats["sampleCount"], stats["stdDevMs"], stats["jitterMs"]) == (1, 0.0, 0.0)


def test_equal_samples_have_exactly_that_mean_and_no_spread() -> None:
    stats = stats_of(*[0.1] * 3)
    assert stats["meanMs"] == 0.1
    assert (stats["stdDevMs"], stats["jitterMs"]) == (0.0, 0.0)


def test_zero_is_a_measurement() -> None:
    stats = stats_of(0.0, 0.0)
    assert (stats["sampleCount"], stats["minMs"], stats["maxMs"], stats["medianMs"]) == (2, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("values", "median"),
    [([4, 1, 3, 2], 2.5), ([1.5, 2], 1.75), ([9, 1, 5], 5), ([0.1, 0.2], 0.15000000000000002)],
)
def test_median_is_the_unrounded_middle(values: list[float], median: float) -> None:
    assert stats_of(*values)["medianMs"] == median


@given(st.lists(rtts, min_size=2, max_size=200))
def test_statistics_agree_with_the_standard_library(values: list[float]) -> None:
    stats = stats_of(*values)
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    assert stats["sampleCount"] == len(values)
    assert (stats["minMs"], stats["maxMs"]) == (min(values), max(values))
    assert stats["medianMs"] == statistics.median(values)
    assert stats["meanMs"] == pytest.approx(statistics.mean(values))
    assert stats["stdDevMs"] == pytest.approx(statistics.pstdev(values), abs=1e-6)
    for percent in (90, 95, 99):
        assert stats[f"p{percent}Ms"] == pytest.approx(cuts[percent - 1])
    assert stats["minMs"] <= stats["meanMs"] <= stats["maxMs"]


@given(st.lists(rtts, max_size=50), st.integers(min_value=1, max_value=8))
def test_only_the_newest_samples_are_kept_and_all_are_counted(values: list[float], kept: int) -> None:
    series = series_of(*values, max_samples=kept)
    assert [sample.rtt_ms for sample in series.samples()] == values[-kept:]
    stats = statistics_of(series)
    if stats is not None:
        assert stats["sampleCount"] == min(kept, len(values))
        assert (stats["totalSamples"], stats["polls"]) == (len(values), len(values))


def test_thousands_of_samples_stay_bounded() -> None:
    series = series_of(*(float(number) for number in range(5000)))
    stats = statistics_of(series)
    assert stats is not None
    assert (stats["sampleCount"], stats["totalSamples"]) == (600, 5000)
    assert (stats["minMs"], stats["maxMs"], stats["medianMs"]) == (4400.0, 4999.0, 4699.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.001, MAX_MEASURED_RTT_MS * 2])
def test_what_is_no_round_trip_counts_as_missed(value: float) -> None:
    series = series_of(5.0)
    assert series.record(1000, value) is False
    stats = statistics_of(series)
    assert stats is not None
    assert (stats["sampleCount"], stats["missed"], stats["polls"]) == (1, 1, 2)
    assert stats["maxMs"] == 5.0


def test_jitter_is_smoothed_as_in_rfc_3550() -> None:
    # J += (|D| - J) / 16, by hand: 16/16 = 1, then 1 + (8 - 1) / 16.
    assert stats_of(10, 26)["jitterMs"] == 1.0
    assert stats_of(10, 26, 18)["jitterMs"] == 1.4375


def test_a_copy_of_the_samples_is_handed_out() -> None:
    series = series_of(1.0, 2.0)
    stats = series.statistics()
    assert stats is not None
    stats.samples.clear()
    stats.outages.clear()
    series.samples().clear()
    stats = series.statistics()
    assert stats is not None
    stats.samples.clear()
    again = statistics_of(series)
    assert again is not None
    assert [sample["rttMs"] for sample in again["samples"]] == [1.0, 2.0]
    assert again["outages"] == []


def test_statistics_are_the_same_twice_and_follow_a_new_sample() -> None:
    series = series_of(1.0)
    assert statistics_of(series) == statistics_of(series)
    series.record(5000, 3.0)
    stats = statistics_of(series)
    assert stats is not None
    assert stats["meanMs"] == 2.0


def test_an_outage_lasts_from_the_first_missed_poll_to_the_next_answer() -> None:
    series = series_of(1.0)
    for second in (1, 2, 3):
        series.missed(1000 * second)
    stats = statistics_of(series)
    assert stats is not None
    assert stats["outages"] == [{"startMs": 1000, "endMs": None}]
    series.record(4000, 1.0)
    stats = statistics_of(series)
    assert stats is not None
    assert stats["outages"] == [{"startMs": 1000, "endMs": 4000}]
    assert (stats["polls"], stats["missed"]) == (5, 3)


def test_a_poll_without_news_is_missed_but_no_outage_until_an_answer_is_overdue() -> None:
    series = series_of(1.0)
    series.missed(1000, unanswered=False)
    stats = statistics_of(series)
    assert stats is not None
    assert (stats["missed"], stats["outages"]) == (1, [])
    series.missed(2000)
    stats = statistics_of(series)
    assert stats is not None
    assert stats["outages"] == [{"startMs": 1000, "endMs": None}]


def test_an_outage_never_ends_before_it_began_when_the_wall_clock_jumps_back() -> None:
    series = series_of(1.0)
    series.missed(5000)
    series.record(3000, 1.0)
    stats = statistics_of(series)
    assert stats is not None
    assert stats["outages"] == [{"startMs": 5000, "endMs": 5000}]


def test_outages_are_bounded() -> None:
    series = LatencySeries(max_samples=1)
    for number in range(1500):
        series.missed(2 * number)
        series.record(2 * number + 1, 1.0)
    stats = statistics_of(series)
    assert stats is not None
    assert len(stats["outages"]) == 1000
    assert stats["outages"][-1] == {"startMs": 2998, "endMs": 2999}


def test_both_halves_of_a_match_reach_the_same_statistics_from_the_polls() -> None:
    polls = [
        Poll(1000, 10.0, PollStatus.FRESH, ConnectionDetails("direct")),
        Poll(2000, None, PollStatus.STALE),
        Poll(3000, None, PollStatus.DISCONNECTED),
        Poll(4000, None, PollStatus.FAILED),
        Poll(5000, 12.0, PollStatus.FRESH),
    ]
    ours, theirs = LatencySeries(), LatencySeries()
    for poll in polls:
        ours.add(poll)
        theirs.add(poll)
    stats = statistics_of(ours)
    assert stats == statistics_of(theirs)
    assert stats is not None
    assert (stats["polls"], stats["missed"], stats["sampleCount"]) == (5, 3, 2)
    assert stats["outages"] == [{"startMs": 2000, "endMs": 5000}]


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "600"])
def test_a_size_that_cannot_be_is_refused(size: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_samples"):
        LatencySeries(size)


@pytest.mark.slow
def test_statistics_can_be_read_while_another_thread_records() -> None:
    series = LatencySeries(50)
    stop = threading.Event()

    def write() -> None:
        for number in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
            series.record(number, float(number))

    writer = threading.Thread(target=write)
    seen: set[int] = set()
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    writer.start()
    try:
        deadline = time.monotonic() + 20
        while len(seen) <= 20 and time.monotonic() < deadline:
            stats = statistics_of(series)
            if stats is None:
                continue
            seen.add(stats["totalSamples"])
            values = [sample["rttMs"] for sample in stats["samples"]]
            assert len(values) == stats["sampleCount"] <= stats["totalSamples"]
            assert (values[0], values[-1]) == (stats["minMs"], stats["maxMs"])
    finally:
        stop.set()
        writer.join(10)
        sys.setswitchinterval(interval_s)
    assert len(seen) > 20


@pytest.mark.slow
def test_what_came_can_be_taken_on_while_another_thread_records() -> None:
    series, other = LatencySeries(50), LatencySeries(50)

    def write() -> None:
        for number in range(20_000):
            while number > mark[1] + 500 and time.monotonic() < deadline:
                time.sleep(0)  # of more outages at once than are retained, the oldest are left out
            series.missed(2 * number)
            series.record(2 * number + 1, float(number % 7))

    writer = threading.Thread(target=write)
    mark, laps = (0, 0, 0), 0
    deadline = time.monotonic() + 20
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    writer.start()
    try:
        while writer.is_alive() and time.monotonic() < deadline:
            growth, mark = series.since(mark)
            if growth is not None:
                other.grow(growth)
                laps += 1
    finally:
        writer.join(20)
        sys.setswitchinterval(interval_s)
    growth, mark = series.since(mark)
    if growth is not None:
        other.grow(growth)
    assert laps > 20
    assert statistics_of(other) == statistics_of(series)


@given(offset=st.floats(-1e6, 1e6), there=st.floats(0, 2), back=st.floats(0, 2), held=st.floats(0, 0.5))
def test_the_clock_offset_is_right_within_its_bound_on_any_path(
    offset: float, there: float, back: float, held: float
) -> None:
    clock = ClockOffset()
    sent = 100.0
    received = sent + there + offset
    assert clock.observe(sent, received, received + held, sent + there + held + back)
    estimate = clock.estimate()
    assert estimate is not None
    assert abs(estimate.offset_s - offset) <= estimate.error_s + 1e-6
    assert estimate.outbound_s == pytest.approx(there, abs=estimate.error_s + 1e-6)
    assert estimate.inbound_s == pytest.approx(back, abs=estimate.error_s + 1e-6)


def test_the_shortest_round_trip_of_the_window_decides_the_clock_offset() -> None:
    clock = ClockOffset()
    clock.observe(0, 5.010, 5.010, 0.020)
    clock.observe(1, 6.400, 6.400, 1.410)
    assert clock.offset_s == pytest.approx(5.0)
    assert clock.error_s == pytest.approx(0.010, abs=1e-4)
    estimate = clock.estimate()
    assert estimate is not None
    assert estimate.outbound_s == pytest.approx(0.4)
    assert estimate.inbound_s == pytest.approx(0.010)


def test_an_old_exchange_leaves_the_clock_window() -> None:
    clock = ClockOffset()
    clock.observe(0, 5.0, 5.0, 0.001)
    for second in range(1, 9):
        clock.observe(second, second + 7.05, second + 7.05, second + 0.1)
    assert clock.offset_s == pytest.approx(7.0)


def test_the_error_of_the_clock_offset_grows_with_age() -> None:
    clock = ClockOffset()
    clock.observe(0, 5.0, 5.0, 0.002)
    clock.observe(100, 105.5, 105.5, 101.0)
    assert clock.error_s == pytest.approx(0.001 + 15e-6 * 100.998)


@pytest.mark.parametrize(
    "times",
    [(10.0, 0.0, 0.0, 9.0), (0.0, 5.0, 4.0, 1.0), (0.0, math.nan, 0.0, 1.0), (0.0, 0.0, 0.0, math.inf)],
)
def test_four_times_that_cannot_be_true_change_nothing(times: tuple[float, float, float, float]) -> None:
    clock = ClockOffset()
    assert clock.observe(*times) is False
    assert clock.estimate() is None
    assert clock.offset_s is None
    assert clock.error_s is None


def test_a_round_trip_that_rounding_made_negative_counts_as_zero() -> None:
    clock = ClockOffset()
    assert clock.observe(1.0, 1.0, 1.000002, 1.000001)
    estimate = clock.estimate()
    assert estimate is not None
    assert estimate.rtt_s == 0.0


def test_quality_changes_strictly_above_its_thresholds() -> None:
    monitor = QualityMonitor()
    assert monitor.status is None
    assert monitor.observe(150.0) == QualityChange(Quality.GOOD, None, 150.0)
    assert monitor.observe(149.0) is None
    assert monitor.observe(150.1) == QualityChange(Quality.WARNING, Quality.GOOD, 150.1)
    assert monitor.observe(300.0) is None
    assert monitor.observe(300.1) == QualityChange(Quality.CRITICAL, Quality.WARNING, 300.1)
    assert monitor.observe(0.0) == QualityChange(Quality.GOOD, Quality.CRITICAL, 0.0)


def test_quality_thresholds_out_of_order_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="critical_ms"):
        QualityMonitor(200, 100)
