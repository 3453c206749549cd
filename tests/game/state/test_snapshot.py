from __future__ import annotations

import copy
import random
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit

from gym_p2p.envs.rally import RallyEnv, RallyParallelEnv
from gym_p2p.errors import UnsupportedEnvironment, UsageError
from gym_p2p.game.env.isolation import GlobalRandom, isolate_global_random
from gym_p2p.game.env.seats import Game, make_game
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.state.fields import differences
from gym_p2p.game.state.proof import SnapshotChoice, choose_snapshots
from gym_p2p.game.state.snapshot import Snapshots, snapshots_named
from tests.game import unruly
from tests.game.environments import AecCounter, LastOneStanding


def _choice(env: Any, **options: Any) -> SnapshotChoice:
    return choose_snapshots(make_game(env), **options)


def _proven(game: Game, **options: Any) -> Snapshots:
    choice = choose_snapshots(game, **options)
    assert choice.snapshots is not None, choice.reason
    return choice.snapshots


def _played(game: Game, actions: list[int]) -> list[list[float]]:
    return [game.step([action] * len(game.seats)).observations[0].tolist() for action in actions]


@pytest.mark.parametrize(
    "make", [unruly.Walker, unruly.Pickled, unruly.InClosure, lambda: LastOneStanding(limit=6)]
)
def test_layers_are_exact_for(make: Any) -> None:
    choice = _choice(make())
    assert choice.snapshots is not None, choice.reason
    assert choice.snapshots.name == "layers"
    assert choice.save_us is not None
    assert choice.save_us > 0
    assert choice.rollback_depth(60) > 8


def test_an_environment_whose_copy_loses_its_state_is_restored() -> None:
    env = unruly.Pickled()
    game = make_game(env)
    snapshots = _proven(game)
    game.reset(seed=3)
    _played(game, [1, 2, 0])
    assert copy.deepcopy(env).position == 0 != env.position, "the trap is there"
    snapshot = snapshots.save()
    future = _played(game, [1, 1, 2])
    for _ in range(2):
        snapshots.load(snapshot)
        assert _played(game, [1, 1, 2]) == future
    assert len({tuple(seen) for seen in future}) == 3


def test_wrappers_are_restored_too() -> None:
    game = make_game(TimeLimit(unruly.Walker(), max_episode_steps=5))
    snapshots = _proven(game)
    game.reset(seed=1)
    _played(game, [0, 0])
    snapshot = snapshots.save()
    for _ in range(2):
        ends = [game.step([0]).ended for _ in range(3)]
        assert ends == [False, False, True]
        snapshots.load(snapshot)


def test_agents_that_were_out_play_again_after_a_return_to_before() -> None:
    game = make_game(LastOneStanding(limit=6))
    snapshots = _proven(game)
    game.reset(seed=1)
    snapshot = snapshots.save()
    out = game.step([1, 2, 2])
    assert out.terminations == (True, False, False)
    snapshots.load(snapshot)
    assert game.step([2, 2, 2]).terminations == (False, False, False)


def test_a_converted_aec_environment_is_restored() -> None:
    game = make_game(AecCounter(is_parallelizable=True))
    snapshots = _proven(game)
    game.reset(seed=1)
    snapshot = snapshots.save()
    first = game.step([1, 2]).observations
    snapshots.load(snapshot)
    assert game.step([1, 2]).observations == first == (3, 3)


class _RallyLike(unruly.Walker):
    def get_state(self) -> Any:
        return (self.position, self.trail.tolist(), self.np_random.bit_generator.state)

    def set_state(self, state: Any) -> None:
        self.position, self.trail[:], self.np_random.bit_generator.state = state


def test_what_the_environment_offers_is_preferred_when_exact() -> None:
    choice = _choice(_RallyLike())
    assert choice.snapshots is not None
    assert choice.snapshots.name == "get_state/set_state"


@pytest.mark.parametrize("make", [RallyEnv, RallyParallelEnv])
def test_rally_s_own_saving_is_exact_over_the_end_of_a_game(make: Any) -> None:
    choice = _choice(make(max_frames=10))
    assert choice.snapshots is not None
    assert choice.snapshots.name == "get_state/set_state"
    assert "over 10 frames" in choice.reason


