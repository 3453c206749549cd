"""Random graphs of objects, each built from a plan: the same plan makes another copy of the same graph."""

from __future__ import annotations

import array
import collections
import datetime as dt
import enum
import functools
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from hypothesis import strategies as st

__all__ = ["Ref", "build", "leaves", "plans"]


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Thing:
    def add(self) -> None:
        """Be bound."""


class Slotted:
    __slots__ = ("a", "b")


class Both(list[Any]):
    pass


class Ref(int):
    """The number of a node of the plan, modulo how many there are."""


Pair = collections.namedtuple("Pair", "x y")  # noqa: PYI024 what environments use

_ODD_NAN = struct.unpack("<d", b"\1\2\3\4\5\6\xf8\xff")[0]

_FEW: list[Any] = [
    *(None, True, False, 0, 1, -1, 0.0, -0.0, 1.0, "", "a", "ä", b"a", float("nan"), _ODD_NAN, float("inf")),
    *(2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 2**200, "\ud800", "/usr/lib", "x\x00", b"", 1 << 40),
    *(np.float32(1), np.float64(1), np.int64(1), np.bool_(1), np.float32("nan"), np.str_("a")),
    *(Color.RED, Color.BLUE, int, Thing, dt.date(2000, 1, 2), range(3), 1j, len, np.longdouble(1)),
]

leaves = st.sampled_from(_FEW) | st.integers() | st.floats() | st.text(max_size=3)
_plain = st.sampled_from(_FEW[:27]) | st.integers(-3, 3)
_refs = st.integers(0, 30).map(Ref)
_values = leaves | _refs | _refs
_names = st.sampled_from([*"abcd", "viewer", "screen", "spec", "rom_dir", "_kwargs"])
_arrays = st.sampled_from(
    [
        *(np.zeros(2), np.zeros(2, ">f8"), np.array([0.0, -0.0]), np.array([np.nan, _ODD_NAN])),
        *(np.zeros((2, 1)), np.zeros(2, np.float32), np.array([(1, 2.0)], "u1,f8"), np.arange(3)),
        *(np.array([1, "a"], object), np.array([1 + 1j])),
        *(np.zeros(0), np.array(1.5), np.array(["a"]), np.array([1], "M8[s]"), np.array([1], np.longdouble)),
    ]
)

_nodes = st.one_of(
    st.tuples(st.just("list"), st.lists(_values, max_size=4)),
    st.tuples(st.just("tuple"), st.lists(_values, max_size=3)),
    st.tuples(st.just("pair"), st.lists(_values, min_size=2, max_size=2)),
    st.tuples(st.just("deque"), st.lists(_values, max_size=3)),
    st.tuples(st.just("dict"), st.lists(st.tuples(st.text("abc", max_size=2), _values), max_size=4)),
    st.tuples(st.just("dict"), st.lists(st.tuples(_plain, _values), max_size=4)),
    st.tuples(st.just("dict"), st.lists(st.tuples(_plain, _plain), max_size=4)),
    st.tuples(st.just("ordered"), st.lists(st.tuples(st.text("abc", max_size=2), _values), max_size=3)),
    st.tuples(st.just("set"), st.lists(_plain, max_size=4)),
    st.tuples(st.just("set"), st.lists(st.text("abc\ud800", max_size=2), max_size=4)),
    st.tuples(st.just("frozenset"), st.lists(st.tuples(_plain, _plain) | st.just(Color.RED), max_size=3)),
    st.tuples(st.just("thing"), st.lists(st.tuples(_names, _values), max_size=6)),
    st.tuples(st.just("slotted"), st.lists(st.tuples(st.sampled_from("ab"), _values), max_size=3)),
    st.tuples(st.just("both"), st.lists(st.tuples(_names, _values), max_size=3)),
    st.tuples(st.just("array"), st.lists(_arrays, min_size=1, max_size=1)),
    st.tuples(st.just("fixed"), st.lists(_arrays, min_size=1, max_size=1)),
    st.tuples(st.just("bytes"), st.lists(st.integers(0, 255), max_size=3)),
    st.tuples(st.just("numbers"), st.lists(st.integers(0, 255), max_size=3)),
    st.tuples(st.just("generator"), st.lists(st.integers(0, 3), min_size=1, max_size=1)),
    st.tuples(st.just("random"), st.lists(st.integers(0, 3), min_size=1, max_size=1)),
    st.tuples(st.just("space"), st.lists(st.integers(1, 3), min_size=1, max_size=1)),
    st.tuples(st.just("method"), st.lists(_refs, min_size=1, max_size=1)),
    st.tuples(st.just("partial"), st.lists(_values, max_size=2)),
    st.tuples(st.just("closure"), st.lists(_values, min_size=1, max_size=1)),
    st.tuples(st.just("address"), st.lists(_refs, min_size=1, max_size=1)),
)

