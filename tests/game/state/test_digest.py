"""Digests of states: as strict as the fields, and the same wherever they are made."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import itertools
import pathlib
import random
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.game.state import digest, layouts
from gym_p2p.game.state.compared import class_name
from gym_p2p.game.state.digest import canonical_data, canonical_state, state_digest
from gym_p2p.game.state.fields import fields_checksum, fields_of
from gym_p2p.game.state.graph import record
from tests.game.state import graphs
from tests.hash_seeds import said_with

ODD_NAN = struct.unpack("<d", b"\1\2\3\4\5\6\xf8\xff")[0]


def whole(value: Any, *, sharing: bool = True) -> str | None:
    try:
        return state_digest(canonical_state({"it": value}, record([value]), sharing=sharing))
    except TypeError:
        return None


def by_fields(value: Any, *, sharing: bool = True) -> str | None:
    return fields_checksum(fields_of({"it": value}, record([value]), sharing=sharing))


# The fields are the reference: what they tell apart is told apart, and nothing else.


@given(plan=graphs.plans, other=graphs.plans, sharing=st.booleans(), data=st.data())
def test_two_states_have_one_digest_where_their_fields_are_the_same_and_nowhere_else(
    plan: Any,
    other: Any,
    sharing: bool,  # noqa: FBT001 drawn
    data: st.DataObject,
) -> None:
    changed = [*plan]
    changed[data.draw(st.integers(0, len(plan) - 1))] = other[0]
    one = graphs.build(plan)
    digest, fields = whole(one, sharing=sharing), by_fields(one, sharing=sharing)
    assert (digest is None) == (fields is None)
    for again in (graphs.build(plan), graphs.build(plan, random.Random(1)), graphs.build(changed)):
        same = by_fields(again, sharing=sharing) == fields
        assert (whole(again, sharing=sharing) == digest) == same


@given(plan=graphs.plans)
def test_data_that_was_handed_over_is_what_its_record_is_where_nothing_is_shared(plan: Any) -> None:
    made = graphs.build(plan)
    try:
        form = state_digest(canonical_data("it", made))
    except TypeError:
        form = None
    assert form == whole(made, sharing=False)


@given(plan=graphs.plans, sharing=st.booleans())
def test_a_careful_walk_writes_what_a_quick_one_writes(plan: Any, sharing: bool) -> None:  # noqa: FBT001 drawn
    made = graphs.build(plan)
    quick = whole(made, sharing=sharing)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(digest, "may_have_nan", lambda _written: True)
        assert whole(made, sharing=sharing) == quick


def _message_pack(value: Any) -> bytes:  # noqa: PLR0911 one for each kind
    """Write the shortest MessagePack, as its specification has it."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        if 0 <= value < 128 or -32 <= value < 0:
            return struct.pack(">b" if value < 0 else ">B", value)
        tags = ((0xCC, "B"), (0xCD, "H"), (0xCE, "I"), (0xCF, "Q"))
        if value < 0:
            tags = ((0xD0, "b"), (0xD1, "h"), (0xD2, "i"), (0xD3, "q"))
        for tag, code in tags:
            try:
                return bytes([tag]) + struct.pack(f">{code}", value)
            except struct.error:
                continue
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, list | tuple):
        return _sized(len(value), 0x90, 16, (None, 0xDC, 0xDD)) + b"".join(map(_message_pack, value))
    if isinstance(value, str):
        body = value.encode()
        return _sized(len(body), 0xA0, 32, (0xD9, 0xDA, 0xDB)) + body
    return _sized(len(value), 0, 0, (0xC4, 0xC5, 0xC6)) + bytes(value)


def _sized(size: int, short: int, below: int, tags: tuple[int | None, int, int]) -> bytes:
    if size < below:
        return bytes([short | size])
    for tag, code, limit in zip(tags, "BHI", (1 << 8, 1 << 16, 1 << 32), strict=True):
        if tag is not None and size < limit:
            return bytes([tag]) + struct.pack(f">{code}", size)
    raise AssertionError(size)


_WRITTEN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(value=_WRITTEN | st.sampled_from([b"a" * 300, "a" * 300, "a" * 70_000, [1] * 20, [None] * 70_000]))
def test_rows_are_written_as_the_specification_of_messagepack_has_it(value: Any) -> None:
    assert msgspec.msgpack.encode(value) == _message_pack(value)


# Each of these is as it is on every machine, in every version of Python and NumPy.


class Place(enum.Enum):
    HERE = 1


class Coin(enum.IntEnum):
    GOLD = 3


class Sides(enum.IntFlag):
    LEFT = 1


