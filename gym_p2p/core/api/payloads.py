"""How values become what crosses the line between the service and its clients, and come back from there.

Every payload is a frozen attrs value, and its class is its description: types and bounds are ``Annotated``,
what they cannot express is a validator's. :func:`encode` and :func:`decode` know how to read that; they
refuse to know any one message.
"""

from __future__ import annotations

import enum
import functools
import re
import sys
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Protocol, TypeVar, cast

import attrs
import msgspec

from gym_p2p.config import IceServer, Secret
from gym_p2p.core.wire.seats import MAX_SEATS, is_seat_id
from gym_p2p.errors import ProtocolError

__all__ = [
    "MAX_RTT_MS",
    "Count",
    "Label",
    "Name",
    "Number",
    "Payload",
    "Rtt",
    "Seed",
    "Text",
    "check_printable",
    "check_seat",
    "check_seats",
    "decode",
    "encode",
    "prepare",
]

MAX_RTT_MS = 60_000.0
"""What the wire takes for a round trip (docs/protocol.md, "Probes")."""

Text = Annotated[str, msgspec.Meta(min_length=1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Number = Annotated[float, msgspec.Meta(ge=0, le=sys.float_info.max)]
Rtt = Annotated[float, msgspec.Meta(ge=0, le=MAX_RTT_MS)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]

_T = TypeVar("_T")
_WHERE = re.compile(r" - at `(\$[^`]{0,64})`")
"""Where the decoder found fault; the rest of its text may quote what was sent."""
_ATOMS = frozenset({str, int, float, bool, type(None)})


class Payload(attrs.AttrsInstance, Protocol):
    """What is sent under the name of an event of its own."""

    event: ClassVar[str]


def encode(value: attrs.AttrsInstance | Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON-ready form of a payload, its keys in the order of the fields."""
    kind = type(value)
    if kind is dict or isinstance(value, Mapping):  # most mappings are, and that costs no call
        return dict(cast("Mapping[str, Any]", value))
    plain: dict[str, Any] = {}
    for name in _names(kind):
        item = getattr(value, name)
        if item is None and kind is IceServer:  # W3C's has no null: a browser would take it for a text
            continue
        plain[name] = item if type(item) in _ATOMS else _plain(item)
    return plain


def decode(kind: type[_T], data: object, what: str = "payload") -> _T:
    """Build a payload from what arrived: nothing is coerced, unknown fields are ignored.

    Args:
        kind: its class.
        data: what the JSON decoder made of it.
        what: what it is called in the error.

    Raises:
        ProtocolError: it has another shape; the text names the place, and quotes nothing of what was sent.
    """
    try:
        return msgspec.convert(data, kind, dec_hook=_secret)
    except msgspec.ValidationError as error:
        where = _WHERE.search(str(error))
        ours = error.__cause__  # a validator's own text
        problem = f"malformed {what}{f' at {where[1]}' if where else ''}"
        raise ProtocolError(f"{problem}: {ours}" if type(ours) is ValueError else problem) from None
    except UnicodeError:  # the decoder of a client's library lets halves of letters in
        raise ProtocolError(f"malformed {what}") from None


# msgspec describes a class to itself when it is first decoded, and shows the description to every thread
# before it is complete, for the sake of recursive types. Two threads that decode a class for the first time
# at the same moment (two players in one process) crash it: seen with 0.22, for attrs classes and its
# own alike. So classes are prepared as modules are imported, which one thread does at a time.
def prepare(*kinds: type) -> None:
    """Let threads decode these classes, and all that they hold, from now on."""
    for kind in kinds:
        msgspec.json.Decoder(kind)


def check_seat(_instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Pass a seat's id."""
    if not is_seat_id(value):
        raise ValueError(f"{attribute.name}: wanted a seat's id")


def check_seats(_instance: Any, attribute: attrs.Attribute[Any], value: tuple[object, ...]) -> None:
    """Pass the ids of not too many seats."""
    if len(value) > MAX_SEATS or not all(map(is_seat_id, value)):
        raise ValueError(f"{attribute.name}: wanted at most {MAX_SEATS} seats' ids")


def check_printable(_instance: Any, attribute: attrs.Attribute[Any], value: str | None) -> None:
    """Pass a printable text, or ``None``."""
    if value is not None and not value.isprintable():
        raise ValueError(f"{attribute.name}: wanted a printable text")


@functools.cache
def _names(kind: type[attrs.AttrsInstance]) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(kind))


def _secret(kind: type, value: object) -> Secret:
    if kind is not Secret or not isinstance(value, str):
        raise TypeError  # without a text: the decoder's own quotes nothing
    return Secret(value)


def _plain(value: Any) -> Any:
    if type(value) in _ATOMS:
        return value
    if isinstance(value, dict):  # as every signal's is: what is plain in it costs no call
        return {key: item if type(item) in _ATOMS else _plain(item) for key, item in value.items()}
    if isinstance(value, Secret):
        return value.reveal()  # what crosses the line is for whom it is sent to
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, enum.Enum) else encode(value)
