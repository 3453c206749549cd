"""What somebody hostile may send: JSON, values of a described shape, messages that are valid and untrue.

All of it are Hypothesis strategies, so that what breaks something comes back as its smallest example. It
knows shapes and limits of both wires, and refuses to know who reads it.
"""

from __future__ import annotations

import enum
import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Literal

import attrs
import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gym_p2p.config import Secret
from gym_p2p.core.spectating import messages as feed
from gym_p2p.core.wire import messages as match
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES, MAX_MESSAGE_BYTES, split
from gym_p2p.core.wire.messages import encode
from gym_p2p.errors import ProtocolError

__all__ = [
    "TEXTS",
    "broken",
    "hostile_json",
    "hostile_values",
    "json_values",
    "mostly",
    "nonsense",
    "pieces",
    "untrue",
    "untrue_feed",
    "untrue_messages",
]

TEXTS = (
    "",
    "\x00",
    "\x1b[2J\x1b]0;owned\x07",
    "line\r\nanother",
    "\u202eesrever",
    "\ud800",
    "\udfff\ud800",
    "\U0010ffff",
    "a" * 10_000,
    "../../etc/passwd",
    "__proto__",
    "{}",
    "%s%n{0.__class__}",
    "0x1p99999",
    "9" * 5_000,
    "nan",
)
"""Of which some are no text at all."""

_NUMBERS = (
    *("0", "-0", "1", "-1", "255", "9007199254740993", "18446744073709551615", "18446744073709551616"),
    *("-9223372036854775809", "1e308", "1e309", "-1e309", "1e-400", "0.1", "NaN", "Infinity", "-Infinity"),
    *("9" * 400, "-" + "9" * 400, "9" * 5_000, "1." + "0" * 2_000 + "1", "1e" + "9" * 400, "01", "1.", "+1"),
)
_MAX_CHARS = 200_000
_COUNTS = (0, 1, 2, 31, 32, 33, 100, 599, 2_000, 20_000)
_PLAIN = (None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30, 0.5, -0.0)


def _written(text: str) -> str:
    return json.dumps(text)


def _nested(depth: int, opening: str, within: str) -> str:
    closing = "]" if opening == "[" else "}"
    return opening * depth + within + closing * depth


_scalars = st.one_of(
    st.sampled_from(_NUMBERS), st.sampled_from(TEXTS).map(_written), st.sampled_from(["null", "[]"])
)
_keys = st.one_of(st.sampled_from([*TEXTS, "a", "must", "about", "type"]), st.text(max_size=3)).map(_written)


@st.composite
def _trees(draw: st.DrawFn) -> str:
    """Draw a small document whose parts are hostile; keys may come twice."""
    is_list, twice = draw(st.tuples(st.booleans(), st.booleans()))
    if is_list:
        return "[" + ",".join(draw(st.lists(_scalars, max_size=5))) + "]"
    rows = draw(st.lists(st.tuples(_keys, _scalars), max_size=5))
    if rows and twice:
        rows.append(rows[0])
    return "{" + ",".join(f"{key}:{value}" for key, value in rows) + "}"


@st.composite
def hostile_json(draw: st.DrawFn) -> str:
    """Draw a text that somebody calls JSON: deep, long, with odd numbers, halves of letters, keys twice."""
    count = draw(st.sampled_from(_COUNTS))
    within = draw(st.one_of(_scalars, _trees()))
    key = draw(_keys)
    if count * len(key) > _MAX_CHARS:
        key = '"k"'
    kinds: tuple[Callable[[], str], ...] = (
        lambda: within,
        lambda: _nested(count, "[", within),
        lambda: _nested(count, f"{{{key}:", within),
        lambda: "[" * count,
        lambda: f"[{','.join(['[]'] * count)}]",
        lambda: f"[{','.join(['0'] * count)}]",
        lambda: "{" + ",".join(f'"{i}":{{}}' for i in range(count)) + "}",
        lambda: "{" + ",".join([f"{key}:0"] * count) + "}",
        lambda: f'{{"must":{_nested(count, "[", within)}}}',
        lambda: '"' + "\\ud800" * count + '"',
    )
    text = draw(st.sampled_from(kinds))()
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 5)) == 0 else text


_leaves: SearchStrategy[Any] = st.one_of(
    st.sampled_from(_PLAIN), st.sampled_from(TEXTS), st.binary(max_size=8), st.floats(), st.integers()
)


def _deep(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


hostile_values: SearchStrategy[Any] = st.one_of(
    st.recursive(
        _leaves,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", *TEXTS]), inner, max_size=4)
        ),
        max_leaves=8,
    ),
    st.sampled_from([33, 600, 900]).map(_deep),
    st.sampled_from([100, 20_000]).map(lambda count: [[]] * count),
)
"""What a lenient decoder of JSON or MessagePack may hand on."""


def _is_json(value: Any) -> bool:
    try:
        return bool(msgspec.json.encode(value))
    except (ValueError, RecursionError, OverflowError):
        return False


