from __future__ import annotations

import math
import random

import pytest

from gym_p2p.core.probing.statistics import PingStatistics, median_interval


@pytest.mark.parametrize(("count", "rank"), [(5, 1), (7, 1), (8, 2), (9, 2), (10, 2), (15, 4), (20, 6)])
def test_the_interval_of_the_median_is_that_of_the_tables(count: int, rank: int) -> None:
    samples = [float(number) for number in range(1, count + 1)]
    assert median_interval(samples[::-1]) == (rank, count + 1 - rank)


def test_fewer_than_five_samples_have_no_interval() -> None:
    assert median_interval([1.0, 2.0, 3.0, 4.0]) is None


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    draw = random.Random(5)
    truth = math.log(2)  # of the exponential distribution
    held = 0
    for _ in range(2000):
        interval = median_interval([draw.expovariate(1.0) for _ in range(9)])
        assert interval is not None
        held += interval[0] <= truth <= interval[1]
    assert 0.94 < held / 2000 < 0.98


def test_statistics_are_those_of_the_samples() -> None:
    found = PingStatistics((10.0, 30.0, 20.0, 90.0), count=5)
    assert (found.median_ms, found.min_ms, found.p95_ms, found.mad_ms) == (25.0, 10.0, 90.0, 10.0)
    assert (found.lost, found.loss) == (1, 0.2)
