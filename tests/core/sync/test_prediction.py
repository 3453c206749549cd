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
