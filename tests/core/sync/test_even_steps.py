"""Players who wait for each other over a path that is longer than a frame."""

from __future__ import annotations

import itertools
import random
import statistics
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.latency.statistics import nearest_rank
from gym_p2p.core.sync.even_steps import EvenSteps
from gym_p2p.core.sync.pacing import Pacer

COMPUTING_S = 0.001
"""Of each step."""


def steps_s(
    delay_s: Callable[[], float], *, starts_s: Sequence[float], fps: float, even: bool, count: int = 400
) -> list[float]:
    """Return how long each step of the first player takes; messages take ``delay_s()`` and keep their order.

    Args:
        starts_s: when each player gives the first input.
    """
    players = range(len(starts_s))
    given_at = list(starts_s)
    pacers = [Pacer(fps, even=even) for _ in players]
    arrived = dict.fromkeys(itertools.permutations(players, 2), 0.0)
    found, round_trip_s = [], 2 * statistics.fmean(delay_s() for _ in range(50))
    for _ in range(count):
        for (sender, receiver), before in arrived.items():
            arrived[sender, receiver] = max(before, given_at[sender] + delay_s())
        following = []
        for player in players:
            everything = max(at for (_, receiver), at in arrived.items() if receiver == player)
            awaited_s = max(0.0, everything - given_at[player])
            ended = given_at[player] + awaited_s + COMPUTING_S
            wait_s = pacers[player].wait_s(ended, awaited_s=awaited_s, round_trip_s=lambda: round_trip_s)
            following.append(ended + wait_s)
        found.append(following[0] - given_at[0])
        given_at = following
    return found


@given(path_s=st.floats(0.04, 0.3), late=st.lists(st.floats(0, 1), min_size=2, max_size=4))
def test_steps_become_even_and_take_no_longer_however_late_somebody_begins(
    path_s: float, late: list[float]
) -> None:
    starts_s = [path_s * share for share in late]
    found = steps_s(lambda: path_s, starts_s=starts_s, fps=30, even=True, count=120)
    assert found[60:] == pytest.approx([path_s + COMPUTING_S] * 60, rel=0.02)


def test_without_it_they_alternate_for_ever() -> None:
    found = steps_s(lambda: 0.1, starts_s=[0.0, 0.03], fps=30, even=False)
    assert found[-4:] == pytest.approx([0.131, 0.071] * 2)


@pytest.mark.parametrize("jitter_s", [0.001, 0.005])
def test_over_a_path_with_jitter_they_differ_by_half_as_much_and_take_three_in_a_hundred_more_at_most(
    jitter_s: float,
) -> None:
    spreads, means = [], []
    for even in (False, True):
        chance = random.Random(5)
        found = steps_s(
            lambda chance=chance: 0.05 + chance.expovariate(1 / jitter_s),  # type: ignore[misc]  # a default says which
            starts_s=[0.0, 0.04],
            fps=30,
            even=even,
            count=4_000,
        )
        spreads.append(nearest_rank(found, 0.9) - nearest_rank(found, 0.1))
        means.append(statistics.fmean(found))
    assert spreads[1] < 0.5 * spreads[0]
    assert means[1] < 1.03 * means[0]


@given(path_s=st.floats(0.0, 0.02), late=st.floats(0, 1))
def test_where_the_pace_is_slower_than_the_path_nothing_is_held_back(path_s: float, late: float) -> None:
    arguments = {"starts_s": [0.0, path_s * late], "fps": 30.0, "count": 60}
    paced = steps_s(lambda: path_s, even=False, **arguments)  # type: ignore[arg-type]  # of several
    assert steps_s(lambda: path_s, even=True, **arguments) == pytest.approx(paced)  # type: ignore[arg-type]  # as above


def test_somebody_who_computes_holds_nobody_back_by_more_than_the_path_explains() -> None:
    even = EvenSteps()
    assert even.hold_s(20.0, lambda: 0.1) == 0.0  # longer than the last
    assert even.hold_s(0.0, lambda: 0.1) == pytest.approx(0.1 / 8)
    assert even.hold_s(0.0, lambda: 0.1) == 0.0
    assert even.hold_s(0.04, lambda: 0.1) == 0.0
    assert even.hold_s(0.02, lambda: 0.1) == pytest.approx(0.02 / 8)
    assert even.hold_s(0.0, lambda: None) == 0.0  # before the first round trip is known
    assert even.hold_s(30.0, lambda: 9.0) == 0.0
    assert even.hold_s(0.0, lambda: 9.0) == pytest.approx(1 / 8)  # whatever a path has come to, or is said to
