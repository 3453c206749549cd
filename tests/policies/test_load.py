"""Policies by name: what plays a seat, and what is said where nothing does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p.errors import ConfigurationError, InvalidAction, UsageError
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.plays import random_actor
from gym_p2p.policies.load import load_policy
from gym_p2p.policies.reactions import ReactionLimits
from gym_p2p.policies.seat_policy import action_of
from tests.game.environments import Echo


def test_random_policies_are_seeded_and_leave_the_environments_spaces_alone() -> None:
    game = make_game(load_environment("gym_p2p/Rally-v0"))
    state = str(game.action_space("left").np_random.bit_generator.state)

    def played(seed: int) -> list[int]:
        policy = load_policy("random", game, "left", seed=seed)
        return [int(policy(None, frame)) for frame in range(50)]

    assert played(1) == played(1) != played(2)
    assert set(played(1)) == set(range(6))
    assert str(game.action_space("left").np_random.bit_generator.state) == state


def test_a_random_policy_minds_the_action_mask() -> None:
    game = make_game(Echo(spaces.Tuple([spaces.Discrete(5), spaces.Discrete(5)])))
    policy = load_policy("random", game, 0)
    seen = {"action_mask": np.array([0, 0, 1, 0, 1], np.int8)}
    assert {int(policy(seen, frame)) for frame in range(40)} == {2, 4}


def test_the_scripted_policy_is_the_environments_own() -> None:
    game = make_game(load_environment("gym_p2p/Rally-v0"))
    policy = load_policy("scripted", game, "right")
    outcome = game.reset(seed=1)
    assert policy(outcome.observations[1], 0) in game.action_space("right")


def test_a_policy_can_be_imported() -> None:
    game = make_game(load_environment("tests.game.policies:arena"))
    assert load_policy("tests.game.policies:always_two", game, "a")(None, 0) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("scripted", "CartPoleEnv has no scripted policy"),
        ("randon", "did you mean 'random'"),
        ("tests.game.policies:never", "no function 'never'"),
    ],
)
def test_a_policy_that_does_not_exist_is_refused(name: str, message: str) -> None:
    game: Any = make_game(load_environment("CartPole-v1"))
    with pytest.raises(UsageError, match=message):
        load_policy(name, game, "player")


@pytest.mark.parametrize("form", [list, lambda m: np.array(m, bool), lambda m: np.array(m, np.int64)])
def test_an_action_mask_counts_whatever_it_is_made_of(form: Any) -> None:
    env = Echo(spaces.Tuple([spaces.Discrete(5), spaces.MultiDiscrete([3, 2])]))
    game = make_game(env)
    one, two = (load_policy("random", game, seat, seed=1) for seat in game.seats)
    assert {one({"action_mask": form([0, 1, 0, 0, 1])}, n) for n in range(40)} == {1, 4}
    for mask in ((form([0, 0, 1]), form([1, 0])), form([0, 0, 1, 1, 0])):
        assert {tuple(two({"action_mask": mask}, n)) for n in range(20)} == {(2, 0)}


def test_the_action_mask_may_be_in_the_info() -> None:
    game = make_game(Echo(spaces.Tuple([spaces.Discrete(5)] * 2)))
    info = {"action_mask": [False, False, False, True, False]}
    outcome = msgspec.structs.replace(game.reset(1), infos=(info, {}))
    act = random_actor(game)
    assert {act(outcome, frame)[0] for frame in range(20)} == {3}
    assert len({act(outcome, frame)[1] for frame in range(40)}) > 1


@pytest.mark.parametrize("mask", [[0, 0, 1], (False, False, True), np.array([0, 0, 2], np.int64)])
def test_the_random_policy_minds_a_mask_in_the_info_where_the_observation_has_none(mask: Any) -> None:
    policy = load_policy("random", make_game(Echo(spaces.MultiDiscrete([3, 3]))), 0)
    assert {int(policy.act(0, {"action_mask": mask}, frame)) for frame in range(20)} == {2}
    both = {"action_mask": [1, 0, 0]}
    assert {int(policy.act(both, {"action_mask": mask}, frame)) for frame in range(20)} == {0}
    assert action_of(policy, 0, {"action_mask": mask}, 20) == 2
    assert action_of(lambda seen, frame: (seen, frame), 7, {"action_mask": mask}, 3) == (7, 3)


def seats(action: spaces.Space[Any], observed: spaces.Space[Any] | None = None) -> Any:
    """Return a game of two seats with these spaces."""
    return make_game(Echo(spaces.Tuple([action, action]), observed))


def test_a_policy_that_raises_is_named_with_its_seat_and_the_frame() -> None:
    def greedy(_observation: Any, frame: int) -> int:
        return 1 // (3 - frame)

    policy = load_policy(greedy, seats(spaces.Discrete(3)), 1)
    assert policy.record.facts.kind == "function"
    assert policy(None, 2) == 1
    with pytest.raises(UsageError, match=r"policy .*greedy of seat 1 raised, at frame 3: ZeroDivisionError"):
        policy(None, 3)


@pytest.mark.parametrize("wrong", [3, -1, 1.5, None, "left", [0, 1]])
def test_a_policy_whose_action_is_none_of_its_seat_is_named(wrong: Any) -> None:
    policy = load_policy(lambda _seen, _frame: wrong, seats(spaces.Discrete(3)), 0)
    with pytest.raises(
        InvalidAction, match=r"seat 0: policy .* gave no action of it, at frame 7: action"
    ) as e:
        policy(None, 7)
    assert e.value.seat == 0


class Counter:
    """Remembers how often it was called in an episode."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.calls = 0

    def reset(self) -> None:
        self.calls = 0

    def __call__(self, _observation: Any, _frame: int) -> int:
        self.calls += 1
        return min(self.calls + self.seed, 9)