json_values = hostile_values.filter(_is_json)
"""Of which there is a JSON that every decoder takes."""


# ---- values of a described shape


def nonsense(kind: Any) -> SearchStrategy[Any]:  # noqa: PLR0911 - one for each way to write a type
    """Return what has the shape of a type, as plain data, and no sense: ids of nobody, huge numbers.

    Args:
        kind: a type as payloads and messages have it: atoms, ``Annotated``, ``Literal``, unions, collections,
            attrs and msgspec classes.
    """
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if kind is Any or kind is object:
        return hostile_values
    if origin is Annotated:
        return _within(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is typing.Union or isinstance(kind, types.UnionType):
        return st.one_of([nonsense(one) for one in arguments])
    if origin in {dict, Mapping} or kind is dict:
        return st.dictionaries(st.sampled_from(["a", *TEXTS]), hostile_values, max_size=4)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*map(nonsense, arguments))
    if origin is not None:
        return st.lists(nonsense(arguments[0]), max_size=6)
    if attrs.has(kind):
        return _of_class(kind)
    return _atoms(kind)


def _of_class(kind: type) -> SearchStrategy[dict[str, Any]]:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {field.name: nonsense(hints[field.name]) for field in attrs.fields(kind)}
    extra = st.dictionaries(st.sampled_from(["extra", "__class__"]), hostile_values, max_size=1)
    return st.builds(lambda one, more: {**more, **one}, st.fixed_dictionaries(fields), extra)


def _within(kind: Any) -> SearchStrategy[Any]:
    """Return values of an annotated type, mostly within its bounds and at them."""
    inner, *notes = typing.get_args(kind)
    limits = next((note for note in notes if isinstance(note, msgspec.Meta)), None)
    if limits is None or inner not in {int, float, str, bytes}:
        return nonsense(inner)
    if inner in {str, bytes}:
        sizes = st.integers(limits.min_length or 0, min(limits.max_length or 64, 512))
        return sizes.map(lambda size: "x" * size if inner is str else b"x" * size) | _atoms(inner)
    least = limits.ge if limits.ge is not None else -(2**63)
    most = limits.le if limits.le is not None else (limits.lt - 1 if limits.lt is not None else 2**63)
    if inner is float:
        return st.floats(least, min(most, 1.7e308), allow_nan=False) | _atoms(float)
    return st.sampled_from([int(least), int(most)]) | st.integers(int(least), int(most))


def _atoms(kind: Any) -> SearchStrategy[Any]:  # noqa: PLR0911 - one for each kind
    if kind is Secret or kind is str:
        return st.sampled_from(TEXTS) | st.text(max_size=8)
    if kind is int:
        return st.sampled_from([one for one in _PLAIN if type(one) is int]) | st.integers()
    if kind is float:
        return st.floats() | st.sampled_from([-1.0, 1e308, 5e-324])
    if kind is bytes:
        return st.binary(max_size=64)
    if kind is bool:
        return st.booleans()
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        return st.sampled_from([str(one) for one in kind]) | st.sampled_from(TEXTS)
    return st.none() if kind is type(None) else hostile_values


# ---- messages between peers