class Coins(int):
    def __repr__(self) -> str:
        return "some coins"


class Ratio(float):
    pass


class Name(str):
    __slots__ = ()


class Thing:
    def __init__(self, **own: Any) -> None:
        self.__dict__.update(own)

    def act(self) -> None:
        """Be bound."""


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.b = [1]


class Named(collections.OrderedDict[str, Any]):
    pass


def _shared() -> Any:
    inner = [1]
    return [inner, inner]


def _itself() -> Any:
    knot: list[Any] = []
    knot.append({"knot": knot})
    return knot


def _address() -> Any:
    thing = Thing(x=1)
    return {"things": [thing], "newest": id(thing), "by id": {id(thing): 1}, "all": {id(thing)}}


GOLDEN: dict[str, tuple[Callable[[], Any], str]] = {
    "plain": (
        lambda: [None, True, False, 0, -1, 2**63, -(2**63), 1.5, -0.0, "ä", b"\x00\xff"],
        "f1992dfa014ac779",
    ),
    "large numbers": (lambda: [2**64, -(2**63) - 1, 2**200], "c2fd3831978fceee"),
    "surrogates": (lambda: {"text": "a\ud800", "\udfff": 1}, "43b27bb5c7cb2c31"),
    "nan": (lambda: [float("nan"), float("inf"), -float("inf")], "baa66afc9882de55"),
    "numpy scalars": (lambda: [np.float32(0.1), np.int8(1), np.bool_(1), np.str_("a")], "f9d4932eeacdf8d1"),
    "arrays": (
        lambda: [np.arange(6, dtype=">i4").reshape(2, 3), np.array([np.nan, -0.0], np.float16)],
        "7759b8c2fab05b26",
    ),
    "records": (lambda: [np.array([(1, 2.5)], dtype=[("a", "<i2"), ("b", "<f8")])], "bc037db5aa21efc7"),
    "objects": (lambda: [np.array([None, "s", [3]], dtype=object), bytearray(b"abc")], "3a87140a00471320"),
    "dict": (lambda: {"b": 1, "a": 2.0, "ä": None}, "c13a0425c8ef8560"),
    "dict of lists": (lambda: {"b": [1], "a": [2]}, "8444a9bed0f12388"),
    "dict of many keys": (lambda: {2: "x", "a": 1, (1, 2): 3, None: b"", 1.5: [1]}, "16c0862a7e9e502b"),
    "dict by numbers": (lambda: {10: 1, 9: 2, True: 3, 2**70: 4, float("nan"): 5}, "bdf5658ecc2d3da8"),
    "subclass of a dict": (lambda: Named(a=[1]), "95ab43a453de3355"),
    "sets": (
        lambda: [{3, 1, 2}, {"b", "a"}, {1, "a", None}, {(1, 2)}, {Place.HERE, 1}, set()],
        "e562a3dabc9c3179",
    ),
    "deque": (lambda: collections.deque([1, [2]], maxlen=3), "d4b2a8e7dc029047"),
    "shared": (_shared, "ba7a713c7f6ba46d"),
    "not shared": (lambda: [[1], [1]], "07fb2f7df62ba40e"),
    "itself": (_itself, "ffe279f97c64e340"),
    "address": (_address, "9bc555cdae44fa4b"),
    "object": (
        lambda: Thing(b=1, a=[2], render_mode="human", data_dir="/usr", world_dir="north"),
        "fb8f6e110ef1a0a1",
    ),
    "slots": (Slotted, "6a67016caf9f664d"),
    "method": (lambda: Thing(x=1).act, "dac03ae45c299751"),
    "made of plain ones": (lambda: [Coins(3), Ratio(-0.0), Name("ä\ud800"), Coin.GOLD], "8019783ca07ca3fb"),
    "words": (lambda: [Place.HERE, int, dt.date(2000, 1, 2), range(3), 1 + 2j], "32a1df4087dbbf83"),
    "generator": (lambda: np.random.default_rng(3), "4af778eeb05834d8"),
    "older generator": (lambda: np.random.RandomState(3), "b1a9cc03dd03dc4a"),
    "generator of Python": (lambda: random.Random(3), "3b5f0b32fa88677c"),
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_the_digest_of_every_kind_is_this_one(kind: str) -> None:
    make, wanted = GOLDEN[kind]
    assert whole(make()) == wanted


_PROGRAM = """
from tests.game.state.test_digest import GOLDEN, whole
print([whole(make()) for make, _ in GOLDEN.values()])
"""


@pytest.mark.parametrize("seed", [0, 4711])
def test_other_processes_with_other_hash_seeds_come_to_the_same(seed: int) -> None:
    assert said_with([seed], _PROGRAM) == {f"{[wanted for _, wanted in GOLDEN.values()]}\n"}


def test_every_nan_is_the_same_one() -> None:
    one = {"a": float("nan"), "b": np.array([np.nan]), "c": {float("nan")}, "d": np.float32("nan")}
    other = {"a": ODD_NAN, "b": np.array([ODD_NAN]), "c": {ODD_NAN}, "d": -np.float32("nan")}
    assert whole(one) == whole(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        (1, True),
        (1, 1.0),
        (1, np.int64(1)),
        (np.int32(1), np.int64(1)),
        ("a", b"a"),
        ("a", np.str_("a")),
        (2**64, 2**64 + 1),
        (2**64, float(2**64)),
        ("\ud800", "\ud801"),
        ([], {}),
        ({1}, [1]),
        ({1: 1}, {"1": 1}),
        ({1: [1]}, {True: [1]}),
        (np.zeros(2), np.zeros(2, np.float32)),
        (np.zeros((2, 1)), np.zeros((1, 2))),
        (np.zeros(1), np.array([-0.0])),
        (Thing(a=1), Thing(b=1)),
        (Thing(a=[1]), Thing(a=1)),
        (Thing(), Slotted()),
        ({"a": Thing()}, Named(a=Thing())),
        (_shared(), [[1], [1]]),
        (_itself(), [{"knot": [{"knot": None}]}]),
        (np.random.default_rng(1), np.random.default_rng(2)),
        (random.Random(1), random.Random(2)),
        (Place.HERE, Place),
        (Sides(4), Sides(8)),  # bits without names
        (Coins(3), Coins(4)),
        (Coins(3), 3),
        (Ratio(0.0), Ratio(-0.0)),
        (Name("a"), Name("b")),
    ],
)
def test_what_differs_is_told_apart(one: Any, other: Any) -> None:
    one, other = [one], [other]
    assert whole(one) != whole(other)


