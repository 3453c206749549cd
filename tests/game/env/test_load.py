from __future__ import annotations

from pathlib import Path

import pytest

from gym_p2p.errors import UsageError
from gym_p2p.game.env.load import load_environment


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