def mostly(likely: SearchStrategy[Any], other: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Return what is the one in three cases of four; ``one_of`` counts what it is given twice once."""
    return st.integers(0, 3).flatmap(lambda number: likely if number else other)


def _as_object(value: object) -> JsonObject:
    assert isinstance(value, dict)
    return JsonObject(value)


_likely = st.integers(0, 3)
"""What is nearly true gets further in than what is absurd."""
_counts = mostly(
    _likely, st.integers(0, 12) | st.sampled_from([29, 30, 31, 59, 64, 65, 66, 255, 1_000, 2**31, 2**63 - 1])
)
_objects = st.sampled_from(
    [
        {},
        {"must": {}},
        {"a": "\ud800"},
        {"x" * 100: "y" * 1000},
        {"o": "z" * 60_000},
        {"n": 10**300},
        {"d": _deep(30)},
    ]
).map(_as_object)
_micros = st.sampled_from([0, 1, 10**6, 10**12, 2**63, 2**64 - 1]) | st.integers(0, 10**8)
_inputs = st.lists(st.binary(max_size=4) | st.sampled_from([b"\xff" * 512]), max_size=6).map(tuple)


def _said(inner: Callable[[], SearchStrategy[Any]]) -> dict[Any, SearchStrategy[Any]]:
    """Return what may stand in a field, by its name; whatever is not here has the shape of its type."""
    words = st.deferred(lambda: untrue(match.Ready) | untrue(match.Goodbye))
    return {
        "version": st.sampled_from([match.PROTOCOL_VERSION, 0, 127]),
        "description": _objects,
        "options": st.none() | _objects,
        "received": st.lists(_counts, max_size=5).map(tuple),
        "held": st.dictionaries(
            st.integers(0, 4), st.tuples(_counts, st.sampled_from(match.Cause)), max_size=4
        ).map(lambda held: tuple((player, *told) for player, told in sorted(held.items()))),
        "cause": st.sampled_from(
            [match.Cause.LEFT, match.Cause.CRASHED]
        ),  # what anybody may say of themselves
        "seals": st.lists(st.binary(max_size=16), max_size=5).map(tuple),
        "key": st.binary(max_size=16),
        "proof": st.binary(max_size=16),
        "message": mostly(words, st.deferred(inner)).map(encode) | st.binary(max_size=40),
        "inputs": _inputs,
        "advantage": st.sampled_from([0, 1, -1, 2**62 - 1, -(2**62)]),
        "frames": _counts,
        "sent_us": _micros,
        "received_us": _micros,
        "replied_us": _micros,
        "player": st.integers(1, 2) | st.integers(0, 4),
        "number": st.integers(0, 3) | st.just(2**32 - 1),
        "index": _counts,
        "digest": st.binary(min_size=1, max_size=4) | st.just(b"x" * 64),
        "data": st.binary(max_size=64) | st.just(b"\x78\x9c" + b"z" * 2000),
        "reason": st.sampled_from([text[:200] for text in TEXTS]),
        "snapshots": st.none() | st.sampled_from(TEXTS),
    }


def untrue(kind: type[Any]) -> SearchStrategy[Any]:
    """Return messages of a class of the peers' wire whose fields are within their limits."""
    hints = typing.get_type_hints(kind, include_extras=True)
    said = _said(lambda: untrue_messages)
    fields = {
        name: said[name] if name in said else (_counts if _is_count(hints[name]) else nonsense(hints[name]))
        for name in kind.__struct_fields__
    }
    return st.builds(partial(_made, kind), **fields).filter(lambda made: made is not None and _fits(made))


def _made(kind: type[Any], **said: Any) -> Any:
    """Return a message; ``None`` where its class does not take what is said together."""
    try:
        return kind(**said)
    except ProtocolError:
        return None


def _is_count(hint: Any) -> bool:
    return typing.get_origin(hint) is Annotated and typing.get_args(hint)[0] is int


def _fits(message: Any) -> bool:
    """Whether our own encoder can write it: half a letter cannot stand in MessagePack."""
    try:
        return len(encode(message)) <= MAX_CTRL_BYTES
    except (ValueError, TypeError, OverflowError):
        return False


untrue_messages: SearchStrategy[Any] = st.one_of([untrue(kind) for kind in typing.get_args(match.Message)])
"""Every class of the match's wire, found by its union."""


def untrue_feed(seats: int) -> SearchStrategy[Any]:
    """Return messages of the feed for spectators, of so many seats or other numbers of them."""
    frame = st.lists(st.binary(max_size=4), min_size=1, max_size=3).map(tuple)
    right = st.lists(st.binary(max_size=1), min_size=seats, max_size=seats).map(tuple)
    frames = st.lists(right, max_size=4).map(tuple) | frame.map(lambda one: (one,) * 3)
    said = _said(st.nothing) | {"version": st.sampled_from([feed.FEED_VERSION, 9]), "options": _objects}
    said |= {"seed": st.integers(0, 3), "reason": st.sampled_from(["normal", "\x1b[2J"])}
    kinds = []
    for kind in typing.get_args(feed.FeedMessage):
        hints = typing.get_type_hints(kind, include_extras=True)
        shown = said | ({"frames": frames} if kind is feed.FramesShown else {})
        fields = {
            name: shown[name]
            if name in shown
            else (_counts if _is_count(hints[name]) else nonsense(hints[name]))
            for name in kind.__struct_fields__
        }
        made = st.builds(partial(_made, kind), **fields)
        kinds.append(made.filter(lambda message: message is not None and _fits_feed(message)))
    return st.one_of(kinds)


def _fits_feed(message: Any) -> bool:
    try:
        return len(feed.encode_feed(message)) <= MAX_CTRL_BYTES
    except (ValueError, TypeError, OverflowError):
        return False


# ---- bytes


@st.composite
def broken(draw: st.DrawFn, whole: bytes) -> bytes:
    """Draw bytes that were something once: cut, changed, repeated, with something behind them."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 3)):
            case 0:
                del data[at:]
            case 1:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=5))
            case 2:
                data[at:at] = data[: draw(st.integers(0, 64))]
            case _:
                data += draw(st.binary(max_size=8))
    return bytes(data)


def pieces(message: Any, number: int = 1) -> Iterator[bytes]:
    """Yield what carries a message; one that is too long for that in pieces that nobody takes."""
    data = encode(message) if not isinstance(message, bytes) else message
    if len(data) <= MAX_CTRL_BYTES:
        yield from split(data, number)
    else:
        yield from (data[at : at + MAX_MESSAGE_BYTES] for at in range(0, len(data), MAX_MESSAGE_BYTES))
