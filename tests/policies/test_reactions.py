"""Limits of reaction, by frames: what comes into effect when, and how often it may change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p import LimitedPolicy
from gym_p2p.errors import ConfigurationError
from gym_p2p.policies.reactions import ReactionLimits, Reactions, same_action

RATES = st.floats(0.1, 70).map(lambda rate: round(rate, 2))
FPS = st.sampled_from([1.0, 10.0, 29.97, 30.0, 60.0])


def test_an_action_comes_so_long_after_what_it_was_chosen_by() -> None:
    policy = LimitedPolicy(lambda seen, _frame: seen, fps=30, nothing=-1, reaction_ms=100)
    assert [policy(10 + frame, frame) for frame in range(6)] == [-1, -1, -1, 10, 11, 12]


@pytest.mark.parametrize(
    ("ms", "fps", "frames"), [(0, 60, 0), (1, 60, 1), (100, 30, 3), (101, 30, 4), (250, 60, 15)]
)
def test_a_reaction_takes_whole_frames_and_never_less_than_asked_for(
    ms: float, fps: float, frames: int
) -> None:
    assert ReactionLimits(reaction_ms=ms).reaction_frames(fps) == frames


def test_without_limits_a_policy_does_what_it_wants() -> None:
    policy = LimitedPolicy(lambda seen, _frame: seen, fps=30, nothing=-1)
    assert [policy(frame % 3, frame) for frame in range(9)] == [0, 1, 2] * 3
    assert not ReactionLimits()


def test_a_change_too_many_waits_and_then_what_is_wanted_by_then_is_done() -> None:
    policy = LimitedPolicy(lambda seen, _frame: seen, fps=4, nothing=0, actions_per_s=2)
    assert [policy(frame, frame) for frame in range(1, 9)] == [1, 2, 2, 2, 5, 6, 6, 6]


def test_less_than_a_change_a_second_is_one_in_so_many() -> None:
    policy = LimitedPolicy(lambda seen, _frame: seen, fps=10, nothing=0, actions_per_s=0.5)
    done = [policy(frame + 1, frame) for frame in range(50)]
    assert sorted(set(done)) == [1, 21, 41]


def test_an_episode_begins_with_nothing_seen_or_done() -> None:
    class Forgets:
        forgot = 0

        def reset(self) -> None:
            self.forgot += 1

        def __call__(self, seen: Any, _frame: int) -> Any:
            return seen

    inner = Forgets()
    policy = LimitedPolicy(inner, fps=10, nothing=0, reaction_ms=200, actions_per_s=1)
    first = [policy(5, frame) for frame in range(6)]
    assert first == [0, 0, 5, 5, 5, 5]
    assert [policy(7, frame) for frame in range(6)] == [0, 0, 7, 7, 7, 7]
    assert inner.forgot == 1
    policy.reset()
    assert inner.forgot == 2
    assert policy(7, 6) == 0


@given(st.lists(st.integers(0, 4), max_size=200), RATES, FPS, st.floats(0, 500))
def test_in_no_second_are_there_more_changes_than_allowed(
    wishes: list[int], rate: float, fps: float, reaction_ms: float
) -> None:
    limits = ReactionLimits(reaction_ms=reaction_ms, actions_per_s=rate)
    reactions = Reactions(limits, fps=fps, nothing=0)
    done = [reactions.act(wish, frame) for frame, wish in enumerate(wishes)]
    changed = [
        frame for frame, (one, other) in enumerate(zip([0, *done], done, strict=False)) if one != other
    ]
    assert len(changed) == reactions.changes
    seconds = max(1.0, 1 / rate)
    for frame in range(len(done)):
        assert sum(frame - seconds * fps < at <= frame for at in changed) <= max(1.0, rate)
    delay = limits.reaction_frames(fps)
    for frame, action in enumerate(done):
        assert action in {0, *wishes[: max(0, frame - delay + 1)]}


@given(st.lists(st.integers(0, 4), max_size=100), FPS, st.floats(0, 500))
def test_without_a_limit_of_changes_every_wish_comes_true_late(
    wishes: list[int], fps: float, reaction_ms: float
) -> None:
    limits = ReactionLimits(reaction_ms=reaction_ms)
    reactions = Reactions(limits, fps=fps, nothing=9)
    done = [reactions.act(wish, frame) for frame, wish in enumerate(wishes)]
    delay = limits.reaction_frames(fps)
    assert done == [*[9] * min(delay, len(wishes)), *wishes[: max(0, len(wishes) - delay)]]
    assert reactions.held_back == 0


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), RATES, st.data())
def test_frames_that_were_not_asked_for_change_nothing_of_the_limit(
    wishes: list[int], rate: float, data: st.DataObject
) -> None:
    reactions = Reactions(ReactionLimits(actions_per_s=rate), fps=30, nothing=0)
    frame, changed, before = 0, [], 0
    for wish in wishes:
        frame += data.draw(st.integers(1, 40))
        done = reactions.act(wish, frame)
        if done != before:
            changed.append(frame)
        before = done
    for end in changed:
        seconds = max(1.0, 1 / rate)
        assert sum(end - seconds * 30 < at <= end for at in changed) <= max(1.0, rate)


@pytest.mark.parametrize(
    "wrong",
    [
        {"reaction_ms": -1},
        {"reaction_ms": float("nan")},
        {"reaction_ms": 60_001},
        {"reaction_ms": True},
        {"reaction_ms": "200"},
        {"actions_per_s": 0},
        {"actions_per_s": -2},
        {"actions_per_s": float("inf")},
        {"actions_per_s": float("nan")},
    ],
)
def test_limits_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        ReactionLimits(**wrong)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), None])
def test_a_rate_of_frames_that_cannot_be_is_refused(fps: Any) -> None:
    with pytest.raises(ConfigurationError, match="fps"):
        LimitedPolicy(lambda _seen, _frame: 0, fps=fps, nothing=0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, np.int64(1), True),
        (np.array([1, 2]), np.array([1, 2]), True),
        (np.array([1, 2]), np.array([1, 3]), False),
        ({"a": 1, "b": np.zeros(2)}, {"a": 1, "b": np.zeros(2)}, True),
        ({"a": 1}, {"a": 2}, False),
        ((1, np.zeros(2)), (1, np.ones(2)), False),
        ((1, "x"), (1, "x"), True),
    ],
)
def test_actions_are_equal_whatever_they_are_made_of(one: Any, other: Any, *, same: bool) -> None:
    assert same_action(one, other) is same
