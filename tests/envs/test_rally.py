from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test, parallel_seed_test

import gym_p2p.envs  # noqa: F401 registers
from gym_p2p.envs import rally_view
from gym_p2p.envs.rally import ACTIONS, OBSERVED, RallyEnv, parallel_env, scripted_policy
from gym_p2p.errors import ConfigurationError, UsageError
from gym_p2p.game.checksum import checksum
from tests.hash_seeds import said_with

_FIELD = {name: index for index, name in enumerate(OBSERVED)}

_Step = tuple[dict[str, Any], float, bool, bool, dict[str, Any]]


def _scripted_game(env: RallyEnv, seed: int, frames: int = 4000) -> Iterator[_Step]:
    left, right = scripted_policy("left"), scripted_policy("right")
    observation, _ = env.reset(seed=seed)
    for _ in range(frames):
        step = env.step({"left": left(observation["left"]), "right": right(observation["right"])})
        observation = step[0]
        yield step
        if step[2] or step[3]:
            return


def test_gymnasiums_checker_finds_nothing_to_say() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("gym_p2p/Rally-v0", render_mode="rgb_array").unwrapped)


def test_pettingzoos_checkers_pass() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(parallel_env(max_frames=150), num_cycles=400)
        parallel_seed_test(lambda: parallel_env(max_frames=150), num_cycles=200)


def test_it_can_be_made_from_both_registries() -> None:
    assert isinstance(gymnasium.make("gym_p2p/Rally-v0", points=2).unwrapped, RallyEnv)
    assert pettingzoo.make("parallel", "gym_p2p/Rally-v0", points=2).points == 2


def test_two_copies_with_the_same_seed_and_actions_stay_equal_to_the_end() -> None:
    one, other = parallel_env(max_frames=900), parallel_env(max_frames=900)
    draw = np.random.default_rng(5)
    first = one.reset(seed=11)
    assert checksum(first) == checksum(other.reset(seed=11))
    seen = {checksum(first)}
    while one.agents:
        actions = {agent: int(draw.integers(6)) for agent in one.agents}
        ours, theirs = one.step(actions), other.step(actions)
        assert checksum(ours) == checksum(theirs)
        seen.add(checksum(ours))
    assert len(seen) > 500
    assert checksum(one.reset()) == checksum(other.reset()), "an unseeded reset goes on in the same way"


def test_other_seeds_give_other_serves() -> None:
    games = set()
    for seed in range(8):
        env = RallyEnv()
        games.add(checksum([step[0] for step in _scripted_game(env, seed, 60)]))
    assert len(games) == 8


def test_both_interfaces_play_the_same_game() -> None:
    env, parallel = RallyEnv(), parallel_env()
    mine, theirs = env.reset(seed=3)[0], parallel.reset(seed=3)[0]
    for frame in range(300):
        assert checksum(mine) == checksum(theirs)
        actions = {"left": frame // 7 % 6, "right": frame // 5 % 6}
        mine, theirs = env.step(actions)[0], parallel.step(actions)[0]


def test_scripted_players_end_their_rallies_and_their_games() -> None:
    games = [list(_scripted_game(RallyEnv(), seed)) for seed in range(5)]
    ends = [game[-1] for game in games]
    assert sum(terminated for _, _, terminated, _, _ in ends) >= 3
    assert all(terminated != truncated for _, _, terminated, truncated, _ in ends)
    points = [reward for game in games for _, reward, *_ in game if reward]
    assert {1.0, -1.0} == set(points), "both sides score"
    hits = max(abs(int(step[0]["left"][_FIELD["ball_spin"]])) for game in games for step in game)
    assert hits > 0, "spin is played"


def test_a_scripted_player_beats_one_who_sleeps() -> None:
    env = RallyEnv(points=3)
    policy = scripted_policy("right")
    observation, _ = env.reset(seed=1)
    for _ in range(3600):
        action = {"left": 0, "right": policy(observation["right"])}
        observation, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            break
    own, other = observation["right"][_FIELD["own_points"]], observation["right"][_FIELD["other_points"]]
    assert own > other


def test_the_action_of_either_player_changes_the_game_on_the_same_frame() -> None:
    for seat in ("left", "right"):
        results = set()
        for action in range(len(ACTIONS)):
            env = RallyEnv()
            env.reset(seed=2)
            env.step({"left": 0, "right": 0, seat: action})
            results.add(json.dumps(env.get_state()))
        assert len(results) == len(ACTIONS)


def test_reward_is_the_left_players_and_the_info_has_both() -> None:
    for _, reward, _, _, info in _scripted_game(RallyEnv(), 4):
        assert info["rewards"] == {"left": reward, "right": -reward}


def test_the_frame_limit_truncates() -> None:
    env = RallyEnv(max_frames=20)
    env.reset(seed=0)
    for frame in range(1, 21):
        _, _, terminated, truncated, _ = env.step({"left": 0, "right": 0})
        assert not terminated
        assert truncated is (frame == 20)


def test_each_player_sees_the_court_from_their_own_side() -> None:
    for observation, *_ in _scripted_game(RallyEnv(), 6, 400):
        left, right = observation["left"], observation["right"]
        assert left[_FIELD["ball_vx"]] == -right[_FIELD["ball_vx"]]
        assert abs(int(left[_FIELD["ball_x"]]) + int(right[_FIELD["ball_x"]]) - 4096) <= 1
        assert left[_FIELD["own_y"]] == right[_FIELD["other_y"]]
        assert left[_FIELD["ball_y"]] == right[_FIELD["ball_y"]]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    actions=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 60)), max_size=25),
)
def test_whatever_is_played_stays_in_the_spaces_and_in_whole_numbers(
    seed: int, actions: list[tuple[int, int, int]]
) -> None:
    env = RallyEnv()
    observation, _ = env.reset(seed=seed)
    for left, right, frames in actions:
        for _ in range(frames):
            observation, *_ = env.step({"left": left, "right": right})
        assert observation in env.observation_space
    assert all(type(value) is int for value in _leaves(env.get_state()))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    else:
        yield value


