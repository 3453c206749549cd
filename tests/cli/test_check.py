"""``gym-p2p check`` as a person meets it."""

from __future__ import annotations

import json

import pytest

from gym_p2p.cli import main

_QUICK = ["--steps", "10", "--no-fresh-process"]


def test_a_fit_environment_gets_a_card_and_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "gym_p2p/Rally-v0", *_QUICK]) == 0
    out, err = capsys.readouterr()
    assert "verdict: ROLLBACK" in out
    assert "trying how its state can be saved" in err


def test_lockstep_is_fit_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "tests.game.unruly:Hoarder", *_QUICK]) == 0
    assert "verdict: LOCKSTEP" in capsys.readouterr().out


def test_an_unfit_environment_has_exit_code_1_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "tests.game.unruly:GlobalDrawer", *_QUICK]) == 1
    out = capsys.readouterr().out
    assert "verdict: UNFIT" in out
    assert "numpy.random in step" in out


def test_isolation_and_hooks_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "tests.game.unruly:GlobalDrawer", "--isolate-global-random", *_QUICK]) == 0
    hooks = ["--save", "keep", "--load", "restore"]
    assert main(["check", "tests.game.unruly:HoarderWithHooks", *hooks, *_QUICK]) == 0
    assert capsys.readouterr().out.count("ROLLBACK") == 2


def test_json_is_one_object_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "gym_p2p/Rally-v0", "--env-arg", "points=3", "--seed", "4", "--json", *_QUICK]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["verdict"] == "rollback"
    assert card["seeds"] == [4]
    assert card["frames"] == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["CartPole-v2"], "did you mean 'CartPole-v"),
        (["gym_p2p/Rally-v0", "--env-arg", "size=3"], "with these arguments"),
        (["gym_p2p/Rally-v0", "--env-arg", "points"], "wants KEY=VALUE"),
        (["gym_p2p/Rally-v0", "--save", "get_state"], "belong together"),
        (["gym_p2p/Rally-v0", "--save", "a", "--load", "b"], "no method 'a'"),
        (["gym_p2p/Rally-v0", "--seed", "-1"], "from 0"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert not out
    assert "Traceback" not in err


def test_an_environment_that_raises_has_another_exit_code_than_an_unfit_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "tests.game.unruly:Breaking", *_QUICK]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "RuntimeError: out of fuel (unruly.py, line " in said


def test_a_split_can_be_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "tests.sweep.adapters:console", "--seats", "2", *_QUICK]) == 0
    halves = '{"left": [0, 1, 2, 3, 4, 5], "right": [6, 7, 8, 9, 10, 11]}'
    assert main(["check", "tests.sweep.adapters:console", "--seats", halves, *_QUICK]) == 0
    assert capsys.readouterr().out.count("ROLLBACK") == 2


@pytest.mark.parametrize(
    ("seats", "problem"),
    [("5", "no equal shares for 5"), ('{"left": [0]}', "belongs to no seat"), ("left", "wanted a number")],
)
def test_a_split_that_does_not_fit_is_refused(
    capsys: pytest.CaptureFixture[str], seats: str, problem: str
) -> None:
    try:
        code = main(["check", "tests.sweep.adapters:console", "--seats", seats, *_QUICK])
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    assert code == 2
    assert problem in capsys.readouterr().err
