from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.sync.pacing import Pacer


def test_without_a_rate_no_frame_waits() -> None:
    pacer = Pacer(None)
    assert [pacer.wait_s(now) for now in (5.0, 5.0, 5.1)] == [0.0, 0.0, 0.0]


def test_frames_that_are_played_at_once_are_spread_evenly() -> None:
    pacer, now, played = Pacer(50), 7.0, []
    for _ in range(5):
        now += pacer.wait_s(now)
        played.append(now)
    assert played == pytest.approx([7.0, 7.02, 7.04, 7.06, 7.08])


def test_a_late_frame_is_made_up_for_by_one_frame_at_most() -> None:
    pacer = Pacer(10)
    pacer.wait_s(0.0)
    assert pacer.wait_s(5.0) == 0.0
    assert pacer.wait_s(5.0) == 0.0
    assert pacer.wait_s(5.0) == pytest.approx(0.1)


def test_a_stretched_frame_lasts_so_much_longer() -> None:
    pacer = Pacer(10)
    pacer.wait_s(0.0, stretch=1.5)
    assert pacer.wait_s(0.0) == pytest.approx(0.15)


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=50))
def test_whatever_each_frame_takes_the_rate_is_never_exceeded_for_long(takes_s: list[float]) -> None:
    pacer, now, played = Pacer(10), 0.0, []
    for took_s in takes_s:
        now += pacer.wait_s(now)
        played.append(now)
        now += took_s
    for first, at in enumerate(played):
        frames = len(played) - 1 - first
        assert played[-1] - at >= (frames - 1) * 0.1 - 1e-9


def test_the_pacer_lengthens_a_frame_by_as_much_as_it_is_told() -> None:
    pacer = Pacer(50)
    assert pacer.wait_s(0.0) == 0.0
    assert pacer.wait_s(0.0, stretch=1.1) == pytest.approx(0.02)
    assert pacer.wait_s(0.02) == pytest.approx(0.022)


def test_without_a_rate_nothing_waits() -> None:
    pacer = Pacer(None)
    assert [pacer.wait_s(now) for now in (0.0, 0.0, 5.0)] == [0.0, 0.0, 0.0]


def test_a_late_frame_is_made_up_for_by_one_frames_time_at_most() -> None:
    pacer = Pacer(10)
    pacer.wait_s(0.0)
    assert pacer.wait_s(5.0) == 0.0  # due at 0.1, and taken as due at 4.9
    assert pacer.wait_s(5.0) == 0.0
    assert pacer.wait_s(5.0) == pytest.approx(0.1)