@pytest.mark.parametrize(
    ("env", "why"),
    [
        (unruly.Forgetful, "after frame 16 was restored, the observation of 'player' at frame 16"),
        (unruly.Leaky, "frame 16 restored is another one"),
        (unruly.Swapping, "restored"),
    ],
)
def test_an_inexact_offer_is_found_out(env: Any, why: str) -> None:
    choice = _choice(env(), longer_s=0)
    offered = choice.tried[0]
    assert (offered.name, offered.exact) == ("get_state/set_state", False)
    assert why in offered.reason
    assert choice.snapshots is not None
    assert choice.snapshots.name == "layers"


def test_what_only_the_second_restore_shows_is_found_out() -> None:
    assert "restored the second time is another one" in _choice(unruly.Swapping()).tried[0].reason


def test_what_shows_late_is_found_out_where_frames_are_cheap() -> None:
    assert _choice(unruly.LateHiddenState(), longer_s=0).snapshots is not None, "not shown yet"
    choice = _choice(unruly.LateHiddenState(), longer_s=60)
    assert choice.snapshots is None
    assert "the reward of 'player'" in choice.reason


def test_the_rehearsal_is_the_same_however_long_was_played() -> None:
    few, many = (_choice(unruly.Walker(), longer_s=longer_s) for longer_s in (0, 60))
    assert "over 24 frames" in few.reason
    assert "over 120 frames" in many.reason
    assert few.rehearsal is not None
    assert few.rehearsal == many.rehearsal


