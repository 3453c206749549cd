from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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


def test_the_advantage_is_half_the_difference_of_what_both_believe() -> None:
    advantage = FrameAdvantage()
    seen: list[float | None] = []
    for ours, theirs in [(5, 1)] * 10 + [(3, 3)] * 30:
        advantage.add(ours, theirs)
        seen.append(advantage.frames)
    assert seen[:10] == [None] * 9 + [2.0]
    assert seen[-1] == 0.0


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=60), st.integers(0, 20))
def test_it_is_averaged_over_a_window_and_free_of_the_delay(truth: list[int], delay: int) -> None:
    advantage = FrameAdvantage()
    for count, ahead in enumerate(truth, 1):
        advantage.add(ahead + delay, -ahead + delay)
        assert (advantage.frames is None) == (count < LEAST_SAMPLES)
    newest = truth[-WINDOW:]
    assert advantage.frames is None or advantage.frames == sum(newest) / len(newest)