def test_a_path_is_called_the_same_in_every_version_of_python() -> None:
    moved = type("PosixPath", (), {"__module__": "pathlib._local"})
    there = type("PosixPath", (), {"__module__": "pathlib"})
    assert class_name(moved) == class_name(there) == "pathlib.PosixPath"
    assert class_name(type(pathlib.Path())).startswith("pathlib.")


def test_a_longdouble_has_no_digest() -> None:
    assert whole([np.longdouble(1)]) is None
    assert whole([np.zeros(2, np.longdouble)]) is None


def test_long_chains_of_objects_are_no_deep_recursion() -> None:
    chain: Any = None
    for _ in range(20_000):
        chain = Thing(next=chain)
    assert whole(chain) is not None


def test_deep_data_in_a_set_is_no_deep_recursion_either() -> None:
    members: list[Any] = [1, 2]
    for _ in range(20_000):
        members = [frozenset([member]) for member in members]
    one, other = ({member} for member in members)
    assert whole(one) == whole(other) is not None, "as objects, of which the classes count"
    assert by_fields(one) == by_fields(other) is not None


@pytest.mark.parametrize(
    ("special", "times"), [(1.5, 1), (float("nan"), 2), (2**64, 2), ("\ud800", 2), (np.float32("nan"), 1)]
)
def test_only_what_needs_it_is_walked_twice(special: Any, times: int, walks: list[Any]) -> None:
    canonical_data("it", {"x": special, "y": [1, 2.0], "z": {"w": "a"}})
    assert len(walks) == times


def test_an_attribute_counts_by_its_value_whatever_it_was_at_first() -> None:
    here, there, north, south = (Thing(cellar_dir=text) for text in ("/here", "/there", "north", "south"))
    assert whole(here) == whole(there)
    assert len({whole(thing) for thing in (here, north, south)}) == 3


def test_dicts_whose_keys_change_are_not_remembered_for_ever() -> None:
    for number in range(3000):
        many = {f"{number} {key}": key for key in range(70 if number % 2 else 3)}
        canonical_data("it", many)
    kept = [layout for layout in layouts._layouts.values() if "2 0" in layout.names]
    assert not kept
    assert len(layouts._layouts) <= 1024
    assert all(len(layout.names) < 70 for layout in layouts._layouts.values())


def test_types_that_change_are_not_remembered_for_ever() -> None:
    kinds = (1, 1.0, "a", None, True, b"")
    for values in itertools.product(kinds, repeat=3):
        canonical_data("it", dict(zip("xyz", values, strict=True)))
    (layout,) = (one for one in layouts._layouts.values() if one.names == ("x", "y", "z"))
    assert 0 < len(layout.shapes) <= 32
