from __future__ import annotations

import logging
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import RecordEpisodeStatistics

from gym_p2p.errors import ConfigurationError, UnsupportedEnvironment, UsageError
from gym_p2p.game.env.seats import make_game
from tests.game.environments import AecCounter, Echo, LastOneStanding

_PAIR = spaces.Dict({"left": spaces.Discrete(3), "right": spaces.Discrete(4)})


def test_a_dict_of_actions_has_a_seat_for_each_key() -> None:
    env = Echo(_PAIR)
    game = make_game(env)
    assert game.seats == ("left", "right")
    assert game.action_space("right") is game.action_space("right") is _PAIR["right"]
    game.reset(seed=1)
    game.step([2, 3])
    assert env.stepped == [{"left": 2, "right": 3}]


def test_a_tuple_of_actions_has_a_seat_for_each_index() -> None:
    env = Echo(spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,))]))
    game = make_game(env)
    assert game.seats == (0, 1)
    game.step([2, np.ones(2, np.float32)])
    assert env.stepped[0][0] == 2
    assert isinstance(env.stepped[0], tuple)


def test_a_multi_discrete_has_a_discrete_for_each_entry() -> None:
    env = Echo(spaces.MultiDiscrete([3, 5], start=[0, 10]))
    game = make_game(env)
    assert game.action_space(1) == spaces.Discrete(5, start=10)
    game.step([np.int64(2), np.int64(14)])
    assert env.stepped[0] in env.action_space


def test_a_multi_discrete_of_two_axes_has_a_row_for_each_seat() -> None:
    env = Echo(spaces.MultiDiscrete(np.array([[3, 5], [2, 2]])))
    game = make_game(env)
    assert game.action_space(0) == spaces.MultiDiscrete([3, 5])
    game.step([np.array([2, 4]), np.array([1, 1])])
    assert env.stepped[0] in env.action_space


@pytest.mark.parametrize(
    ("n", "actions"), [(3, [1, 0, 1]), ([2, 3], [np.array([1, 0, 1]), np.array([0, 0, 1])])]
)
def test_a_multi_binary_has_a_seat_for_each_entry_of_its_first_axis(n: Any, actions: list[Any]) -> None:
    env = Echo(spaces.MultiBinary(n))
    game = make_game(env)
    assert len(game.seats) == len(actions)
    game.step([game.codec(seat).check(a) for seat, a in zip(game.seats, actions, strict=True)])
    assert env.stepped[0] in env.action_space
    assert env.stepped[0].tolist() == np.array(actions).tolist()


def test_each_seat_gets_its_part_of_an_observation_over_the_seats() -> None:
    observed = spaces.Dict({"left": spaces.Discrete(10), "right": spaces.Discrete(20)})
    reply: Any = ({"left": 4, "right": 15}, 0.0, False, False, {})
    game = make_game(Echo(_PAIR, observed, lambda _a: reply))
    assert game.observation_space("right") is observed["right"]
    assert game.reset(seed=0).observations[0] in observed["left"]
    assert game.step([0, 0]).observations == (4, 15)


def test_every_seat_gets_an_observation_over_something_else_whole() -> None:
    observed = spaces.Dict({"board": spaces.Discrete(10), "clock": spaces.Discrete(20)})
    reply: Any = ({"board": 4, "clock": 15}, 0.0, False, False, {})
    game = make_game(Echo(_PAIR, observed, lambda _a: reply))
    first, second = game.step([0, 0]).handed_out().observations
    assert first == second == {"board": 4, "clock": 15}
    assert first is not second


@pytest.mark.parametrize(
    ("reward", "info", "expected"),
    [
        (2, {}, (2.0, 2.0)),
        ([1, -1], {}, (1.0, -1.0)),
        (np.array([0.5, 1.5]), {}, (0.5, 1.5)),
        ({"right": 1, "left": 3}, {}, (3.0, 1.0)),
        ({"left": 3}, {}, (3.0, 0.0)),
        (np.array([2.5], np.float32), {}, (2.5, 2.5)),
        (np.array(2.5), {}, (2.5, 2.5)),
        ([np.array([1.0]), None], {}, (1.0, 0.0)),
        (None, {}, (0.0, 0.0)),
        (0.0, {"rewards": {"left": 7, "right": 8}}, (7.0, 8.0)),
        (5.0, {"rewards": {"speed": 7, "safety": 8}}, (5.0, 5.0)),
    ],
)
def test_rewards_come_one_for_all_or_one_for_each(reward: Any, info: Any, expected: Any) -> None:
    game = make_game(Echo(_PAIR, reply=lambda _a: (0, reward, False, False, info)))
    rewards = game.step([0, 0]).rewards
    assert rewards == expected
    assert all(type(r) is float for r in rewards)


