from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.match.frame_advantage import LEAST_SAMPLES, WINDOW, FrameAdvantage


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
