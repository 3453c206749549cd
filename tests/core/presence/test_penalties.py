from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.presence.penalties import FORGET_S, MOST_KEYS, MOST_S, Penalties


def test_the_first_times_are_forgiven_and_then_each_is_twice_as_long() -> None:
    held = Penalties(forgiven=2, first_s=10.0)
    waits, now = [], 0.0
    for _ in range(9):
        held.count("ann", now)
        waits.append(held.wait_s("ann", now))
        now += waits[-1] or 0.0
    assert waits == [None, None, 10.0, 20.0, 40.0, 80.0, 160.0, MOST_S, MOST_S]
    assert held.wait_s("bob", 0.0) is None


def test_it_ends_when_announced_and_is_forgotten_after_good_behaviour() -> None:
    held = Penalties(forgiven=0, first_s=5.0)
    held.count("ann", 0.0)
    held.count("ann", 1.0)
    assert held.wait_s("ann", 10.9) is not None
    assert held.wait_s("ann", 11.0) is None
    held.count("ann", 11.0 + FORGET_S)
    assert held.wait_s("ann", 11.0 + FORGET_S) == 5.0


def test_one_who_is_held_for_long_does_not_keep_others_from_being_forgotten_for_good() -> None:
    held = Penalties(forgiven=0, first_s=MOST_S)
    held.count("long", 0.0)
    for number in range(1000):
        held.count(f"n{number}", 0.0)
    held.count("last", MOST_S + FORGET_S)
    assert list(held._held) == ["last"]


def test_who_is_kept_behind_one_who_is_held_for_long_is_forgotten_all_the_same() -> None:
    held = Penalties(forgiven=0, first_s=5.0)
    for _ in range(5):
        held.count("long", 0.0)
    held.count("ann", 0.0)
    held.count("ann", 5.0 + FORGET_S)
    assert "long" in held._held
    assert held.wait_s("ann", 5.0 + FORGET_S) == 5.0


def test_they_are_bounded_in_number_and_who_misbehaved_longest_ago_goes_first() -> None:
    held = Penalties(forgiven=0, first_s=5.0)
    for number in range(MOST_KEYS):
        held.count(f"n{number}", 0.0)
    held.count("n0", 1.0)
    held.count("one more", 1.0)
    assert len(held._held) == MOST_KEYS
    assert [held.wait_s(key, 1.0) for key in ("n0", "n1", "n2", "one more")] == [10.0, None, 4.0, 5.0]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100)), max_size=60))
def test_nobody_is_held_for_longer_than_the_most_and_nothing_is_kept(what: list[tuple[str, float]]) -> None:
    held, now = Penalties(forgiven=1, first_s=5.0), 0.0
    for key, after in what:
        now += after
        held.count(key, now)
        assert (held.wait_s(key, now) or 0.0) <= MOST_S
    held.count("d", now + MOST_S + FORGET_S)
    assert list(held._held) == ["d"]