@pytest.mark.parametrize(
    ("terminated", "truncated", "ended"),
    [
        (False, False, False),
        (True, False, True),
        ([True, False], False, False),
        ([1, 0], [False, True], True),
        (np.array([True]), None, True),
        ({"left": True}, {"__all__": False}, False),
        ({"left": True}, {"__all__": True}, True),
    ],
)
def test_an_episode_has_ended_when_every_seat_is_over(terminated: Any, truncated: Any, ended: bool) -> None:  # noqa: FBT001 a parameter of the test
    game = make_game(Echo(_PAIR, reply=lambda _a: (0, 0.0, terminated, truncated, {})))
    outcome = game.step([0, 0])
    assert outcome.ended is ended
    assert all(type(flag) is bool for flag in outcome.terminations + outcome.truncations)


def test_a_reset_gives_no_rewards_whatever_its_info_says() -> None:
    class Generous(Echo):
        def reset(self, **_arguments: Any) -> tuple[Any, dict[str, Any]]:
            return 0, {"rewards": {"left": 7.0, "right": 8.0}}

    assert make_game(Generous(_PAIR)).reset().rewards == (0.0, 0.0)


def test_a_wrong_number_of_rewards_is_refused() -> None:
    game = make_game(Echo(_PAIR, reply=lambda _a: (0, [1.0, 2.0, 3.0], False, False, {})))
    with pytest.raises(UnsupportedEnvironment, match="3 parts for 2 seats"):
        game.step([0, 0])


def test_an_info_over_the_seats_is_split_and_another_is_given_to_all() -> None:
    infos: list[Any] = [{"left": {"hit": 1}, "right": {}}, {"left": 1, "right": 2}]
    game = make_game(Echo(_PAIR, reply=lambda _a: (0, 0.0, False, False, infos.pop(0))))
    assert game.step([0, 0]).infos == ({"hit": 1}, {})
    assert game.step([0, 0]).infos == ({"left": 1, "right": 2},) * 2


def test_what_the_environment_reuses_is_copied() -> None:
    seen = np.zeros(2, np.float32)
    env = Echo(_PAIR, spaces.Box(0, 9, (2,)), lambda _a: (seen, 0.0, False, False, {}), first=seen)
    game = make_game(env)
    before = game.reset(seed=0)
    seen += 1
    after = game.step([0, 0])
    assert before.observations[0].tolist() == [0, 0]
    shown = after.handed_out()
    assert shown.observations[0] is not shown.observations[1]
    assert shown.observations[0] is not after.observations[0]


def test_in_a_single_agent_environment_one_acts_and_the_others_watch() -> None:
    env = Echo(spaces.Discrete(4), reply=lambda _a: (6, 2.0, True, False, {"x": 1}))
    game = make_game(env, watchers=2)
    assert game.seats == ("player", "watcher_1", "watcher_2")
    assert game.action_space("watcher_2") == spaces.Discrete(1)
    outcome = game.step([3, 0, 0])
    assert env.stepped == [3]
    assert outcome.observations == (6, 6, 6)
    assert outcome.rewards == (2.0, 2.0, 2.0)
    assert outcome.ended


def test_watchers_see_the_whole_of_what_several_players_play() -> None:
    observed = spaces.Dict({"left": spaces.Discrete(10), "right": spaces.Discrete(20)})
    reply: Any = ({"left": 4, "right": 15}, [1, 2], [True, False], False, {"score": 3})
    env = Echo(_PAIR, observed, lambda _a: reply)
    game = make_game(env, watchers=1)
    assert game.seats == ("left", "right", "watcher_1")
    assert game.observation_space("watcher_1") == observed
    game.reset(seed=0)
    outcome = game.step([2, 3, 0])
    assert env.stepped == [{"left": 2, "right": 3}]
    assert outcome.observations == (4, 15, {"left": 4, "right": 15})
    assert outcome.rewards == (1.0, 2.0, 0.0)
    assert outcome.terminations == (True, False, False)
    assert outcome.infos[2] == {"score": 3}


@pytest.mark.parametrize(
    "space",
    [
        spaces.Tuple([spaces.Discrete(3), spaces.Discrete(3)]),
        spaces.MultiDiscrete([3, 3]),
        spaces.MultiBinary(2),
        spaces.Box(-1, 1, (2,)),
    ],
)
def test_any_action_space_combines_with_watchers(space: Any) -> None:
    env = Echo(space, reply=lambda _a: (6, 2.0, True, False, {}))
    game = make_game(env, watchers=2)
    assert game.seats[-2:] == ("watcher_1", "watcher_2")
    outcome = game.step([game.default_action(seat) for seat in game.seats])
    assert env.stepped[0] in space
    assert outcome.rewards == (2.0,) * len(game.seats)
    assert outcome.ended