def test_a_class_is_made_for_each_seat_with_its_seed_and_forgets_an_episode_when_frames_begin_anew() -> None:
    game = seats(spaces.Discrete(10))
    one, other = (load_policy(f"{__name__}:Counter", game, seat, seed=4 * seat) for seat in (0, 1))
    assert [one(None, frame) for frame in range(3)] == [1, 2, 3]
    assert [other(None, frame) for frame in range(3)] == [5, 6, 7]
    assert [one(None, frame) for frame in range(2)] == [1, 2]  # somebody began anew
    assert one(None, 5) == 3  # frames that were not asked for begin nothing
    one.reset()
    assert one(None, 6) == 1
    assert one.record.decisions == 7


class Needy:
    def __init__(self, model: str) -> None:
        self.model = model


@pytest.mark.parametrize(
    ("name", "words"), [("Needy", "cannot make one: .*model"), ("Path", "cannot be called")]
)
def test_a_class_that_makes_no_policy_is_refused(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_policy(f"{__name__}:{name}", seats(spaces.Discrete(2)), 0)


@pytest.mark.parametrize("policy", [lambda _seen: 0, lambda _seen, _frame, _mask: 0, lambda *, _seen: 0])
def test_a_function_of_other_arguments_is_refused_before_anybody_plays(policy: Any) -> None:
    with pytest.raises(UsageError, match=r"cannot be called as policy\(observation, frame\)"):
        load_policy(policy, seats(spaces.Discrete(2)), 0)


def test_a_function_whose_arguments_nobody_knows_is_taken() -> None:
    load_policy(max, seats(spaces.Discrete(2)), 0)


def test_what_a_mask_forbids_becomes_the_default_action_or_else_the_first_legal_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    policy = load_policy(lambda _seen, _frame: 3, seats(spaces.Discrete(4)), 0)
    masks = ([1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1], [0, 0, 0, 0])  # nobody is to act: it stays as it is
    assert [policy({"action_mask": mask}, frame) for frame, mask in enumerate(masks)] == [0, 1, 3, 3]
    assert policy.act(None, {"action_mask": np.array([0, 0, 1, 0])}, 9) == 2
    assert policy.record.illegal == 3
    assert caplog.text.count("mask forbids") == 1
    several = load_policy(lambda _seen, _frame: [2, 1], seats(spaces.MultiDiscrete([3, 2], start=[0, 1])), 0)
    assert several({"action_mask": [[0, 1, 0], [0, 1]]}, 0).tolist() == [1, 2]


def test_limits_count_frames_and_are_in_the_record() -> None:
    game = seats(spaces.Discrete(10))
    limits = ReactionLimits(reaction_ms=100, actions_per_s=5)
    policy = load_policy(lambda seen, _frame: seen, game, 0, limits=limits, fps=20)
    assert [policy(9 - frame % 9, frame) for frame in range(10)] == [0, 0, 9, 8, 7, 6, 5, 5, 5, 5]
    record = policy.record
    assert (record.facts.reaction_ms, record.facts.actions_per_s, record.facts.fps) == (100.0, 5, 20)
    assert (record.decisions, record.changes, record.held_back) == (10, 5, 3)


def test_limits_want_a_rate_of_frames_and_a_game_that_goes_on_by_itself() -> None:
    limits = ReactionLimits(reaction_ms=1)
    with pytest.raises(ConfigurationError, match="fps"):
        load_policy("random", seats(spaces.Discrete(2)), 0, limits=limits)
    turns = make_game(load_environment("pettingzoo.classic.tictactoe_v3"))
    with pytest.raises(ConfigurationError, match="take turns"):
        load_policy("random", turns, "player_1", limits=limits, fps=30)


def test_the_digest_is_of_the_file_that_a_function_is_in() -> None:
    import hashlib  # noqa: PLC0415 - for this test alone

    game = seats(spaces.Discrete(10))
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    for policy in (f"{__name__}:Counter", Counter()):
        facts = load_policy(policy, game, 0).record.facts
        assert (facts.policy, facts.sha256) == (f"{__name__}:Counter", own)
    assert load_policy("random", game, 0).record.facts.sha256 is None
