from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p.errors import UsageError
from gym_p2p.game.env.load import action_of, load_environment, load_policy
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.plays import random_actor
from tests.game.environments import Echo


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("CartPole-v1", "CartPoleEnv"),
        ("gym_p2p/Rally-v0", "RallyEnv"),
        ("gym_p2p.envs:gym_p2p/Rally-v0", "RallyEnv"),
        ("gym_p2p.envs.rally", "RallyParallelEnv"),
        ("gym_p2p.envs.rally:parallel_env", "RallyParallelEnv"),
        ("tests.game.policies:arena", "LastOneStanding"),
    ],
)
def test_an_environment_is_made_from_its_name(name: str, made: str) -> None:
    env = load_environment(name)
    assert type(env.unwrapped).__name__ == made
    env.close()


def test_arguments_reach_the_constructor() -> None:
    assert load_environment("gym_p2p/Rally-v0", {"points": 3}).unwrapped.points == 3
    assert load_environment("gym_p2p.envs.rally", {"points": 4}).points == 4
    assert load_environment("tests.game.policies:arena", {"limit": 6}).limit == 6


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CartPol-v1", "no environment 'CartPol-v1'; did you mean 'CartPole-v1'"),
        ("gym_p2p/Raly-v0", "did you mean 'gym_p2p/Rally-v0'"),
        ("Foraging-8x8-9p-9f-v9", "name that too: package:Foraging-8x8-9p-9f-v9"),
        ("gym_p2p.envs.raly", "no module 'gym_p2p.envs.raly'; did you mean 'gym_p2p.envs.rally'"),
        ("pettingzoo.atari.ponk_v3", "did you mean 'pettingzoo.atari.pong_v3'"),
        ("no_such_package.thing", "no module 'no_such_package.thing'"),
        ("no_such_package:thing", "no module 'no_such_package'"),
        ("gym_p2p.envs.rally:parallel_emv", "no function 'parallel_emv'; did you mean 'parallel_env'"),
        ("gym_p2p.envs.rally:SEATS", "no function 'SEATS'"),
        ("gym_p2p.envs.court", "neither parallel_env nor env"),
        ("tests.game.policies:lazy_import", "needs the package 'no_such_dependency'"),
        ("", "no environment ''"),
        (":", "no environment ':'"),
        ("a b:c", "no name of a module"),
    ],
)
def test_a_name_that_leads_nowhere_says_what_comes_close(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_environment(name)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["CartPole-v1", "gym_p2p.envs.rally", "tests.game.policies:arena"])
def test_arguments_that_it_does_not_take_are_the_callers_mistake(name: str) -> None:
    with pytest.raises(UsageError, match="wings"):
        load_environment(name, {"wings": 2})


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


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise OSError('no ROM file')", r"import {0}: it raised OSError: no ROM file \({0}.py, line 1"),
        ("def make() return", r"import {0}: it raised SyntaxError: .*{0}.py, line 1\)"),
        (
            "def make(): raise ValueError('a\\nb')",
            r"make {0}:make: it raised ValueError: a b \({0}.py, line 1, in make\)",
        ),
        ("def make(): len(3)", r"make {0}:make: it raised TypeError: object of type 'int' .*line 1"),
        (
            "def in_(a): ...\ndef make(): in_()",
            r"make {0}:make: it raised TypeError: in_\(\) missing .*line 2",
        ),
        ("def make(size): ...", "make {0}:make with these arguments: .*size"),
    ],
)
def test_what_an_environment_raises_is_said_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str, request: pytest.FixtureRequest
) -> None:
    name = f"broken_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=said.format(name)) as error:
        load_environment(f"{name}:make")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mask", [[0, 0, 1], (False, False, True), np.array([0, 0, 2], np.int64)])
def test_the_random_policy_minds_a_mask_in_the_info_where_the_observation_has_none(mask: Any) -> None:
    policy = load_policy("random", make_game(Echo(spaces.MultiDiscrete([3, 3]))), 0)
    assert {int(action_of(policy, 0, {"action_mask": mask}, frame)) for frame in range(20)} == {2}
    both = {"action_mask": [1, 0, 0]}
    assert {int(action_of(policy, both, {"action_mask": mask}, frame)) for frame in range(20)} == {0}
    assert action_of(lambda seen, frame: (seen, frame), 7, {"action_mask": mask}, 3) == (7, 3)