def test_watchers_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="watchers"):
        make_game(Echo(spaces.Discrete(2)), watchers=-1)
    with pytest.raises(ConfigurationError, match="watchers: a PettingZoo environment"):
        make_game(LastOneStanding(), watchers=1)
    with pytest.raises(ConfigurationError, match="'watcher_1' acts already"):
        make_game(Echo(spaces.Dict({"watcher_1": spaces.Discrete(2), "b": spaces.Discrete(2)})), watchers=1)


def test_a_seat_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(UsageError, match=r"no seat 'middle'.*'left', 'right'"):
        make_game(Echo(_PAIR)).action_space("middle")


class TestParallel:
    def test_every_agent_has_a_seat(self) -> None:
        env = LastOneStanding()
        game = make_game(env)
        assert game.seats == ("a", "b", "c")
        outcome = game.reset(seed=4)
        assert [o.tolist() for o in outcome.observations] == [[4, 0]] * 3
        assert not outcome.ended
        assert game.step([0, 2, 0]).rewards == (1.0, 1.0, 1.0)

    def test_an_agent_that_is_gone_keeps_its_seat_and_is_not_stepped(self) -> None:
        env = LastOneStanding()
        game = make_game(env)
        game.reset(seed=4)
        out = game.step([1, 0, 0])
        later = game.step([2, 0, 0])
        assert out.terminations == later.terminations == (True, False, False)
        assert out.rewards[0] == 1.0
        assert later.rewards == (0.0, 1.0, 1.0)
        assert later.observations[0].tolist() == [4, 1]
        assert later.observations[1].tolist() == [4, 2]
        assert later.infos[0] == {}
        assert env.given[1] == {"b": 0, "c": 0}

    def test_it_has_ended_when_all_agents_are_gone(self) -> None:
        game = make_game(LastOneStanding(limit=2))
        game.reset(seed=0)
        assert not game.step([1, 0, 0]).ended
        outcome = game.step([0, 0, 0])
        assert outcome.ended
        assert outcome.terminations == (True, False, False)
        assert outcome.truncations == (False, True, True)

    def test_a_new_episode_brings_every_agent_back(self) -> None:
        game = make_game(LastOneStanding())
        game.reset(seed=0)
        game.step([1, 1, 0])
        assert not any(game.reset(seed=0).terminations)
        assert game.step([0, 0, 0]).rewards == (1.0, 1.0, 1.0)

    def test_an_agent_dropped_without_a_flag_is_truncated(self) -> None:
        env = LastOneStanding()
        env.drop_silently = True
        game = make_game(env)
        game.reset(seed=0)
        outcome = game.step([1, 0, 0])
        assert outcome.truncations == (True, False, False)
        assert game.step([0, 0, 0]).truncations == (True, False, False)

    def test_agents_that_are_over_but_still_listed_are_over(self) -> None:
        env = LastOneStanding(limit=2)
        env.keep_listed = True
        game = make_game(env)
        game.reset(seed=0)
        game.step([1, 0, 0])
        outcome = game.step([0, 0, 0])
        assert outcome.rewards == (0.0, 1.0, 1.0)
        assert outcome.terminations == (True, False, False)
        assert outcome.ended

    def test_changing_what_a_gone_seat_was_given_changes_nothing_later(self) -> None:
        game = make_game(LastOneStanding())
        game.reset(seed=4)
        game.step([1, 0, 0]).handed_out().observations[0][:] = 77
        assert game.step([0, 0, 0]).observations[0].tolist() == [4, 1]

    def test_progress_saved_with_the_environment_brings_a_gone_agent_back(self) -> None:
        env = LastOneStanding()
        game = make_game(env)
        game.reset(seed=0)
        saved, agents = game.progress, list(env.agents)
        game.step([1, 0, 0])
        game.progress, env.agents = saved, agents
        assert game.step([0, 0, 0]).terminations == (False, False, False)

    def test_outcomes_do_not_share_the_array_that_the_environment_writes_on_in(self) -> None:
        game = make_game(LastOneStanding())
        before = game.reset(seed=0)
        game.step([0, 0, 0])
        assert before.observations[0].tolist() == [0, 0]
        assert before.observations[0] is not before.observations[1]

    def test_agents_need_names_that_travel_as_json(self) -> None:
        with pytest.raises(UnsupportedEnvironment, match=r"\(1, 2\)"):
            make_game(LastOneStanding(agents=((1, 2), (3, 4))))