plans = st.lists(_nodes, min_size=1, max_size=8)


def _cell(value: Any) -> Callable[[], Any]:
    return lambda: value


_EMPTY: dict[str, Callable[[], Any]] = {
    "list": list,
    "deque": collections.deque,
    "dict": dict,
    "ordered": collections.OrderedDict,
    "set": set,
    "thing": Thing,
    "slotted": Slotted,
    "both": Both,
    "bytes": bytearray,
}


def build(plan: Sequence[tuple[str, Sequence[Any]]], chance: random.Random | None = None) -> list[Any]:
    """Return what a plan describes, as the list of its nodes.

    Args:
        plan: kind and content of every node; a :class:`Ref` is another node. What cannot be empty at first
            refers to such nodes before it only, and has ``None`` for those behind.
        chance: mixes the order in which attributes, text keys and members are put in.
    """
    made: list[Any] = [_EMPTY[kind]() if kind in _EMPTY else None for kind, _ in plan]
    for number, (kind, content) in enumerate(plan):
        if kind not in _EMPTY:
            made[number] = _whole(kind, [_resolved(made, item) for item in content])
    for number, (kind, content) in enumerate(plan):
        if kind in _EMPTY:
            _fill(kind, made[number], content, made, chance)
    return made


def _resolved(made: Sequence[Any], value: Any) -> Any:
    return made[value % len(made)] if type(value) is Ref else value


def _whole(kind: str, content: list[Any]) -> Any:  # noqa: PLR0911 one for each kind
    match kind:
        case "tuple" | "pair":
            return tuple(content) if kind == "tuple" else Pair(*content)
        case "frozenset":
            return frozenset(content)
        case "array" | "fixed":
            found = content[0].copy()
            found.flags.writeable = kind == "array"
            return found
        case "numbers":
            return array.array("d", content)
        case "generator":
            return np.random.default_rng(content[0])
        case "random":
            return random.Random(content[0])
        case "space":
            return gymnasium.spaces.Discrete(content[0])
        case "method":
            return Thing.add.__get__(content[0] if isinstance(content[0], Thing) else Thing())
        case "partial":
            return functools.partial(print, *content)
        case "closure":
            return _cell(content[0])
        case "address":
            return id(content[0])
    raise AssertionError(kind)


def _fill(
    kind: str, empty: Any, content: Sequence[Any], made: Sequence[Any], chance: random.Random | None
) -> None:
    items = list(content)
    orderless = kind in {"set", "thing", "slotted", "both"} or (
        kind in {"dict", "ordered"} and all(type(key) is str for key, _ in items)
    )
    if chance is not None and orderless:
        items = list(dict(items).items()) if kind != "set" else list(dict.fromkeys(items))
        chance.shuffle(items)
    for item in items:
        if kind in {"list", "deque", "bytes"}:
            empty.append(_resolved(made, item))
        elif kind == "set":
            empty.add(item)
        elif kind in {"dict", "ordered"}:
            empty[item[0]] = _resolved(made, item[1])
        else:
            setattr(empty, item[0], _resolved(made, item[1]))
            if kind == "both":
                empty.append(len(item[0]))
