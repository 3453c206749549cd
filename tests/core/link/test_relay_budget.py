"""What may be lost gives way to what must arrive."""

from __future__ import annotations

from gym_p2p.core.api.relaying import BYTES_BURST
from gym_p2p.core.link.relay_budget import RelayBudget
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
    assert taken(other, 50, 5.0, may_be_lost=True) == 2
    assert taken(other, 50, 5.0, may_be_lost=False) == 2


def test_where_nothing_must_arrive_the_whole_rate_is_for_what_may_be_lost() -> None:
    one = budget()
    taken(one, 1, 5.0, may_be_lost=True)
    assert taken(one, 1, 6.0, may_be_lost=True) == 10


def test_what_is_not_taken_costs_nothing() -> None:
    one = budget()
    assert not one.takes(201, 5.0, may_be_lost=False)
    assert taken(one, 1, 5.0, may_be_lost=False) == 20


def test_the_longest_control_message_fits_into_what_is_left_to_such() -> None:
    assert -(-MAX_CTRL_BYTES // 3) * 4 < 0.9 * BYTES_BURST / 2
