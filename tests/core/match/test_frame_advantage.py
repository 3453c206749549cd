from __future__ import annotations

from gym_p2p.core.match.frame_advantage import LEAST_SAMPLES, WINDOW, FrameAdvantage


def heard(*samples: tuple[int, int]) -> FrameAdvantage:
    advantage = FrameAdvantage()
    for ours, theirs in samples:
        advantage.add(ours, theirs)
    return advantage


def test_nothing_is_said_of_a_few_samples() -> None:
    assert heard(*[(9, 1)] * (LEAST_SAMPLES - 1)).frames is None
    assert heard(*[(9, 1)] * LEAST_SAMPLES).frames == 4


def test_the_delay_that_both_sides_see_cancels_out() -> None:
    ahead, delay = 2, 7
    assert heard(*[(ahead + delay, delay - ahead)] * LEAST_SAMPLES).frames == ahead


def test_who_is_behind_has_a_negative_advantage() -> None:
    assert heard(*[(1, 4)] * LEAST_SAMPLES).frames == -1.5


def test_one_late_message_moves_the_average_a_little() -> None:
    assert heard(*[(3, 3)] * (WINDOW - 1), (33, 3)).frames == 30 / (2 * WINDOW)


def test_what_is_older_than_the_window_no_longer_counts() -> None:
    assert heard(*[(90, 0)] * 500, *[(2, 2)] * WINDOW).frames == 0
