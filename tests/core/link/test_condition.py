"""What pings show of a path: bad, or good again, and when that can be said."""

from __future__ import annotations

import pytest

from gym_p2p.core.link.condition import PathCondition

MOST_S = 0.5


def pinged(
    count: int, *, every_s: float = 0.1, lost: int = 0, rtt_s: float = 0.05
) -> tuple[PathCondition, float]:
    """A path over which so many pings were sent, of which every ``lost``-th went unanswered; and the time."""
    condition = PathCondition()
    for number in range(count):
        condition.sent(number, number * every_s)
        if not lost or number % lost:
            condition.answered(number, rtt_s)
    return condition, count * every_s


def test_a_path_of_which_nothing_is_known_is_neither_bad_nor_good() -> None:
    condition = PathCondition()
    assert condition.bad(MOST_S, 10.0) is None
    assert not condition.is_good(MOST_S, 10.0)
    assert not condition.is_suspect(MOST_S, 10.0)
    assert not condition.carries()


def test_a_ping_without_an_answer_makes_a_path_suspect_once_it_is_overdue_and_for_a_while() -> None:
    condition = PathCondition()
    condition.sent(0, 0.0)
    assert not condition.is_suspect(MOST_S, 0.9)
    assert condition.is_suspect(MOST_S, 1.0)
    assert condition.is_suspect(MOST_S, 3.9)
    assert not condition.is_suspect(MOST_S, 4.1)


def test_a_slow_answer_makes_a_path_suspect_at_once() -> None:
    condition = PathCondition()
    condition.sent(0, 0.0)
    condition.answered(0, 0.6)
    assert condition.is_suspect(MOST_S, 0.6)


@pytest.mark.parametrize("lost", [0, 5, 3, 2])
def test_half_of_the_pings_unanswered_are_less_than_three_in_ten_messages_lost(lost: int) -> None:
    condition, now = pinged(60, lost=lost)
    assert condition.bad(MOST_S, now) is None


def test_more_than_three_in_ten_messages_lost_is_bad() -> None:
    condition = PathCondition()
    for number in range(60):
        condition.sent(number, number / 10)
        if number % 5 < 2:
            condition.answered(number, 0.05)
    seen = condition.bad(MOST_S, 6.0)
    assert seen is not None
    assert seen.loss == pytest.approx(1 - 0.4**0.5, abs=0.07)
    assert seen.rtt_ms == pytest.approx(50)
    assert not condition.is_good(MOST_S, 6.0)


def test_long_round_trips_are_bad() -> None:
    condition, now = pinged(60, rtt_s=0.7)
    seen = condition.bad(MOST_S, now)
    assert seen is not None
    assert seen.loss == 0.0
    assert seen.rtt_ms == pytest.approx(700)
    assert condition.bad(0.8, now) is None


def test_a_few_pings_say_nothing_of_loss() -> None:
    condition, _ = pinged(3, every_s=1.3, lost=1)
    assert condition.bad(MOST_S, 5.0) is None


def test_a_path_is_good_after_five_seconds_and_not_before() -> None:
    condition, now = pinged(26, every_s=0.2)
    assert now == pytest.approx(5.2)
    assert condition.is_good(MOST_S, 5.2)
    assert not condition.is_good(MOST_S, 4.8)


def test_what_was_lost_before_the_last_five_seconds_is_forgiven() -> None:
    condition = PathCondition()
    for number in range(60):
        at = number * 0.2
        condition.sent(number, at)
        if at > 5.0:
            condition.answered(number, 0.02)
    assert not condition.is_good(MOST_S, 9.0)
    assert condition.is_good(MOST_S, 12.0)


def test_three_answers_in_a_row_show_that_a_path_carries() -> None:
    condition = PathCondition()
    for number, answered in enumerate((True, True, False, True, True)):
        condition.sent(number, number / 5)
        if answered:
            condition.answered(number, 0.02)
    assert not condition.carries()
    condition.sent(5, 1.0)
    condition.answered(5, 0.02)
    assert condition.carries()


def test_what_is_kept_is_bounded() -> None:
    condition, _ = pinged(10_000)
    assert len(condition._sent) == 128
