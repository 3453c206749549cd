"""Which key does what: the caller's table, the environment's own, a default; else an error that helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

import gym_p2p.envs  # noqa: F401 - registers the bundled game
from gym_p2p.errors import ConfigurationError
from gym_p2p.game.spaces.composites import encoding_of
from gym_p2p.game.spaces.masks import legal_or_nearest
from gym_p2p.human.keys.codes import KNOWN_CODES, code_of, label_of
from gym_p2p.human.keys.controls import effects
from gym_p2p.human.keys.files import read_keys
from gym_p2p.human.keys.legality import illegal_bindings, legal_by
from tests.human.tables import controls


def test_a_callers_table_takes_codes_letters_tuples_and_combinations() -> None:
    keys = {"ArrowLeft": 1, "d": 2, ("ArrowLeft", "Space"): 3, "d+ ": 4, "": 5}
    made = controls(spaces.Discrete(6), keys=keys)
    assert made.act(()) == 5
    assert made.act(("ArrowLeft",)) == 1
    assert made.act(("KeyD",)) == 2
    assert made.act(("Space", "ArrowLeft")) == 3
    assert made.act(("KeyD", "Space")) == 4


def test_of_two_keys_that_exclude_each_other_the_newer_one_counts() -> None:
    made = controls(spaces.Discrete(3), keys={"ArrowLeft": 1, "ArrowRight": 2})
    assert made.act(("ArrowLeft", "ArrowRight")) == 2
    assert made.act(("ArrowRight", "ArrowLeft")) == 1


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"ArrowLeft": 7},
            "'ArrowLeft' is for no action of Discrete.*: wanted a whole number from 0 to 2, got int 7",
        ),
        ({"ArrowLeft": 10**400}, "no action of Discrete"),
        ({"left": {"ArrowUp": 1}}, "wanted a whole number from 0 to 2, got dict"),
        ({"NoSuchKey": 1}, "no key .*KeyA to KeyZ, .*ArrowLeft, .*Space"),
        ({"LeftArrow": 1}, "did you mean 'ArrowLeft'"),
        ({"arrowup": 1}, "did you mean 'ArrowUp'"),
        ({"a": 1, "KeyA": 2}, "'a' and 'KeyA' are the same keys, for two actions: 1 and 2"),
        ({"a+d": 1, ("d", "a"): 2}, "for two actions"),
        ({"a": {"action": 1, "lbl": "left"}}, "wanted action and label, got 'lbl'"),
        ({"a": {"action": 1, "label": 7}}, "wanted a text, got 7"),
        ({"a": {"action": 1, "label": "\ud800"}}, "is no character"),
        ({"ArrowLeft+": 1}, "no key"),
        ({None: 1}, "no key"),
        (7, "wanted"),
        ([{"ArrowLeft": 1}], "wants a table"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_words(keys: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        controls(spaces.Discrete(3), keys=keys)


@pytest.mark.parametrize(
    ("space", "keys", "words"),
    [
        (spaces.MultiDiscrete([3, 2]), [{"a": 1}, {"b": 7}], "table 2 of the list: 'b' is for no action of"),
        (spaces.MultiDiscrete([3, 2]), [{"a": 1}, 5], "table 2 of the list: wanted .* got 5"),
        (spaces.MultiDiscrete([3, 2]), {"a": [1, 10**400]}, "'a' is for no action of"),
        (spaces.MultiDiscrete([3, 2]), {"a": [1.5, 1]}, "'a' is for no action of .*: wanted whole numbers"),
        (spaces.Box(-1, 1, (2,)), [{"up": "w"}, {"up": "u", "down": "nokey"}], "table 2 of the list: no key"),
        (spaces.Box(-1, 1, (2,)), {"a": [0, float("nan")]}, "'a' is for no action of"),
        (spaces.Box(-1, 1, (2,)), {"a": [0, 10**400]}, "'a' is for no action of"),
        (spaces.Box(-np.inf, np.inf, (1,)), [{"up": "w", "high": 10**400}], "table 1 of the list: an axis"),
        (spaces.Box(-np.inf, np.inf, (1,)), [{"up": "w", "high": np.inf}], "an axis .* not to float inf"),
    ],
)
def test_what_is_wrong_is_told_with_where_it_stands(space: spaces.Space[Any], keys: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        controls(space, keys=keys, nothing=encoding_of(space).default())


@pytest.mark.parametrize(
    "space", [spaces.Box(-1, 1, (2,)), spaces.Dict(aim=spaces.Box(-1, 1, (2,)))], ids=["alone", "a part"]
)
def test_of_a_number_beyond_its_bound_nothing_is_said_of_policies(space: spaces.Space[Any]) -> None:
    said = [0, 9] if isinstance(space, spaces.Box) else {"aim": [0, 9]}
    with pytest.raises(ConfigurationError, match=r"from -1\.0 to 1\.0, got 9(\.0)? at \[1\]$"):
        controls(space, keys={"a": said}, nothing=encoding_of(space).default())


def test_without_any_table_the_error_has_one_to_fill_in() -> None:
    with pytest.raises(ConfigurationError) as caught:
        controls(spaces.Discrete(4, start=2))
    table = caught.value.problem.split("keys=")[1].split("}")[0] + "}"
    assert sorted(json.loads(table).values()) == [2, 3, 4, 5]


def test_of_a_choice_below_zero_nothing_is_zero_as_in_a_match() -> None:
    with pytest.raises(ConfigurationError, match=r'\{"": 0, "ArrowLeft": -1, "ArrowRight": 1\}'):
        controls(spaces.Discrete(3, start=-1))


@pytest.mark.parametrize(
    "space",
    [
        spaces.MultiDiscrete([30, 2], start=[-1, 5]),
        spaces.MultiBinary(22),
        spaces.MultiBinary((2, 2)),
        spaces.Dict(move=spaces.Discrete(3), aim=spaces.Box(-1, 1, (2,))),
        spaces.Tuple((spaces.Discrete(2), spaces.Discrete(2))),
    ],
)
def test_the_table_to_fill_in_is_one_of_the_space(space: spaces.Space[Any]) -> None:
    nothing = encoding_of(space).default()
    with pytest.raises(ConfigurationError) as caught:
        controls(space, nothing=nothing)
    table = json.loads(caught.value.problem.split("keys=")[1].split(", with the keys")[0])
    made = controls(space, nothing=nothing, keys=table)
    assert len(made.bindings) >= 1
    assert space.contains(made.act(()))
    assert space.contains(made.act(("ArrowLeft",)))


def test_an_action_of_several_parts_is_a_callers_to_name() -> None:
    space = spaces.Dict(action=spaces.Discrete(3), aim=spaces.Box(-1, 1, (2,)))
    nothing = encoding_of(space).default()
    keys = {
        "a": {"action": 1, "aim": [0, 0.5]},
        "d": {"action": {"action": 2, "aim": [0, 0]}, "label": "stop"},
    }
    made = controls(space, nothing=nothing, keys=keys)
    assert made.act(())["action"] == 0
    assert made.act(("KeyA",))["aim"].tolist() == [0, 0.5]
    assert [binding.label for binding in made.bindings] == ["", "stop"]
    assert effects(made.bindings) == [0, 1]


def test_whether_a_choice_is_said_as_a_number_or_a_truth_it_is_a_whole_number() -> None:
    made = controls(spaces.Discrete(3), keys={"a": True, "d": np.int8(2)})
    assert [type(made.act((code,))) for code in ("KeyA", "KeyD")] == [int, int]


def test_an_axis_moves_by_and_by_and_comes_back_to_rest() -> None:
    made = controls(spaces.Box(-1, 1, (2,)), nothing=np.zeros(2, np.float32))
    levels = [float(made.act(("ArrowRight",))[0]) for _ in range(8)]
    assert levels == sorted(levels)
    assert 0 < levels[0] < levels[1]
    assert levels[-1] == 1
    rest = [float(made.act(())[0]) for _ in range(8)]
    assert rest[0] < 1
    assert rest[-1] == 0


@pytest.mark.parametrize("space", [spaces.Box(-1, 1, (4,)), spaces.Box(0, 1, (3,)), spaces.Box(-1, 1, (1,))])
def test_of_several_numbers_it_is_told_which_keys_are_for_which(space: spaces.Box) -> None:
    made = controls(space, nothing=encoding_of(space).default())
    labels = {binding.label for binding in made.bindings}
    assert len(labels) == len(made.bindings)


def test_a_pedal_that_only_goes_one_way_has_one_key() -> None:
    space = spaces.Box(np.array([-1, 0, 0], np.float32), np.array([1, 1, 1], np.float32))
    made = controls(space, nothing=np.zeros(3, np.float32))
    for _ in range(10):
        action = made.act(("ArrowLeft", "ArrowUp"))
    assert action.tolist() == [-1, 1, 0]


def test_a_list_gives_every_axis_its_keys() -> None:
    keys = [{"down": "a", "up": ["d", "ArrowRight"], "label": "steer"}, {"up": "w"}]
    made = controls(spaces.Box(-1, 1, (3,)), keys=keys, nothing=np.zeros(3, np.float32))
    for _ in range(10):
        action = made.act(("ArrowRight", "KeyW"))
    assert action.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ({"left": "ArrowLeft"}, "'left'"),
        ({"up": "w", "low": "x"}, "not to str 'x'"),
        ({"up": "w", "low": None}, "not to NoneType None"),
        ({"up": "w", "low": -100}, "not to int -100"),
        ({"up": "w", "high": float("nan")}, "not to float nan"),
    ],
)
def test_an_axis_that_cannot_be_is_refused_with_words(pair: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        controls(spaces.Box(-1, 1, (1,)), keys=[pair], nothing=np.zeros(1, np.float32))


@pytest.mark.parametrize("keys", [[], [{}], [{"label": "steer"}]])
def test_a_table_by_which_no_key_does_anything_is_refused(keys: Any) -> None:
    with pytest.raises(ConfigurationError, match="no key does anything"):
        controls(spaces.Box(-1, 1, (1,)), keys=keys, nothing=np.zeros(1, np.float32))
    with pytest.raises(ConfigurationError, match="no key does anything"):
        controls(spaces.Discrete(2), keys={"": 1})


def test_bits_and_several_choices_have_keys_of_their_own() -> None:
    bits = controls(spaces.MultiBinary(3), nothing=np.zeros(3, np.int8))
    assert bits.act(("ArrowUp", "ArrowLeft")).tolist() == [1, 0, 1]
    several = controls(spaces.MultiDiscrete([3, 2]), nothing=np.zeros(2, np.int64))
    assert several.act(("ArrowDown", "KeyW")).tolist() == [2, 1]
    given_keys = controls(
        spaces.MultiDiscrete([3, 2]), keys=[{"x": 2}, {"y": 1}], nothing=np.zeros(2, np.int64)
    )
    assert given_keys.act(("KeyX", "KeyY")).tolist() == [2, 1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("keys.json", '{"ArrowLeft": 1}'),
        ("keys.json", '{"keys": {"ArrowLeft": {"action": 1, "label": "left"}}}'),
        ("keys.toml", "ArrowLeft = 1\n"),
        ("keys.toml", "[keys]\nArrowLeft = 1\n"),
    ],
)
def test_a_file_holds_a_table(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert controls(spaces.Discrete(2), keys=read_keys(path)).act(("ArrowLeft",)) == 1


@pytest.mark.parametrize("text", ["", "no table", "[" * 100_000, "7", "\xff"])
def test_a_file_that_holds_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match="keys"):
        read_keys(path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("keys.json", '{"a": 1, "d": 1, "a": 0}', "'a' stands twice"),
        ("keys.json", '{"a": {"action": 1, "action": 0}}', "'action' stands twice"),
        ("keys.toml", "a = 1\na = 0\n", "line 2"),
        ("keys.json", '{"a": 1, }', "is no JSON: .*line 1"),
        ("keys.json", "a = 1", r"is no JSON: .*line 1.*\(TOML wants a name that ends in .toml\)"),
        ("keys.json", '{"a": 1, "d": 7}', "'d' is for no action of"),
        ("keys.json", '{"keys": {"a": 1}, "d": 0}', "beside 'keys' stands 'd', which would do nothing"),
        ("keys.json", '{"w": 0, "keys": [{"a": 1}], "d": 0}', "beside 'keys' stands 'd', 'w'"),
        ("keys.toml", "d = 0\n[keys]\na = 1\n", "beside 'keys' stands 'd'.* put it in there"),
        ("keys.toml", "[[keys]]\na = 1\n", "wants a table, got a list of 1"),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_what_is_wrong_where(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=rf"keys: .*{name}.*{words}"):
        controls(spaces.Discrete(2), keys=path)


def test_a_file_as_windows_writes_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes('\ufeff{"a": 1}\r\n'.encode())
    assert controls(spaces.Discrete(2), keys=str(path)).act(("KeyA",)) == 1


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_keys(tmp_path / "none.json")


def test_a_key_of_what_is_illegal_does_nothing_and_another_one_that_is_held_counts() -> None:
    space = spaces.Discrete(4)
    made = controls(space, keys={"ArrowUp": 1, "ArrowUp+Space": 2, "x": 3})
    legal = legal_by(made, space, np.array([1, 1, 0, 1]))
    assert made.act(("ArrowUp", "Space"), legal) == 1
    assert made.act(("ArrowUp", "KeyX"), legal) == 3
    assert made.plays(("ArrowUp",), legal)
    assert not made.plays(("Space",), legal)
    assert not made.plays((), legal)
    none = legal_by(made, space, np.array([1, 0, 0, 0]))
    assert made.act(("ArrowUp", "KeyX"), none) == 0
    assert not made.plays(("ArrowUp", "Space", "KeyX"), none)
    assert illegal_bindings(made, space, np.array([1, 0, 0, 0])) == [0, 1, 2]
    assert illegal_bindings(made, space, None) == []


def test_a_mask_of_several_choices_is_minded_in_each() -> None:
    space = spaces.MultiDiscrete([3, 2], start=[0, 5])
    by_part = controls(space, keys=[{"x": 1, "y": 2}, {"z": 6}], nothing=np.array([0, 5]))
    mask = (np.array([1, 0, 1]), np.array([1, 0]))
    legal = legal_by(by_part, space, mask)
    assert by_part.act(("KeyX", "KeyZ"), legal).tolist() == [0, 5]
    assert by_part.act(("KeyX", "KeyY"), legal).tolist() == [2, 5]
    assert illegal_bindings(by_part, space, mask) == [0, 2]
    whole = controls(space, keys={"x": [1, 5], "y": [2, 5]}, nothing=np.array([0, 5]))
    assert illegal_bindings(whole, space, mask) == [0]


@given(st.lists(st.booleans(), min_size=5, max_size=5), st.lists(st.sampled_from("abcd"), unique=True))
def test_whatever_is_held_what_is_legal_is_done_where_anything_is(mask: list[bool], held: list[str]) -> None:
    space = spaces.Discrete(5)
    made = controls(space, keys={key: number for number, key in enumerate("abcd", 1)})
    fits = np.array(mask, np.int8)
    legal = legal_by(made, space, fits)
    codes = [f"Key{key.upper()}" for key in held]
    action = legal_or_nearest(space, fits, made.act(codes, legal), 0)
    assert not any(mask) or mask[action]
    if made.plays(codes, legal):
        assert action == max(
            (number for number in range(1, 5) if mask[number] and "abcd"[number - 1] in held),
            key=lambda number: held.index("abcd"[number - 1]),
        )


def test_keys_that_do_the_same_are_known_as_such() -> None:
    made = controls(spaces.Box(-1, 1, (4,)), nothing=np.zeros(4, np.float32))
    assert effects(made.bindings) == list(range(8))
    twice = controls(spaces.Discrete(3), keys={"w": 1, "ArrowUp": 1, "s": 2, "": 0})
    assert effects(twice.bindings) == [0, 0, 2]


_spaces = st.one_of(
    st.integers(1, 6).map(spaces.MultiBinary),
    st.lists(st.integers(1, 5), min_size=1, max_size=4).map(spaces.MultiDiscrete),
    numpy_st.array_shapes(max_dims=2, max_side=4).map(lambda shape: spaces.Box(-2.0, 3.0, shape)),
)


@given(_spaces, st.lists(st.lists(st.sampled_from(sorted(KNOWN_CODES)), unique=True), max_size=5))
def test_whatever_is_held_is_an_action_of_the_space(
    space: spaces.Space[Any], frames: list[list[str]]
) -> None:
    made = controls(space, nothing=np.zeros(space.shape, space.dtype))
    for held in frames:
        assert space.contains(made.act(held))


@given(st.sampled_from(sorted(KNOWN_CODES)))
def test_every_key_has_a_label_and_is_its_own_code(code: str) -> None:
    assert label_of(code)
    assert code_of(code) == code