class _Aging(unruly.HoarderWithHooks):
    """No reset takes its age back, and no object of Python's leads to it."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        unruly.shared("AGE", unruly.shared("AGE") + 1)
        return super().step(action)

    def keep(self) -> Any:
        return super().keep(), unruly.shared("AGE")

    def restore(self, kept: Any) -> None:
        super().restore(kept[0])
        unruly.shared("AGE", kept[1])


def test_a_longer_proof_leaves_the_game_as_a_short_one_does() -> None:
    ages = []
    for longer_s in (0, 60):
        unruly.shared("AGE", 0)
        _proven(make_game(_Aging()), longer_s=longer_s, hooks=("keep", "restore"))
        ages.append(unruly.shared("AGE"))
    assert ages[0] == ages[1] > 0


def test_a_short_episode_is_restored_at_as_many_moments_as_a_long_one() -> None:
    choice = _choice(TimeLimit(unruly.Walker(), max_episode_steps=9), frames=100)
    assert "9 restores over 9 frames" in choice.reason


def test_state_that_no_attribute_leads_to_is_found_out() -> None:
    choice = _choice(unruly.Hoarder())
    assert choice.snapshots is None
    assert "the observation of 'player'" in choice.reason
    assert choice.rollback_depth(30) == 0


@pytest.mark.parametrize(
    "hooks", [("keep", "restore"), (lambda env: env.keep(), lambda env, kept: env.restore(kept))]
)
def test_hooks_can_do_what_we_cannot(hooks: Any) -> None:
    choice = _choice(unruly.HoarderWithHooks(), hooks=hooks)
    assert choice.snapshots is not None
    assert choice.snapshots.name == "hooks"


def test_hooks_that_are_wrong_are_found_out() -> None:
    hooks = (lambda _env: None, lambda _env, _state: None)
    choice = _choice(unruly.Walker(), hooks=hooks)
    assert not choice.tried[0].exact
    assert choice.snapshots is not None
    assert choice.snapshots.name == "layers"


def test_hooks_that_raise_are_told_with_their_error() -> None:
    choice = _choice(unruly.Hoarder(), hooks=(lambda _env: 1 / 0, lambda _env, _state: None))
    assert "ZeroDivisionError" in choice.tried[0].reason


def test_hooks_that_do_not_exist_are_an_error() -> None:
    with pytest.raises(UsageError, match="Walker has no method 'keep'"):
        _choice(unruly.Walker(), hooks=("keep", "restore"))


def test_what_cannot_be_rewound_is_named() -> None:
    choice = _choice(unruly.Native())
    assert choice.snapshots is None
    assert "itertools.count" in choice.reason
    assert "unwrapped.counters[0]" in choice.reason


def test_nothing_is_proved_by_an_environment_that_does_not_move() -> None:
    choice = _choice(unruly.Unmoved())
    assert choice.snapshots is None
    assert "nothing changed" in choice.reason


def test_state_that_becomes_unreachable_later_is_an_error_of_save() -> None:
    env = unruly.Walker()
    snapshots = _proven(make_game(env))
    env.rememberers["odd"] = iter([])  # type: ignore[assignment]  # what is tested
    with pytest.raises(UnsupportedEnvironment, match=r"unwrapped\.rememberers\['odd'\]"):
        snapshots.save()


def test_a_freed_snapshot_is_refused_and_freeing_twice_is_fine() -> None:
    game = make_game(unruly.Walker())
    snapshots = _proven(game)
    game.reset(seed=1)
    snapshot = snapshots.save()
    snapshots.free(snapshot)
    snapshots.free(snapshot)
    with pytest.raises(UsageError, match="freed"):
        snapshots.load(snapshot)


@pytest.mark.parametrize("make", [unruly.Walker, _RallyLike])
def test_checksums_follow_the_state_and_the_fields_tell_where(make: Any) -> None:
    ours, theirs = make_game(make()), make_game(make())
    mine, yours = _proven(ours), _proven(theirs)
    for game in (ours, theirs):
        game.reset(seed=5)
        _played(game, [1, 2, 0])
    before, other = mine.save(), yours.save()
    assert mine.checksum(before) == yours.checksum(other)
    theirs.env.unwrapped.trail[2] += 1
    behind = yours.save()
    assert mine.checksum(before) != yours.checksum(behind)
    one, two = mine.fields(before), yours.fields(behind)
    assert one is not None
    assert two is not None
    assert any("trail[2]" in path or "state[1][2]" in path for path, _, _ in differences(one, two))
    ours.step([1])
    assert mine.checksum(before) == yours.checksum(other), "a snapshot is of its moment"


def test_a_strategy_can_be_had_by_name() -> None:
    game = make_game(_RallyLike())
    assert snapshots_named(game, "layers").name == "layers"
    with pytest.raises(UnsupportedEnvironment, match="'magic'"):
        snapshots_named(game, "magic")


def test_global_random_state_can_be_part_of_the_game() -> None:
    assert choose_snapshots(make_game(unruly.GlobalDrawer())).snapshots is None
    game = isolate_global_random(make_game(unruly.GlobalDrawer()))
    snapshots = _proven(game)
    futures = []
    for noise in (1, 2):
        np.random.seed(noise)
        game.reset(seed=4)
        snapshot = snapshots.save()
        futures.append(_played(game, [1, 2, 1]))
        np.random.random()
        snapshots.load(snapshot)
        futures.append(_played(game, [1, 2, 1]))
    assert len({str(future) for future in futures}) == 1
    assert game.describe()["global random state"] == "isolated"


def test_an_isolated_game_leaves_the_global_generators_alone() -> None:
    game = isolate_global_random(make_game(unruly.GlobalSeeder()))
    random.seed(1)
    np.random.seed(1)
    before = GlobalRandom.now()
    game.reset(seed=1)
    _played(game, [1, 1])
    assert before.moved() == ()
    np.random.random()
    assert before.moved() == ("numpy.random",)
    random.random()
    assert before.moved() == ("random", "numpy.random")


def test_an_isolated_game_is_otherwise_the_game() -> None:
    inner = make_game(unruly.Walker())
    game = isolate_global_random(inner)
    assert game.seats == inner.seats
    assert game.action_space("player") is inner.action_space("player")
    assert game.observation_space("player") is inner.observation_space("player")
    assert game.codec("player") is inner.codec("player")
    assert game.default_action("player") == 0
    assert isinstance(game.reset(seed=1), Outcome)
    game.close()


def test_rendering_between_save_and_load_is_not_undone() -> None:
    env = gymnasium.make("CartPole-v1", render_mode="rgb_array")
    game = make_game(env)
    snapshots = _proven(game)
    game.reset(seed=1)
    snapshot = snapshots.save()
    game.render()
    screen = env.unwrapped.screen  # type: ignore[attr-defined]  # CartPole's own
    assert screen is not None
    snapshots.load(snapshot)
    assert env.unwrapped.screen is screen  # type: ignore[attr-defined]  # CartPole's own
    game.close()
