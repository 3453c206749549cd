"""Data that is handed over again and again: its rows come of an outline, and are those of a walk."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.envs.rally import RallyEnv
from gym_p2p.game.state import outlines
from gym_p2p.game.state.digest import canonical_data


class _Key(enum.StrEnum):
    A = "a"


class _Phase(enum.Enum):
    PLAY = "play"


def walked(value: Any) -> list[bytes]:
    """Return the form of something that nothing is known of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outlines, "_outlines", {})
        return canonical_data("state", value)


_NUMBERS = st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from([0, 1, True, None, 1 << 16])
_LEAVES = (
    _NUMBERS
    | st.text(max_size=3)
    | st.binary(max_size=3)
    | st.sampled_from([np.float32(1.5), range(3), _Phase.PLAY])
)
_DATA = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "ä", 1]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(first=_DATA, others=st.lists(_DATA, max_size=4), data=st.data())
def test_whatever_was_handed_over_before_the_form_is_that_of_a_walk(
    first: Any, others: list[Any], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outlines, "_outlines", {})
        for value in (first, _like(first, data), *others, _like(first, data)):
            assert canonical_data("state", value) == walked(value)


def _like(value: Any, data: st.DataObject) -> Any:
    """Return the same with other values in it."""
    if type(value) is dict:
        return {key: _like(item, data) for key, item in value.items()}
    if type(value) in {list, tuple}:
        return type(value)([_like(item, data) for item in value])
    return data.draw(_LEAVES)


def test_a_game_that_hands_its_state_over_is_walked_once(walks: list[Any]) -> None:
    env = RallyEnv()
    env.reset(seed=1)
    forms = set()
    for frame in range(200):
        env.step({"left": frame % 6, "right": frame % 5})
        form = canonical_data("state", env.get_state())
        forms.add(b"".join(form))
    assert len(walks) == 1
    assert len(forms) == 200
    assert form == walked(env.get_state())


@pytest.mark.parametrize(
    "other",
    [
        {"b": 1, "a": [1, {"x": 2}]},
        {"a": [1, {"x": 2}], "b": [1]},
        {"a": [1, {"x": 2}], "b": {"x": 1}},
        {"a": [1], "b": 1},
        {"a": [{"x": 2}, 1], "b": 1},
        {"a": (1, {"x": 2}), "b": 1},
        {"a": [1, {"y": 2}], "b": 1},
        {"a": [1, {"x": float("nan")}], "b": 1},
        {"a": [1, {"x": 2**80}], "b": "\ud800"},
        {"a": [1, {"x": np.int64(2)}], "b": 1},
        {"a": [1, {"x": range(2)}], "b": 1},
        {"a": [1, {"x": {1, 2}}], "b": np.zeros(3)},
        {_Key.A: [1, {"x": 2}], "b": 1},
    ],
    ids=str,
)
def test_data_of_another_outline_is_walked(other: Any, walks: list[Any]) -> None:
    canonical_data("state", {"a": [1, {"x": 2}], "b": 1})
    walks.clear()
    form = canonical_data("state", other)
    assert walks
    assert form == walked(other)


@pytest.mark.usefixtures("walks")
@pytest.mark.parametrize("word", [range(2), _Phase.PLAY, np.float32(1), np.dtype("u1"), Path("x")], ids=str)
def test_what_stands_for_itself_by_a_word_leaves_no_outline_for_plain_values(word: Any) -> None:
    canonical_data("state", {"a": word})
    for other in ("play", None, 1):
        value = {"a": other}
        assert canonical_data("state", value) == walked(value)


def test_a_number_that_is_the_address_of_what_it_stands_in_is_told_apart(walks: list[Any]) -> None:
    inside: dict[str, Any] = {"x": 2}
    state = {"a": inside, "b": 1}
    plain = canonical_data("state", state)
    state["b"] = id(inside)
    addressed = canonical_data("state", state)
    assert len(walks) == 3, "the first, and a quick one and a careful one"
    assert addressed == walked(state) != plain


def test_what_contains_itself_has_no_outline(walks: list[Any]) -> None:
    state: dict[str, Any] = {"a": 1}
    state["self"] = [state]
    assert canonical_data("state", state) == canonical_data("state", state)
    assert len(walks) == 2


def test_what_changes_its_outline_at_every_frame_is_walked_and_given_no_more_of_them(
    walks: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    places = outlines._places

    def counted(value: Any, rows: Any) -> Any:
        made.append(value)
        return places(value, rows)

    monkeypatch.setattr(outlines, "_places", counted)
    for number in range(100):
        canonical_data("state", {"a": [{}] * number})
    assert len(walks) == 100
    assert len(made) == 8


def test_outlines_are_not_remembered_for_ever(walks: list[Any]) -> None:
    for number in range(1000):
        canonical_data("state", {f"{number} {key}": key for key in range(80 if number % 2 else 3)})
    assert len(walks) == 1000
    assert len(outlines._outlines) <= 64
    assert all(len(key) < 80 for key in outlines._outlines)
