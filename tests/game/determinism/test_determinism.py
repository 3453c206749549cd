"""What the report card says of small environments with one habit each."""

from __future__ import annotations

import functools
import json
import random
from typing import Any

import numpy as np
import pytest

import gym_p2p
from gym_p2p.errors import UnsupportedEnvironment, UsageError
from gym_p2p.game.env.isolation import GlobalRandom
from tests.game import unruly


def _card(make_env: Any, **options: Any) -> gym_p2p.ReportCard:
    return gym_p2p.check_env_determinism(make_env, **{"steps": 20, "fresh_process": False, **options})


def test_a_well_behaved_environment_passes_everything() -> None:
    card = _card(unruly.Walker, fresh_process=True)
    assert card.verdict == "rollback"
    assert {check.name: check.passed for check in card.checks} == {
        "same process": True,
        "fresh object": True,
        "fresh process": True,
        "info": True,
        "after a restore": True,
        "global random state": True,
        "state checksum": True,
    }
    assert card.strategy == "layers"
    assert card.step_us is not None
    assert card.frames == 40
    assert card.rollback_depths[30] > card.rollback_depths[60] > 8


@pytest.mark.parametrize("habit", [unruly.Pickled, unruly.InClosure, unruly.Moody, unruly.Forgetful])
def test_is_fit_for_rollback(habit: Any) -> None:
    assert _card(habit).verdict == "rollback"


@pytest.mark.parametrize(
    ("habit", "why"), [(unruly.Hoarder, "the observation of 'player'"), (unruly.Native, "itertools.count")]
)
def test_is_fit_for_lockstep_only(habit: Any, why: str) -> None:
    card = _card(habit)
    assert card.verdict == "lockstep"
    assert card.strategy is None
    assert why in card.check("after a restore").detail
    assert card.rollback_depths == {30: 0, 60: 0}
    assert card.step_us is not None


@pytest.mark.parametrize(
    ("habit", "failed"),
    [
        (unruly.ClockReader, "same process"),
        (unruly.Rounds, "same process"),
        (unruly.GlobalDrawer, "same process"),
        (unruly.GlobalSeeder, "fresh object"),
        (unruly.Breaking, "it can be played"),
    ],
)
def test_is_unfit(habit: Any, failed: str) -> None:
    card = _card(habit)
    assert card.verdict == "unfit"
    assert card.check(failed).passed is False
    assert card.why.startswith(failed)


@pytest.mark.parametrize("habit", [unruly.SetOrdered, unruly.CalendarReader])
def test_only_a_fresh_process_shows_it(habit: Any) -> None:
    card = _card(habit, fresh_process=True)
    assert card.check("same process").passed
    assert card.check("fresh object").passed
    assert card.check("fresh process").passed is False
    assert card.verdict == "unfit"
    assert "the observation of 'player' differs after reset" in card.why


def test_draws_from_global_generators_are_found_out_with_what_helps() -> None:
    card = _card(unruly.GlobalDrawer)
    assert card.check("global random state").passed is False
    assert "numpy.random in step" in card.check("global random state").detail
    assert "with its global random state isolated it would be fit for rollback" in card.why
    assert "numpy.random in reset" in _card(unruly.GlobalSeeder).check("global random state").detail


def test_isolation_makes_it_fit() -> None:
    card = _card(unruly.GlobalDrawer, isolate_global_random=True, fresh_process=True)
    assert card.verdict == "rollback", str(card)
    assert card.check("fresh process").passed
    assert "isolated" in card.check("global random state").detail


def test_global_generators_are_left_as_they_were() -> None:
    random.seed(7)
    np.random.seed(7)
    before = GlobalRandom.now()
    _card(unruly.GlobalSeeder)
    assert before.moved() == ()


