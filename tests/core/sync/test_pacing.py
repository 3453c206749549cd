from __future__ import annotations

import pytest

from gym_p2p.core.sync.pacing import Pacer


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


def test_a_restart_forgets_what_was_due() -> None:
    pacer = Pacer(10)
    for _ in range(3):
        pacer.wait_s(0.0)
    pacer.restart()
    assert pacer.wait_s(0.0) == 0.0