def test_a_state_saved_as_json_goes_on_in_another_instance() -> None:
    env = RallyEnv()
    list(_scripted_game(env, 8, 400))
    text = json.dumps(env.get_state())

    def future(copy: RallyEnv) -> bytes:
        copy.set_state(json.loads(text))
        return checksum([copy.step({"left": i % 6, "right": i // 2 % 6})[:4] for i in range(400)])

    other = RallyEnv()
    other.reset(seed=99)
    first = future(env)
    assert future(other) == first
    assert future(env) == first, "a restored state is not changed by playing on"


_PROGRAM = """
from gym_p2p.envs.rally import RallyEnv
from gym_p2p.game.checksum import checksum
env = RallyEnv()
outcomes = [env.reset(seed=12)]
outcomes += [env.step({"left": i // 5 % 6, "right": i // 7 % 6}) for i in range(1500)]
print(checksum(outcomes).hex(), env.court.left.points + env.court.right.points)
"""


def test_the_game_is_the_same_in_every_process_and_on_every_machine() -> None:
    assert said_with((0, 31), _PROGRAM) == {"8516222efbe9a556 17\n"}


def test_the_picture_is_an_rgb_image_that_moves() -> None:
    env = RallyEnv(render_mode="rgb_array")
    env.reset(seed=1)
    first = env.render()
    assert first.shape == (288, 512, 3)
    assert first.dtype == np.uint8
    list(_scripted_game(env, 1, 60))
    assert (env.render() != first).any()
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 500, "smooth edges and lights have many colours"


def test_a_picture_has_nothing_of_those_before_it() -> None:
    one, other = RallyEnv(render_mode="rgb_array", points=2), RallyEnv(render_mode="rgb_array", points=2)
    games = zip(_scripted_game(one, 5), _scripted_game(other, 6), strict=False)
    seen = set()
    for number, _ in enumerate(games):
        both = one.render(), other.render()
        if number % 3 == 0:
            rally_view._backdrop.cache_clear()
            np.testing.assert_array_equal(one.render(), both[0])
            np.testing.assert_array_equal(other.render(), both[1])
            seen.add(both[0].tobytes())
    assert len(seen) > 50


def test_the_text_is_always_eighteen_lines_of_sixty() -> None:
    env = RallyEnv(render_mode="ansi", points=2)
    pictures = set()
    for _ in _scripted_game(env, 5):
        lines = env.render().split("\n")
        assert [len(line) for line in lines] == [60] * 18
        pictures.add("\n".join(lines[1:-1]))
    assert len(pictures) > 50


def test_rendering_changes_nothing_in_the_game() -> None:
    env = RallyEnv(render_mode="rgb_array")
    for _ in _scripted_game(env, 5, 80):
        before = env.get_state()
        env.render()
        assert env.get_state() == before


def test_nothing_is_rendered_without_a_mode() -> None:
    env = RallyEnv()
    env.reset(seed=0)
    assert env.render() is None


@pytest.mark.parametrize(
    "kwargs", [{"points": 0}, {"points": "3"}, {"max_frames": True}, {"render_mode": "smell"}]
)
def test_arguments_that_make_no_game_are_refused(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        RallyEnv(**kwargs)


def test_stepping_a_finished_parallel_game_is_refused() -> None:
    env = parallel_env(max_frames=1)
    env.reset(seed=0)
    env.step({"left": 0, "right": 0})
    with pytest.raises(UsageError, match="reset"):
        env.step({"left": 0, "right": 0})


def test_a_scripted_policy_for_no_seat_is_refused() -> None:
    with pytest.raises(UsageError, match="'left', 'right'"):
        scripted_policy("middle")
