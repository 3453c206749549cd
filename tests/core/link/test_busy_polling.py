"""Who waits looks again and again only as long as that pays."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.link.busy_polling import LOOKS_FOR_S, MOST_S, SAVES_S, TRIAL_SHARE, BusyPolling

SOON_S, OTHERS_S, STANDSTILL_S = 80e-6, 4e-3, 3600.0
"""What comes at once; how long somebody keeps the processor who computes; and a laptop that was closed."""


@attrs.define
class Waits:
    """Somebody who waits, computes for a little while, and waits again."""

    polling: BusyPolling = attrs.Factory(BusyPolling)
    now: float = 1000.0
    looked: int = 0
    in_vain_s: float = 0.0
    saved_s: float = 0.0

    def wait(self, *, looking_takes_s: float, sleeping_takes_s: float, found: bool) -> bool:
        """Wait once, looking or asleep; tell which."""
        looks = self.polling.pays(self.now)
        took_s = looking_takes_s if looks else sleeping_takes_s
        self.now += took_s
        if looks:
            self.looked += 1
            self.polling.looked(self.now, took_s, found=found)
            if found and took_s <= LOOKS_FOR_S:
                self.saved_s += SAVES_S
            else:
                self.in_vain_s += took_s
        self.now += 50e-6
        return looks

    def soon(self, count: int) -> int:
        return sum(
            self.wait(looking_takes_s=SOON_S, sleeping_takes_s=2 * SOON_S, found=True) for _ in range(count)
        )

    def long(self, count: int, after_s: float = 0.016) -> int:
        """Wait for what is not in time: another frame, a path that is long."""
        looks = 0
        for _ in range(count):
            looks += self.wait(looking_takes_s=LOOKS_FOR_S, sleeping_takes_s=0.0, found=False)
            self.now += after_s
        return looks

    def beside_others(self, count: int) -> int:
        """Wait where somebody computes: they take the processor, and meanwhile it comes."""
        return sum(
            self.wait(looking_takes_s=OTHERS_S, sleeping_takes_s=2 * SOON_S, found=True) for _ in range(count)
        )


def test_what_comes_soon_is_looked_for_from_the_beginning_and_every_time() -> None:
    assert Waits().soon(1000) == 1000


def test_a_step_now_and_then_that_takes_long_changes_nothing() -> None:
    waits = Waits()
    for _ in range(500):
        assert waits.soon(30) == 30
        assert waits.long(1, after_s=0.0) == 1


def test_where_each_wait_is_long_hardly_any_time_is_spent_on_looking() -> None:
    waits = Waits()
    waits.soon(1000)
    began = waits.now
    waits.long(10_000)
    assert waits.in_vain_s <= MOST_S + LOOKS_FOR_S + (waits.now - began) * TRIAL_SHARE


def test_in_a_paced_match_what_comes_soon_does_not_pay_for_the_wait_for_the_next_frame() -> None:
    waits = Waits()
    began = waits.now
    for _ in range(5000):
        waits.soon(1)
        waits.long(1)
    assert waits.in_vain_s <= 0.005 * (waits.now - began)


def test_beside_who_computes_it_ends_after_a_few_looks_and_begins_again_when_they_have_ended() -> None:
    waits = Waits()
    waits.soon(1000)
    began = waits.now
    looks = waits.beside_others(100_000)
    assert looks <= 1 + (MOST_S + (waits.now - began) * TRIAL_SHARE) / OTHERS_S
    assert looks > 3  # it tries now and then
    waits.now += 5.0
    assert waits.soon(1000) == 1000


def test_who_stood_still_while_looking_looks_again_before_long() -> None:
    waits = Waits()
    assert waits.wait(looking_takes_s=STANDSTILL_S, sleeping_takes_s=STANDSTILL_S, found=True)
    assert waits.soon(1) == 0
    waits.now += MOST_S / TRIAL_SHARE
    assert waits.soon(10) == 10


_WAIT = st.tuples(st.floats(0, 0.02), st.booleans(), st.floats(0, 1))


@given(st.lists(_WAIT, max_size=300))
def test_no_more_is_lost_than_was_saved_and_a_small_share_of_the_time(
    steps: list[tuple[float, bool, float]],
) -> None:
    waits = Waits()
    began = waits.now
    for took_s, found, then_s in steps:
        waits.wait(looking_takes_s=took_s, sleeping_takes_s=took_s, found=found)
        waits.now += then_s
    at_once = MOST_S + 2 * 0.02  # a whole account, what overdraws it, and the last look
    share = (waits.now - began) * TRIAL_SHARE
    forgiven_s = sum(max(0.0, took_s - MOST_S) for took_s, _, _ in steps)
    assert waits.in_vain_s <= waits.saved_s + at_once + share + forgiven_s


@given(st.lists(_WAIT, max_size=300))
def test_whatever_was_looked_in_vain_it_is_looked_again_before_long(
    steps: list[tuple[float, bool, float]],
) -> None:
    polling, now = BusyPolling(), 1000.0
    for took_s, found, then_s in steps:  # also by who does not ask whether it pays
        now += took_s
        polling.looked(now, took_s, found=found)
        assert polling.pays(now + MOST_S / TRIAL_SHARE + 1e-9)
        now += then_s
