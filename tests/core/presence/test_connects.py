from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.presence.connects import SLOW_S, Connects, network_of
from gym_p2p.core.presence.penalties import FORGET_S, MOST_S
from gym_p2p.core.presence.rate_limits import RateLimit


def connects() -> Connects:
    return Connects(RateLimit(50.0, 256))


def granted(door: Connects, address: str, now: float, count: int) -> int:
    return sum(door.take(address, now) is None for _ in range(count))


def test_two_drops_are_forgiven() -> None:
    door = connects()
    for _ in range(2):
        door.drop("lab", 0.0)
    assert granted(door, "lab", 1.0, 300) == 256


def test_from_the_third_on_an_address_is_slow_for_a_while_and_no_other_one() -> None:
    door = connects()
    for _ in range(3):
        door.drop("flood", 0.0)
    assert granted(door, "flood", 1.0, 300) == 5
    assert granted(door, "flood", 3.0, 300) == 2
    assert granted(door, "lab", 1.0, 300) == 256
    assert granted(door, "flood", SLOW_S + 10, 300) == 256


def test_a_laboratory_that_shares_the_address_still_comes_in_one_by_one() -> None:
    door = connects()
    for number in range(100):
        door.drop("lab", 0.1 * number)
    assert sum(door.take("lab", 10.0 + second) is None for second in range(30)) == 30


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 30)), max_size=60))
def test_nothing_is_kept_of_an_address_that_has_been_quiet(what: list[tuple[str, bool, float]]) -> None:
    door, now = connects(), 0.0
    for address, dropped, after in what:
        now += after
        if dropped:
            door.drop(address, now)
        else:
            door.take(address, now)
    door.take("d", now + FORGET_S + MOST_S)
    assert not door._penalties._held


def test_the_time_is_short_at_first_and_grows_while_the_address_goes_on() -> None:
    door = connects()
    for _ in range(3):
        door.drop("flood", 0.0)
    assert granted(door, "flood", SLOW_S - 0.1, 20) == 5
    assert granted(door, "flood", SLOW_S, 20) == 20
    door.drop("flood", SLOW_S)
    assert granted(door, "flood", 3 * SLOW_S - 0.1, 20) == 5


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "127.0.0.1", False),
        ("x" * 10_000, "x" * 20_000, True),
    ],
)
def test_an_address_stands_for_all_that_its_holder_has(one: str, other: str, same: bool) -> None:  # noqa: FBT001  # a row
    assert (network_of(one) == network_of(other)) is same
    assert len(network_of(one)) <= 64
    door = connects()
    for _ in range(3):
        door.drop(one, 0.0)
    assert (granted(door, other, 1.0, 100) == 5) is same
