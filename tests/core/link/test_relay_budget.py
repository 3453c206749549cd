"""What may be lost gives way to what must arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.api.relaying import BYTES_BURST, BYTES_PER_S
from gym_p2p.core.link.relay_budget import CONTROL_RATE_SHARE, RelayBudget
from gym_p2p.core.match.pace import SERVICE_BURST_BYTES, SERVICE_BYTES_PER_S
from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES


def budget() -> RelayBudget:
    return RelayBudget(messages_per_s=10, messages_burst=20, size_per_s=100, size_burst=200)


def taken(budget: RelayBudget, size: int, now: float, *, may_be_lost: bool) -> int:
    return sum(budget.takes(size, now, may_be_lost=may_be_lost) for _ in range(1000))


def test_what_may_be_lost_leaves_half_of_what_may_come_at_once() -> None:
    one = budget()
    assert taken(one, 1, 5.0, may_be_lost=True) == 10
    assert taken(one, 1, 5.0, may_be_lost=False) == 10
    other = budget()
    assert taken(other, 10, 5.0, may_be_lost=True) == 10
    assert taken(other, 99, 5.0, may_be_lost=False) == 1


def test_what_must_arrive_leaves_the_other_half_and_a_quarter_of_the_rate() -> None:
    one = RelayBudget(messages_per_s=40, messages_burst=80, size_per_s=10_000, size_burst=10_000)
    assert taken(one, 1, 5.0, may_be_lost=False) == pytest.approx(40, abs=1)
    assert taken(one, 1, 5.0, may_be_lost=True) == pytest.approx(40, abs=1)
    assert taken(one, 1, 6.0, may_be_lost=False) == pytest.approx(30, abs=1)
    assert taken(one, 1, 6.0, may_be_lost=True) == pytest.approx(10, abs=2)


def test_where_nothing_must_arrive_the_whole_rate_is_for_what_may_be_lost() -> None:
    one = budget()
    taken(one, 1, 5.0, may_be_lost=True)
    assert taken(one, 1, 6.0, may_be_lost=True) == 10


def test_what_is_not_taken_costs_nothing() -> None:
    one = budget()
    assert not one.takes(101, 5.0, may_be_lost=False)
    assert taken(one, 1, 5.0, may_be_lost=False) == 10


@given(st.lists(st.tuples(st.integers(1, 120), st.floats(0, 3), st.booleans()), max_size=200))
def test_neither_ever_takes_more_than_the_whole(steps: list[tuple[int, float, bool]]) -> None:
    one, now, count, sizes = budget(), 0.0, 0, 0
    for size, later_s, may_be_lost in steps:
        now += later_s
        if one.takes(size, now, may_be_lost=may_be_lost):
            count, sizes = count + 1, sizes + size
        assert count <= 20 + 10 * now + 1e-6
        assert sizes <= 200 + 100 * now + 1e-6


def test_the_longest_control_message_fits_into_what_is_left_to_such() -> None:
    assert -(-MAX_CTRL_BYTES // 3) * 4 < 0.9 * BYTES_BURST / 2


def test_what_is_told_to_who_comes_back_is_within_the_share_of_what_must_arrive() -> None:
    chars = 4 / 3
    assert SERVICE_BYTES_PER_S * chars < 0.9 * BYTES_PER_S * CONTROL_RATE_SHARE
    assert SERVICE_BURST_BYTES * chars < 0.9 * BYTES_BURST / 2