def test_a_parallelizable_aec_environment_is_played_in_parallel() -> None:
    game = make_game(AecCounter(is_parallelizable=True))
    assert game.seats == ("x", "y")
    game.reset(seed=0)
    assert game.step([1, 2]).observations == (3, 3)
    game.step([0, 0])
    outcome = game.step([4, 0])
    assert outcome.rewards == (7.0, 7.0)
    assert outcome.ended


def test_in_an_aec_environment_of_turns_a_step_is_one_agents_turn(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        game = make_game(AecCounter(is_parallelizable=False))
    assert "aec_counter_v0 is played in turns" in caplog.text
    assert game.takes_turns
    game.reset(seed=0)
    first = game.step([1, 4])  # only x acts
    assert first.observations == (0, 0)
    assert first.infos[0]["active_agent"] == "y"
    assert game.step([4, 2]).observations == (3, 3)
    for _ in range(4):
        outcome = game.step([0, 0])
    assert outcome.ended
    assert outcome.terminations == (True, True)


@pytest.mark.parametrize("thing", [3, None, LastOneStanding, "CartPole-v1"])
def test_anything_else_is_refused_with_what_was_found_and_what_works(thing: Any) -> None:
    with pytest.raises(UnsupportedEnvironment, match=r"found a builtins\..*what works is a gymnasium\.Env"):
        make_game(thing)


def test_a_vector_environment_is_refused_with_advice() -> None:
    envs = gymnasium.make_vec("CartPole-v1", num_envs=2)
    with pytest.raises(UnsupportedEnvironment, match="wrap each one by itself"):
        make_game(envs)
    envs.close()


def test_an_action_space_that_cannot_be_sent_is_refused_with_its_seat() -> None:
    space = spaces.Dict({"left": spaces.Discrete(2), "right": spaces.Box(0, 1, (400,))})
    with pytest.raises(UnsupportedEnvironment, match=r"'right'.*1600 bytes"):
        make_game(Echo(space))


class TestDefaultActions:
    def test_they_are_nearest_to_zero(self) -> None:
        space = spaces.Tuple(
            [
                spaces.Discrete(3),
                spaces.Discrete(3, start=-1),
                spaces.Discrete(3, start=5),
                spaces.Box(2, 3, (1,)),
            ]
        )
        game = make_game(Echo(space))
        assert [game.default_action(s) for s in game.seats[:3]] == [0, 0, 5]
        assert game.default_action(3).tolist() == [2.0]
        assert game.default_action(3) is not game.default_action(3)

    @pytest.mark.parametrize("configured", [2, {"left": 2, "right": 2}])
    def test_they_can_be_configured_for_all_seats_or_for_each(self, configured: Any) -> None:
        game = make_game(Echo(_PAIR), default_actions=configured)
        assert [game.default_action(s) for s in game.seats] == [2, 2]

    def test_keys_may_have_gone_through_json(self) -> None:
        game = make_game(LastOneStanding(agents=(0, 1)), default_actions={"1": 2})
        assert [game.default_action(s) for s in game.seats] == [0, 2]

    def test_one_for_all_leaves_watchers_alone(self) -> None:
        game = make_game(Echo(spaces.Discrete(4)), watchers=1, default_actions=3)
        assert [game.default_action(s) for s in game.seats] == [3, 0]

    @pytest.mark.parametrize("configured", [9, {"left": 9}, {"middle": 0}])
    def test_those_that_do_not_fit_are_refused(self, configured: Any) -> None:
        with pytest.raises(ConfigurationError, match="default_actions"):
            make_game(Echo(_PAIR), default_actions=configured)


def test_a_recording_wrapper_inside_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        make_game(Echo(_PAIR))
        assert not caplog.records
        make_game(RecordEpisodeStatistics(Echo(_PAIR)))
    assert "RecordEpisodeStatistics is inside" in caplog.text


def test_closing_twice_closes_once() -> None:
    env = Echo(_PAIR)
    game = make_game(env)
    game.close()
    game.close()
    assert env.closed == 1


def test_no_info_is_an_empty_one() -> None:
    class Silent(Echo):
        def reset(self, **options: Any) -> Any:
            return super().reset(**options)[0], None

        def step(self, action: Any) -> Any:
            return (*super().step(action)[:4], None)

    game = make_game(Silent(_PAIR))
    assert game.reset(1).infos == ({}, {})
    assert game.step([1, 1]).infos == ({}, {})
