from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.game.checksum import checksum
from gym_p2p.game.state.fields import differences, fields_of
from gym_p2p.game.state.fields_json import fields_from_json, fields_to_json
from gym_p2p.game.state.graph import record


class _Agent:
    def __init__(self, x: float) -> None:
        self.p_pos = np.array([0.0, x])
        self.render_mode = "human"
        self.log_path = "/somewhere"
        self.friends: list[_Agent] = []


class _World:
    def __init__(self, x: float = 1.0) -> None:
        self.agents = [_Agent(0.0), _Agent(x)]
        self.agents[0].friends.append(self.agents[1])
        self.by_agent = {self.agents[0]: 1, self.agents[1]: 2}
        self.scores: dict[Any, Any] = {"a": 1, 2: "b"}
        self.big = 2**70
        self.values = (float("nan"), -0.0, float("inf"), np.float32(0.1), b"x", {1, 2})


def _deep(depth: int) -> Any:
    data: Any = 0
    for _ in range(depth):
        data = [data]
    return data


def _fields(world: Any) -> dict[str, Any]:
    return fields_of({"unwrapped": world}, record([world]))


def test_equal_states_of_different_objects_have_equal_fields() -> None:
    assert differences(_fields(_World()), _fields(_World())) == []
    assert checksum(_fields(_World())) == checksum(_fields(_World()))


def test_a_difference_names_the_field_and_both_values() -> None:
    assert differences(_fields(_World(1.0)), _fields(_World(2.5))) == [
        ("unwrapped.agents[1].p_pos[1]", "1.0", "2.5")
    ]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda w: w.agents.pop(), "unwrapped.agents['items']"),
        (lambda w: w.scores.update(a=2), "unwrapped.scores['a']"),
        (lambda w: w.scores.pop(2), "unwrapped.scores[2]"),
        (lambda w: setattr(w, "big", 1), "unwrapped.big"),
        (lambda w: setattr(w, "new", 1), "unwrapped.new"),
        (lambda w: setattr(w.agents[0], "p_pos", np.zeros(2, np.float32)), "unwrapped.agents[0].p_pos"),
        (lambda w: w.agents[0].friends.reverse() or w.agents[0].friends.append(w.agents[0]), None),
        (lambda w: w.by_agent.update({w.agents[0]: 7}), "unwrapped.by_agent.value(0)"),
    ],
)
def test_every_kind_of_difference_is_seen(change: Any, path: str | None) -> None:
    changed = _World()
    change(changed)
    found = differences(_fields(_World()), _fields(changed))
    assert found
    if path is not None:
        assert path in [where for where, _, _ in found]


@pytest.mark.parametrize(
    ("ours", "theirs", "paths"),
    [
        (np.array([0.0, 1.0]), np.array([-0.0, 1.0]), ["x[0]"]),
        (np.array([[1, 0]], np.float32), np.array([[1, -0.0]], np.float32), ["x[0, 1]"]),
        (np.array(0.0), np.array(-0.0), ["x"]),
        ({1: "a"}, {True: "a"}, ["x[1]", "x[True]"]),
        ({1: {0.0: 2}}, {1: {0: 2}}, ["x[1][0.0]", "x[1][0]"]),
        (1, True, ["x"]),
    ],
)
def test_values_that_only_compare_equal_are_told_apart_as_checksums_do(
    ours: Any, theirs: Any, paths: list[str]
) -> None:
    assert [path for path, _, _ in differences({"x": ours}, {"x": theirs})] == paths


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, -0.0, 1.0, float("nan")]),
    st.text(max_size=1),
)
_ARRAYS = st.lists(
    st.sampled_from([0.0, -0.0, 1.0, float("nan"), -float("nan")]), min_size=1, max_size=3
).map(np.array)
_VALUES = st.recursive(
    _SCALARS | _ARRAYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_SCALARS, inner, max_size=3),
    max_leaves=6,
)


@given(_VALUES, _VALUES)
def test_a_difference_is_named_exactly_where_checksums_differ(ours: Any, theirs: Any) -> None:
    assert bool(differences({"x": ours}, {"x": theirs})) == (checksum(ours) != checksum(theirs))


def test_sharing_is_part_of_a_state() -> None:
    apart = _World()
    apart.agents[0].friends = [_Agent(1.0)]
    assert differences(_fields(_World()), _fields(apart))


def test_what_belongs_to_one_machine_is_left_out() -> None:
    other = _World()
    other.agents[0].render_mode = "rgb_array"
    other.agents[0].log_path = "/elsewhere"
    assert differences(_fields(_World()), _fields(other)) == []


def test_differences_are_bounded_in_number_and_length() -> None:
    ours = {f"field {i}": "x" * 1000 for i in range(100)}
    theirs = {f"field {i}": "y" * 1000 for i in range(100)}
    found = differences(ours, theirs, most=3, longest=20)
    assert len(found) == 3
    assert {len(text) for _, *both in found for text in both} == {20}


def test_fields_survive_json_exactly() -> None:
    fields = _fields(_World())
    back = fields_from_json(json.loads(json.dumps(fields_to_json(fields), allow_nan=False)))
    assert checksum(back) == checksum(fields)
    assert back.keys() == fields.keys()


@pytest.mark.parametrize(
    "data",
    [{"a": {"array": ["<f8", [3], "AAAA"]}}, {"a": {"what": 1}}, {"a": _deep(150)}, {"a": {}}, {"a": 0.5}],
)
def test_what_are_no_fields_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        fields_from_json(data)


def test_numpys_own_text_travels_as_such() -> None:
    fields = {"unwrapped": {"class": "Env", "suit": np.str_("♠"), "name": "Env"}}
    again = fields_from_json(msgspec.json.decode(msgspec.json.encode(fields_to_json(fields))))
    assert differences(fields, again) == []
    assert type(again["unwrapped"]["name"]) is str


def test_the_same_in_another_order_is_told_as_that() -> None:
    ours, theirs = ({key: [key] for key in keys} for keys in ((1, 2, 3), (1, 3, 2)))
    found = differences(_fields_of(ours), _fields_of(theirs))
    assert found == [("the order of the fields", "it[2]", "it[3]")]


@pytest.mark.parametrize("most", [1, 20])
def test_the_order_is_not_told_where_something_else_is(most: int) -> None:
    ours, theirs = {1: [1], 2: [2]}, {2: [2], 1: [0]}
    assert differences(_fields_of(ours), _fields_of(theirs), most=most) == [("it[1][0]", "1", "0")]


def _fields_of(value: Any) -> dict[str, Any]:
    return fields_of({"it": value}, record([value]))
