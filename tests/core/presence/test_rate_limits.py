from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.presence.rate_limits import RateLimit, SlidingWindow, too_often


def test_a_rate_grants_its_burst_and_then_its_rate() -> None:
    limits = RateLimit(per_s=1.0, burst=3)
    assert [limits.take("ann", 10.0) for _ in range(3)] == [None] * 3
    assert limits.take("ann", 10.0) == pytest.approx(1.0)
    assert limits.take("bob", 10.0) is None
    assert limits.take("ann", 10.75) == pytest.approx(0.25)
    assert limits.take("ann", 11.0) is None
    assert limits.take("ann", 11.0) == pytest.approx(1.0)
    assert [limits.take("ann", 20.0) for _ in range(4)] == [None, None, None, pytest.approx(1.0)]


def test_a_rate_forgets_whoever_has_all_of_it_again() -> None:
    limits = RateLimit(per_s=1.0, burst=3)
    for number in range(1_000):
        limits.take(f"subject{number}", float(number))
    assert len(limits._full_at) <= 3


def test_whoever_is_refused_learns_how_long_to_wait() -> None:
    limits = RateLimit(per_s=10.0, burst=1)
    assert limits.take("s", 0.0) is None
    wait_s = limits.take("s", 0.05)
    assert wait_s == pytest.approx(0.05)
    assert wait_s is not None
    assert too_often(wait_s, "slowly").retry_after_ms == 50
    assert limits.take("s", 0.05 + wait_s) is None


def test_a_window_grants_so_many_in_any_stretch_of_its_length() -> None:
    limits = SlidingWindow(most=2, window_s=10.0)
    assert [limits.take("ann", now) for now in (0.0, 4.0)] == [None, None]
    assert limits.take("ann", 9.0) == pytest.approx(1.0)
    assert limits.take("bob", 9.0) is None
    assert limits.take("ann", 10.0) is None
    assert limits.take("ann", 13.9) == pytest.approx(0.1)
    assert limits.take("ann", 14.0) is None


def test_a_window_forgets_whoever_has_all_of_it_again() -> None:
    limits = SlidingWindow(most=2, window_s=3.0)
    for number in range(1_000):
        limits.take(f"subject{number}", float(number))
    assert len(limits._taken) <= 3


@given(st.lists(st.integers(0, 4), max_size=60))
def test_no_stretch_of_a_window_ever_has_more_than_it_grants(pauses: list[int]) -> None:
    limits, now, granted = SlidingWindow(most=3, window_s=5.0), 0, []
    for pause in pauses:
        now += pause
        if limits.take("s", now) is None:
            granted.append(now)
    assert all(later >= earlier + 5 for earlier, later in zip(granted, granted[3:], strict=False))


def test_a_budget_is_free_again_when_the_window_has_moved_on() -> None:
    budget = SlidingWindow(most=2, window_s=10.0)
    assert budget.free_at("ann", 0.0) is None
    budget.count("ann", 0.0)
    budget.count("ann", 4.0)
    budget.count("bob", 5.0)
    assert budget.free_at("ann", 5.0) == 10.0
    assert budget.free_at("ann", 10.0) is None
    assert budget.free_at("bob", 5.0) is None
    budget.count("bob", 20.0)
    assert budget.free_at("ann", 20.0) is None
