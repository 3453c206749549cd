from __future__ import annotations

import pytest

from gym_p2p.core.latency.clock import ClockEstimate
from gym_p2p.core.record.clock_offsets import ClockOffsetAt, ClockTrack, clock_base_of


def estimate(offset_ms: float, error_ms: float = 0.5) -> ClockEstimate:
    return ClockEstimate(offset_ms / 1e3, error_ms / 1e3, 0.0, 0.0, 0.0)


def test_an_offset_is_kept_when_it_changes_and_once_a_minute() -> None:
    track = ClockTrack(base_ms=1000.0)
    for second in range(121):
        track.observe(1000 * second, estimate(2.0 if second < 30 else 3.0))
    assert [(one.timestamp, one.offset_ms) for one in track.offsets] == [
        (0, 1002.0),
        (30_000, 1003.0),
        (90_000, 1003.0),
    ]
    assert track.offsets[0] == ClockOffsetAt(0, 1002.0, 0.5)


def test_a_bound_that_changes_is_a_change() -> None:
    track = ClockTrack(base_ms=0.0)
    for second, error_ms in enumerate((0.5, 0.55, 0.9, 0.4)):
        track.observe(1000 * second, estimate(1.0, error_ms))
    assert [one.bound_ms for one in track.offsets] == [0.5, 0.9, 0.4]


def test_nothing_is_known_without_an_estimate_or_a_word_of_the_peers_clock() -> None:
    track = ClockTrack()
    track.observe(0, estimate(1.0))
    track.base_ms = 5.0
    track.observe(1, None)
    assert track.offsets == []


@pytest.mark.parametrize("theirs", [None, "1", True, float("nan"), float("inf"), 1e300, [1], {}])
def test_what_is_no_clock_is_unknown(theirs: object) -> None:
    assert clock_base_of(theirs, 5.0) is None


def test_the_base_is_by_how_much_their_unix_time_is_ahead_of_their_monotonic_one_beyond_ours() -> None:
    assert clock_base_of(1_700_000_000_500.0, 1_700_000_000_000.0) == 500.0
    assert clock_base_of(7, 5.0) == 2.0
