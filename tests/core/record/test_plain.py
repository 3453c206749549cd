from __future__ import annotations

import enum
import json
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.record.clock_offsets import clock_base_of
from gym_p2p.core.record.plain import plain


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("\ud800x", "\\ud800x"),
        ({"\udfff": "\x1b[2J"}, {"\\udfff": "\x1b[2J"}),
        ("Zoë 😀", "Zoë 😀"),
        (2**200, 2**200),
        pytest.param(-(10**5000), hex(-(10**5000)), id="a number of many digits"),
        (Level.LOW, 1),
        (Whole(3), 3),
        (Text("x"), "x"),
        ([float("nan"), float("inf"), float("-inf")], [None, None, None]),
    ],
)
def test_whatever_a_value_is_it_can_be_written_as_json(value: Any, written: Any) -> None:
    assert plain(value) == written
    assert msgspec.json.decode(msgspec.json.encode(plain(value))) == written


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(st.characters(codec=None))
        | st.binary(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(st.characters(codec=None)), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_any_data_becomes_json_that_is_read_as_the_same(value: Any) -> None:
    found = plain(value)
    assert json.loads(msgspec.json.encode(found)) == found
    assert plain(found) == found


@pytest.mark.parametrize(
    "theirs",
    [10**400, -(10**400), float("nan"), float("inf"), -1e300, True, "1", None, [1], sys.float_info.max],
)
def test_a_peers_clock_that_is_none_has_no_base(theirs: object) -> None:
    assert clock_base_of(theirs, 0.0) is None
