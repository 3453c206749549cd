from __future__ import annotations

import contextlib
from collections import OrderedDict, namedtuple
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.errors import UnsupportedEnvironment
from gym_p2p.game.checksum import OutcomeChecksum, checksum
from gym_p2p.game.outcome import Outcome
from tests.hash_seeds import said_with

_Point = namedtuple("_Point", "x y")  # noqa: PYI024 what environments use

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


def _outcome(**changes: Any) -> Outcome:
    plain = Outcome(
        observations=(np.arange(3), np.arange(3)),
        rewards=(0.0, 1.0),
        terminations=(False, False),
        truncations=(False, False),
        infos=({}, {}),
        ended=False,
    )
    return msgspec.structs.replace(plain, **changes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2], (1, 2)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, OrderedDict(a=1)),
        ((1, 2), _Point(1, 2)),
        ({3, 1, 2}, frozenset([2, 3, 1])),
        (np.float32(1.5), np.array(1.5, np.float32)),
        (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
        (np.arange(4), np.arange(8)[:4]),
        (np.arange(4)[::-1], np.array([3, 2, 1, 0])),
        (np.arange(4, dtype="<i4"), np.arange(4, dtype=">i4")),
        (float("nan"), -float("nan")),
        (np.array([np.nan]), np.array([-np.nan])),
        (b"ab", bytearray(b"ab")),
    ],
)
def test_values_that_mean_the_same_are_equal(one: Any, other: Any) -> None:
    assert checksum(one) == checksum(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, True),
        (1, 1.0),
        (0, None),
        (1, np.int64(1)),
        (np.int32(1), np.int64(1)),
        (0.0, -0.0),
        (np.array([0.0]), np.array([-0.0])),
        ("1", 1),
        ("ab", b"ab"),
        (["ab"], ["a", "b"]),
        ([[1], [2]], [[1, 2]]),
        ([1, [2]], [[1], 2]),
        ({"a": 1}, {"b": 1}),
        ({1: "a"}, {"1": "a"}),
        ({}, []),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(1), np.zeros(())),
        (np.zeros(2, np.float32), np.zeros(2, np.int32)),
        (-1, 255),
        (128, -128),
    ],
)
def test_values_that_differ_are_told_apart(one: Any, other: Any) -> None:
    assert checksum(one) != checksum(other)


@given(value=_PLAIN)
def test_any_plain_data_has_a_stable_checksum(value: Any) -> None:
    assert checksum(value) == checksum(value)
    assert checksum([value]) != checksum(value)


def test_one_flipped_bit_anywhere_in_an_array_shows() -> None:
    array = np.zeros(40, np.uint8)
    seen = {checksum(array)}
    for index in range(40):
        changed = array.copy()
        changed[index] = 1
        seen.add(checksum({"board": [changed]}))
        seen.add(checksum(changed))
    assert len(seen) == 81


def test_padding_between_the_fields_of_a_structured_array_is_not_data() -> None:
    dtype = np.dtype([("a", "u1"), ("b", "<i4")], align=True)
    memory = bytearray(b"\xff" * 24)
    one, other = np.zeros(3, dtype), np.frombuffer(memory, dtype)
    other["a"], other["b"] = 0, 0
    assert any(memory), "the padding is still there"
    assert checksum(one) == checksum(other)
    other["b"][1] = 1
    assert checksum(one) != checksum(other)


def test_arrays_of_objects_are_walked() -> None:
    assert checksum(np.array([1, "a", None], dtype=object)) != checksum(
        np.array([1, "b", None], dtype=object)
    )


@pytest.mark.parametrize("thing", [object(), len, lambda: 0, np.random.default_rng(0)])
def test_an_object_without_a_canonical_form_is_refused_with_the_path_to_it(thing: Any) -> None:
    with pytest.raises(TypeError, match=r"value\['players'\]\[1\]\['brain'\]: "):
        checksum({"players": [{}, {"brain": thing}]})


def test_data_that_contains_itself_is_refused() -> None:
    knot: list[Any] = []
    knot.append(knot)
    with pytest.raises(TypeError, match="contain itself"):
        checksum(knot)


