"""For how many there is room: by what a seat is thought to cost, by what it does, and by late frames."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.hosting.capacity import HELD_S, SETTLED_S, USABLE, Capacity, Punctuality
from gym_p2p.processes.usage import seconds_below
from tests.waiting import until


def playing(capacity: Capacity, people: int) -> float:
    """Let so many play, and settle; return the time."""
    for number in range(people):
        capacity.came(number + 1, 0.0)
        capacity.began(f"p{number}", 0.0)
    return SETTLED_S


def test_before_anybody_plays_a_seat_costs_what_was_expected() -> None:
    capacity = Capacity(cores=2, fps=20.0, expected=0.1)
    assert capacity.expected_seats == int(2 * USABLE / 0.1) == 13
    assert Capacity(cores=2, fps=20.0, expected=0.1, most=3).expected_seats == 3
    assert Capacity(cores=1, fps=20.0, expected=9.0).seats(0, 0.0) == 1


@pytest.mark.parametrize("together", [1, 2, 3])
def test_however_small_a_machine_there_are_seats_for_all_who_play_one_match(together: int) -> None:
    capacity = Capacity(cores=1, fps=20.0, expected=0.6, together=together, most=1)
    assert capacity.expected_room == 1
    assert capacity.expected_seats == capacity.seats(0, 0.0) == capacity.seats(together - 1, 0.0) == together
    assert not capacity.is_held(0.0)


def test_seats_that_cost_more_than_expected_leave_room_for_fewer() -> None:
    capacity = Capacity(cores=2, fps=20.0, expected=0.1)
    now = playing(capacity, 4)
    capacity.used({7: 1.0, 8: 5.0}, now)
    capacity.played(800, 0, now + 10)
    capacity.used({7: 3.5, 8: 10.5}, now + 10)
    assert capacity.cost == (2.5 + 5.5) / 800 * 20
    assert capacity.seats(4, now + 10) == int(2 * USABLE / 0.2) == 6
    assert capacity.expected_seats == 13


def test_seats_that_get_too_little_of_a_busy_machine_do_not_seem_cheap() -> None:
    capacity = Capacity(cores=2, fps=20.0, expected=0.2)
    now = playing(capacity, 4)
    capacity.used({7: 0.0}, now)
    capacity.played(400, 400, now + 10)  # half of what they should
    capacity.used({7: 4.0}, now + 10)
    assert capacity.cost == 0.2


def test_players_who_wait_for_each_other_seem_no_dearer_than_they_are() -> None:
    capacity = Capacity(cores=2, fps=20.0, expected=0.2)
    now = playing(capacity, 4)
    capacity.used({7: 0.0}, now)
    capacity.played(400, 0, now + 600)  # a game of turns, in which every minute has some moves in a row
    capacity.used({7: 24.0}, now + 600)
    assert capacity.cost == 24 / (600 * 4) == 0.01


def test_what_a_seat_takes_while_it_begins_is_not_its_cost() -> None:
    capacity = Capacity(cores=2, fps=20.0, expected=0.1)
    now = playing(capacity, 2)
    capacity.used({7: 0.0}, now)
    capacity.played(400, 0, now + 10)
    capacity.came(3, now + 9)
    capacity.used({7: 2.0, 9: 9.0}, now + 10)  # it loads, and nobody plays there yet
    assert capacity.cost == 0.1
    capacity.began("p9", now + 11)
    capacity.used({7: 5.0, 9: 15.0}, now + 11 + SETTLED_S)
    capacity.played(600, 0, now + 21 + SETTLED_S)
    capacity.used({7: 7.0, 9: 16.0, 10: 50.0}, now + 21 + SETTLED_S)
    assert capacity.cost == (2.0 + 1.0) / 600 * 20


def test_the_first_half_plays_until_it_is_known_what_it_costs_and_the_others_wait_for_that() -> None:
    capacity = Capacity(cores=2, fps=20.0, expected=0.1, together=2)
    assert [capacity.seats(taken, 0.0) for taken in range(7)] == [6] * 7
    now = playing(capacity, 6)
    assert capacity.seats(6, now) == capacity.first_seats == 6
    assert capacity.is_held(now)
    capacity.used({7: 0.0}, now)
    capacity.played(1600, 0, now + 10)
    capacity.used({7: 8.4}, now + 10)
    assert not capacity.is_held(now + 10)
    assert int(2 * USABLE / 0.14) == 9
    assert capacity.seats(6, now + 10) == 8  # the ninth would wait for somebody in vain


def test_those_who_wait_for_a_measurement_do_not_wait_for_one_that_never_comes() -> None:
    capacity = Capacity(cores=2, fps=20.0, expected=0.1, together=2)
    playing(capacity, 5)
    assert capacity.is_held(1000.0), "one more may come"
    capacity.came(6, 1000.0)  # a game of turns: no frames to speak of
    assert capacity.seats(6, 1000.0 + HELD_S - 0.1) == 6
    assert capacity.seats(6, 1000.0 + HELD_S) == 12


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 4))
def test_the_first_half_is_at_least_half_and_whole_matches_where_there_is_room(
    cores: int, most: int, together: int
) -> None:
    capacity = Capacity(cores=cores, fps=20.0, expected=0.1, most=most, together=together)
    assert capacity.expected_seats / 2 <= capacity.first_seats <= capacity.expected_seats
    assert together <= capacity.first_seats
    assert capacity.first_seats % together == capacity.expected_seats % together == 0
    assert capacity.is_held(0.0) == (capacity.first_seats < capacity.expected_seats)


def test_nobody_more_is_let_in_while_frames_come_late_and_they_are_again_afterwards() -> None:
    capacity = Capacity(cores=8, fps=20.0, expected=0.1)
    now = playing(capacity, 3)
    capacity.played(300, 4, now)
    assert capacity.is_late(now)
    assert capacity.seats(3, now) == 3
    capacity.played(300, 0, now + 5)
    assert not capacity.is_late(now + 5)
    capacity.played(300, 20, now + 6)
    assert capacity.seats(3, now + 6) == 3
    assert capacity.seats(3, now + 20) == capacity.first_seats


def test_where_nobody_plays_any_more_nobody_is_late() -> None:
    capacity = Capacity(cores=8, fps=20.0, expected=0.1)
    now = playing(capacity, 2)
    capacity.played(300, 300, now)
    capacity.ended("p0", now)
    assert capacity.is_late(now)
    capacity.ended("p1", now)
    assert not capacity.is_late(now)


def test_a_few_frames_say_nothing() -> None:
    capacity = Capacity(cores=8, fps=20.0, expected=0.1)
    capacity.played(30, 20, 0.0)
    assert not capacity.is_late(0.0)


def test_as_many_as_whoever_runs_the_host_wants_whatever_it_costs() -> None:
    capacity = Capacity(cores=1, fps=20.0, expected=0.5, fixed=20)
    capacity.played(300, 300, 0.0)
    assert capacity.seats(20, 0.0) == 20
    assert capacity.expected_room == 1


@given(
    st.lists(st.tuples(st.sampled_from(["came", "began", "ended", "used", "late"]), st.integers(0, 5))),
    st.floats(0.01, 3.0),
    st.integers(1, 3),
)
def test_there_is_always_room_for_a_match_and_never_for_more_than_cores_allow(
    happens: list[tuple[str, int]], expected: float, together: int
) -> None:
    capacity, now, used = Capacity(cores=2, fps=20.0, expected=expected, together=together), 0.0, 0.0
    for what, number in happens:
        now += 1.7
        match what:
            case "came":
                capacity.came(number, now)
            case "began":
                capacity.began(f"p{number}", now)
            case "ended":
                capacity.ended(f"p{number}", now)
            case "used":
                used += number
                capacity.used({1: used, number + 2: now}, now)
            case "late":
                capacity.played(100, number, now)
        assert 1 <= capacity.seats(number, now) <= max(together, int(2 * USABLE / capacity.cost))
        assert capacity.seats(0, now) >= together or capacity.is_late(now)
        assert capacity.seats(0, now) % together == 0 or capacity.is_late(now)


def test_a_frame_is_late_a_quarter_of_its_time_after_it_was_due_and_a_pause_is_none() -> None:
    punctuality = Punctuality(20.0)
    told = [punctuality.frame(at) for at in (0.0, 0.05, 0.11, 0.175, 5.0, 5.05)]
    assert told == [None, None, None, None, (3, 1), None]
    later = [punctuality.frame(5.1 + at * 0.05) for at in range(60)]
    assert [one for one in later if one is not None] == [(40, 0)]


def test_processes_below_one_are_counted_and_those_below_these() -> None:
    program = "import subprocess, sys, time; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    parent = subprocess.Popen([sys.executable, "-c", program], process_group=0)
    try:
        until(lambda: sum((seconds_below(parent.pid) or {}).values()) > 0.05)
        below = seconds_below(os.getpid())
        assert below is not None
        assert below.keys() > (seconds_below(parent.pid) or {}).keys()
        assert parent.pid in below
    finally:
        os.killpg(parent.pid, 9)
        parent.wait()
