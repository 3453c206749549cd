"""Small changes to what an honest player says: left out, twice, late, again, or one thing in it another one.

All are drawn as plain values before anything is said, and applied to whatever is said then. It knows
messages; refuses to know who hears them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import msgspec
from hypothesis import strategies as st

from gym_p2p.core.match.match import Match
from gym_p2p.core.wire.messages import Inputs, decode, encode
from gym_p2p.errors import ProtocolError
from tests.hostile.generators import pieces, untrue_messages
from tests.hostile.honest import SAYINGS

__all__ = ["Change", "changed", "changes"]

_FRAGMENT = 0x06


@attrs.frozen
class Change:
    """One change.

    Attributes:
        tick: when.
        index: of which of the messages that are sent then; counted round.
        kind: what becomes of it; ``mute`` leaves out all that follows it in its channel as well.
        which: a field, or an earlier message.
        many: how many.
        off: by how much.
        said: what is said in its place, for that kind.
        keeps: whether the honest message goes out, too.
    """

    tick: int
    index: int
    kind: str
    which: int
    many: int
    off: int
    said: Any
    keeps: bool


_OFTEN = (4, 11)
"""Ticks at which most is changed: the first episode is played, ends, and the second begins."""

_KINDS = (
    "drop",
    "late",
    "mute",
    "again",
    "echo",
    "field",
    "field",
    "inputs",
    "inputs",
    "say",
    "say",
    "say",
    "untrue",
)


def changes(ticks: int) -> st.SearchStrategy[list[Change]]:
    """Return a few changes within so many ticks."""
    kinds = st.sampled_from([*_KINDS, *(f"say {name}" for name in SAYINGS)])
    one = kinds.flatmap(
        lambda kind: st.builds(
            Change,
            st.one_of(st.integers(0, ticks - 1), st.integers(*_OFTEN)),
            st.integers(0, 7),
            st.just(kind),
            st.integers(0, 7),
            st.integers(0, 8),
            st.sampled_from([0, 0, 1, -1, 2, -2, 3, 64, 182]),
            untrue_messages if kind == "untrue" else st.none(),
            st.booleans(),
        )
    )
    return st.lists(one, min_size=1, max_size=6)


def changed(
    change: Change, data: bytes, *, said: Sequence[bytes], heard: Sequence[bytes], hearer: Match, player: int
) -> Iterator[bytes]:
    """Yield what goes out in the place of a message.

    Args:
        change: what becomes of it.
        data: the message.
        said: what they have said to this one before.
        heard: what they have heard of anybody.
        hearer: the match that will hear it.
        player: who says it, to whom they say it by the hearer's count.
    """
    match change.kind:
        case "drop" | "mute":
            return
        case "again":
            yield from said[-1 - change.which : len(said) - change.which][:1]
        case "echo":
            yield from heard[-1 - change.which : len(heard) - change.which][:1]
        case "untrue":
            yield from pieces(change.said)
        case "field":
            yield _with_another_field(data, change)
        case "inputs":
            yield _with_other_inputs(data, change, hearer._local, player)
        case "say":
            names = sorted(SAYINGS)
            yield from _say(names[(change.which + change.many) % len(names)], change, hearer, player)
        case kind if kind.startswith("say "):
            yield from _say(kind[4:], change, hearer, player)
    if change.keeps or change.kind == "late":
        yield data


def _say(name: str, change: Change, hearer: Match, player: int) -> Iterator[bytes]:
    try:
        yield from pieces(SAYINGS[name](hearer, player, change.many, change.off))
    except ProtocolError:
        return  # it cannot be said so


def _with_another_field(data: bytes, change: Change) -> bytes:
    if data[:1] == bytes((_FRAGMENT,)):
        at = 1 + change.which % 3
        return data[:at] + bytes(((data[at] + change.off) % 256,)) + data[at + 1 :]
    try:
        message = decode(data)
        names = type(message).__struct_fields__
        name = names[change.which % len(names)]
        other = msgspec.structs.replace(message, **{name: _other(getattr(message, name), change)})
        return encode(other)
    except (ProtocolError, ValueError, TypeError, OverflowError):
        return data  # it cannot be said so, or was changed before


def _other(value: Any, change: Change) -> Any:  # noqa: PLR0911 - one for each kind of value
    """Return nearly the same value."""
    if isinstance(value, enum.StrEnum):
        kinds = list(type(value))
        return kinds[change.many % len(kinds)]
    if isinstance(value, int):
        return max(0, value + change.off)
    if isinstance(value, bytes):
        return value[:-1] + bytes(((value[-1] + change.off) % 256,)) if value else b"x" * change.many
    if isinstance(value, str):
        return value[: change.many]
    if isinstance(value, tuple) and value:
        at = change.many % len(value)
        if change.off == 0:
            return value[:at] + value[at + 1 :] if change.keeps else (*value, value[at])
        return (*value[:at], _other(value[at], change), *value[at + 1 :])
    return change.many if value is None else value


def _with_other_inputs(data: bytes, change: Change, to: int, player: int) -> bytes:
    """Return inputs, and what is said beside them, in agreement with each other, but not with before."""
    try:
        message = decode(data) if data[:1] != bytes((_FRAGMENT,)) else None
    except ProtocolError:
        return data  # it was changed before
    if not isinstance(message, Inputs) or max(to, player) >= len(message.received):
        return data
    received, inputs, start, ahead = list(message.received), message.inputs, message.start, message.advantage
    by = change.off if abs(change.off) < 64 else 1
    match change.which % 4:
        case 0:  # more of them, or fewer
            inputs = inputs + (b"m",) * by if by > 0 else inputs[:by] if by < 0 else ()
            received[player] += len(inputs) - len(message.inputs)
            ahead += len(inputs) - len(message.inputs)
        case 1:  # other ones
            inputs = tuple([b"o" * change.many for _ in inputs])
        case 2:  # from another frame on
            start, received[player], ahead = start + by, received[player] + by, ahead + by
        case _:  # another acknowledgement, or another count of a third one
            if change.many % 2:
                received[to], ahead = received[to] + by, ahead - by
            else:
                third = change.many % len(received)
                received[third] += by if third not in {to, player} else 0
    counts = tuple([max(0, count) for count in received])
    return encode(
        msgspec.structs.replace(message, start=max(0, start), received=counts, advantage=ahead, inputs=inputs)
    )