@pytest.mark.parametrize("kind", [list, tuple, frozenset, lambda items: {"key": items[0]}])
def test_data_that_is_deeper_than_python_can_walk_is_refused(kind: Any) -> None:
    for depth, refused in ((200, False), (201, True), (20_000, True)):
        nested: Any = 0
        for _ in range(depth):
            nested = kind([nested])
        with pytest.raises(TypeError, match="deeper than 200") if refused else contextlib.nullcontext():
            checksum(nested)


def test_the_size_can_be_chosen() -> None:
    assert len(checksum(1)) == 8
    assert len(checksum(1, size_bytes=16)) == 16


_PROGRAM = """
import numpy as np
from gym_p2p.game.checksum import OutcomeChecksum, checksum
from gym_p2p.game.outcome import Outcome
names = {"b": 1.5, "a": {"x", "y", "z", 3}, ("t", 1): None}
seen = (np.arange(4, dtype=np.float32), names)
outcome = Outcome(seen, (1.0, float("nan")), (False, True), (False, False), ({}, {}), False)
running = OutcomeChecksum(2)
running.update(0, [b"a", b""], outcome)
print(checksum(names).hex(), running.digest(outcome))
"""


def test_other_processes_with_other_hash_seeds_agree() -> None:
    # The literal guards the form itself: recorded matches carry these.
    assert said_with((0, 1, 4711), _PROGRAM) == {"487ca6cb5e92272f 1a5e81bf1ab0a46b\n"}


class TestOutcomeChecksum:
    def _after(self, *frames: tuple[int, list[bytes], Outcome]) -> str:
        running = OutcomeChecksum(2)
        for frame, inputs, outcome in frames:
            running.update(frame, inputs, outcome)
        return running.digest(_outcome())

    def test_equal_histories_agree(self) -> None:
        history = [(0, [b"\x01", b"\x02"], _outcome()), (1, [b"", b"\x02"], _outcome(rewards=(2.0, 0.0)))]
        assert self._after(*history) == self._after(*history)
        assert len(self._after(*history)) == 16

    @pytest.mark.parametrize(
        "other",
        [
            (1, [b"\x01", b"\x02"], _outcome()),
            (0, [b"\x01", b"\x03"], _outcome()),
            (0, [b"\x01\x02", b""], _outcome()),
            (0, [b"\x01", b"\x02"], _outcome(rewards=(0.0, 1.5))),
            (0, [b"\x01", b"\x02"], _outcome(rewards=(-0.0, 1.0))),
            (0, [b"\x01", b"\x02"], _outcome(terminations=(True, False))),
            (0, [b"\x01", b"\x02"], _outcome(truncations=(True, False))),
        ],
    )
    def test_frame_inputs_rewards_and_ends_all_count(self, other: tuple[int, list[bytes], Outcome]) -> None:
        assert self._after((0, [b"\x01", b"\x02"], _outcome())) != self._after(other)

    def test_a_difference_stays_visible_later(self) -> None:
        same = (1, [b"\x00", b"\x00"], _outcome())
        assert self._after((0, [b"\x01", b"\x02"], _outcome()), same) != self._after(
            (0, [b"\x01", b"\x03"], _outcome()), same
        )

    def test_observations_count_where_it_is_looked_at(self) -> None:
        running = OutcomeChecksum(2)
        changed = _outcome(observations=(np.arange(3), np.array([0, 1, 3])))
        assert running.digest(_outcome()) != running.digest(changed)

    def test_looking_changes_nothing(self) -> None:
        running = OutcomeChecksum(2)
        assert running.digest(_outcome()) == running.digest(_outcome())

    def test_every_nan_reward_is_the_same(self) -> None:
        one, other = _outcome(rewards=(float("nan"), 0.0)), _outcome(rewards=(-float("nan"), 0.0))
        assert self._after((0, [b"", b""], one)) == self._after((0, [b"", b""], other))


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (np.zeros(3).flat, r"value\[1\]: numpy.flatiter"),
        ({"board": [iter(())]}, r"value\[1\]\['board'\]\[0\]: builtins.tuple_iterator"),
        (memoryview(b"a"), r"value\[1\]: builtins.memoryview"),
    ],
)
def test_an_observation_of_an_unknown_type_is_refused_with_its_type_and_place(odd: Any, said: str) -> None:
    nothing = (False, False)
    outcome = Outcome((0, odd), (0.0, 0.0), nothing, nothing, ({}, {}), ended=False)
    with pytest.raises(UnsupportedEnvironment, match=said):
        OutcomeChecksum(2).digest(outcome)
