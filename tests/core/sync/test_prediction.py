from __future__ import annotations

from collections.abc import Sequence

import pytest

from gym_p2p.core.sync.prediction import (
    Predictor,
    predict_default,
    predictor_named,
    register_predictor,
    repeat_last,
)
from gym_p2p.errors import ConfigurationError


@pytest.mark.parametrize(("name", "predictor"), [("repeat_last", repeat_last), ("default", predict_default)])
def test_the_usual_predictors_are_known_by_name(name: str, predictor: Predictor) -> None:
    assert predictor_named(name) is predictor


def test_one_repeats_the_newest_input_and_the_other_the_default_one() -> None:
    assert repeat_last([b"a", b"b"], 3, b"-") == b"b"
    assert predict_default([b"a", b"b"], 3, b"-") == b"-"


@pytest.mark.parametrize(
    ("name", "hint"), [("repeat-last", "did you mean 'repeat_last'"), ("?", "known are default, repeat_last")]
)
def test_a_name_that_nobody_registered_is_refused_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint):
        predictor_named(name)


def test_a_name_can_be_registered_again_only_for_the_same_predictor() -> None:
    def second_newest(history: Sequence[bytes], ahead: int, default: bytes) -> bytes:
        return history[-2] if len(history) > ahead else default

    name = "second newest, of a test"
    register_predictor(name, second_newest)
    register_predictor(name, second_newest)
    assert predictor_named(name) is second_newest
    with pytest.raises(ConfigurationError, match="another predictor"):
        register_predictor(name, repeat_last)


def test_predictors_have_names_and_a_wrong_name_suggests_the_right_one() -> None:
    def silent(_history: Sequence[bytes], _ahead: int, _default: bytes) -> bytes:
        return b""

    register_predictor("silent", silent)
    register_predictor("silent", silent)
    assert predictor_named("silent") is silent
    assert predictor_named("default")([b"x"], 1, b"-") == b"-"
    with pytest.raises(ConfigurationError, match="another predictor"):
        register_predictor("silent", predictor_named("default"))
    with pytest.raises(ConfigurationError, match="'repeat_last'"):
        predictor_named("repeat-last")


def test_a_name_like_no_other_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match="known are default, repeat_last"):
        predictor_named("zzz")


def test_the_predictors_that_come_with_the_package() -> None:
    assert predictor_named("repeat_last") is repeat_last
    assert repeat_last([b"a", b"b"], 3, b"-") == b"b"
    assert predict_default([b"a", b"b"], 3, b"-") == b"-"