def test_a_script_that_checks_itself_without_a_guard_starts_no_endless_row_of_processes() -> None:
    from tests.game.determinism.unguarded import CARD  # noqa: PLC0415 it checks when it is imported

    tried = CARD.check("fresh process")
    assert tried.passed is None
    assert "if __name__ == '__main__'" in tried.detail
    assert "if __name__ == '__main__'" in CARD.why


def test_a_moody_info_is_told_and_no_hindrance() -> None:
    info = _card(unruly.Moody).check("info")
    assert info.passed is None
    assert "in 'mood'" in info.detail
    assert "left out of the comparison" in info.detail
    assert _card(unruly.Walker).check("info").passed is True


def test_nothing_is_shown_by_an_environment_that_does_not_move() -> None:
    card = _card(unruly.Unmoved)
    assert card.verdict == "unfit"
    assert "nothing changed" in card.why


def test_an_error_of_the_environment_is_told() -> None:
    assert "RuntimeError: out of fuel" in _card(unruly.Breaking).why


def test_hooks_of_the_user_are_tried_first() -> None:
    card = _card(unruly.HoarderWithHooks, snapshots=("keep", "restore"), fresh_process=True)
    assert card.verdict == "rollback", str(card)
    assert card.strategy == "hooks"
    assert [tried.exact for tried in card.strategies] == [True, False]


def _local() -> Any:
    class Local(unruly.Walker):
        """Found under no name."""

    return Local


@pytest.mark.parametrize("make_env", [_local(), functools.partial(_local())])
def test_what_another_process_cannot_make_is_not_held_against_it(make_env: Any) -> None:
    card = _card(make_env, fresh_process=True)
    assert card.verdict == "rollback"
    assert card.check("fresh process").passed is None
    assert "not tried" in card.check("fresh process").detail


def test_a_fresh_process_that_fails_says_why() -> None:
    # Its registration is known to this process alone.
    import gymnasium  # noqa: PLC0415 the registration is the test's own

    gymnasium.register("tests/OnlyHere-v0", entry_point="tests.game.unruly:Walker")
    try:
        card = _card("tests/OnlyHere-v0", fresh_process=True)
    finally:
        del gymnasium.registry["tests/OnlyHere-v0"]
    assert "no environment 'tests/OnlyHere-v0'" in card.check("fresh process").detail
    assert card.check("fresh process").passed is None


def test_a_card_is_readable_and_plain_json() -> None:
    card = _card(unruly.Forgetful)
    data = json.loads(json.dumps(card.to_json(), allow_nan=False))
    assert data["verdict"] == "rollback"
    assert data["strategies"][0]["exact"] is False
    assert data["rollback_depths"].keys() == {"30", "60"}
    text = str(card)
    assert "verdict: ROLLBACK" in text
    assert "get_state/set_state" in text
    assert max(map(len, text.splitlines())) < 200


def test_wrong_use_is_told() -> None:
    with pytest.raises(UsageError, match="at least one step"):
        _card(unruly.Walker, steps=0)
    with pytest.raises(UsageError, match="no environment"):
        _card("Wlaker-v0")
    with pytest.raises(UsageError, match="a pair"):
        _card(unruly.Walker, snapshots="keep")
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        _card(lambda: 1 / 0)
    with pytest.raises(UnsupportedEnvironment, match="what works is"):
        _card(lambda: 1)


@pytest.mark.parametrize("habit", [unruly.ByAddress, unruly.ByIdentity])
def test_a_state_that_is_unlike_and_shows_is_no_pass(habit: Any) -> None:
    card = _card(habit, fresh_process=True)
    assert card.check("info").passed is False
    assert card.check("state checksum").passed is False
    assert card.verdict == "unfit"
    assert "worth" in card.why


def test_more_steps_lengthen_the_restores_too() -> None:
    assert _card(unruly.VeryLateHiddenState, steps=20).verdict == "rollback", "not shown yet"
    card = _card(unruly.VeryLateHiddenState, steps=200)
    assert card.verdict == "lockstep", str(card)
    assert "the reward of 'player'" in card.check("after a restore").detail
