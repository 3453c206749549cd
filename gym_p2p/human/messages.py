"""What the page of a person's seat and the seat's process say to each other, in version 1.

The page speaks JSON, small and bounded; frames go to it as one binary message each
(:mod:`gym_p2p.human.frames`), all else as JSON. Times of the page are milliseconds on its own clock, which
only its own are compared with. A page says which keys are held, never an action, a frame or a name.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gym_p2p.errors import ProtocolError

__all__ = [
    "CLOSE_CODES",
    "MAX_PAGE_MESSAGE_BYTES",
    "VERSION",
    "Acknowledge",
    "Focus",
    "Hello",
    "Keys",
    "Leave",
    "PageMessage",
    "Pong",
    "decode_page_message",
    "encode",
]

VERSION = 1

MAX_PAGE_MESSAGE_BYTES = 4096
"""Of a message from a page: all keys of a keyboard at once are half as much."""

CLOSE_CODES = {
    "taken_over": 4001,
    "dropped": 4002,
    "over": 4003,
    "version": 4004,
    "full": 4005,
    "expired": 4006,
    "crashed": 4007,
    "closing": 4008,
    "elsewhere": 4009,
}
"""Private codes (RFC 6455, 7.4.2) with which a page's connection is closed: it knows what to say by them.

From ``full`` on they are of a host of many seats, who lets nobody in: all seats are taken; the link is too
old; the seat's process has died; the host is being stopped; another link, which was told before, is theirs.
"""

_Number = Annotated[int, Meta(ge=0, lt=2**32)]
"""As wide as in the head of a frame, which gives back a page's own."""
_Time = Annotated[float, Meta(ge=0, lt=2**53)]
_Code = Annotated[str, Meta(min_length=1, max_length=24)]
_Pixels = Annotated[int, Meta(ge=0, le=1 << 20)]
_Word = Annotated[str, Meta(max_length=24)]


class Hello(msgspec.Struct, frozen=True, tag="hello", tag_field="t"):
    """A page that has opened: its size in CSS pixels, and what the person plays with."""

    v: int
    width: _Pixels
    height: _Pixels
    touch: bool
    browser: _Word
    version: _Word


class Pressed(msgspec.Struct, frozen=True, array_like=True):
    """A key that was pressed: its code, and when."""

    code: _Code
    at: _Time


class Keys(msgspec.Struct, frozen=True, tag="keys", tag_field="t"):
    """The keys that are held now, in the order of their presses, and those pressed since the last message.

    ``seq`` counts these messages; one that came before is ignored. ``at`` is the time of the newest event.
    """

    seq: _Number
    held: Annotated[list[_Code], Meta(max_length=64)]
    pressed: Annotated[list[Pressed], Meta(max_length=64)]
    at: _Time


class Focus(msgspec.Struct, frozen=True, tag="focus", tag_field="t"):
    """Whether the page is visible and has the focus."""

    focused: bool


class Shown(msgspec.Struct, frozen=True, array_like=True):
    """A frame that was drawn, and when."""

    number: _Number
    at: _Time


class Acknowledge(msgspec.Struct, frozen=True, tag="ack", tag_field="t"):
    """A frame that has arrived and is decoded, and those that were drawn since the last message."""

    n: _Number
    shown: Annotated[list[Shown], Meta(max_length=64)]


class Pong(msgspec.Struct, frozen=True, tag="pong", tag_field="t"):
    """The answer to a ping: when that came and when this goes, on the page's clock."""

    id: _Number
    received: _Time
    sent: _Time


class Leave(msgspec.Struct, frozen=True, tag="leave", tag_field="t"):
    """The person wants to go."""


PageMessage = Hello | Keys | Focus | Acknowledge | Pong | Leave

_DECODER = msgspec.json.Decoder(PageMessage)
"""Made on import: see :func:`gym_p2p.core.api.payloads.prepare`."""


def decode_page_message(data: str | bytes) -> PageMessage:
    """Return what a page says.

    Raises:
        ProtocolError: it is too large, or none of its messages.
    """
    if len(data) > MAX_PAGE_MESSAGE_BYTES:
        raise ProtocolError(f"a page's message has more than {MAX_PAGE_MESSAGE_BYTES} bytes")
    try:
        message: PageMessage = _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError("no message of a page") from error
    return message


def encode(kind: str, **fields: Any) -> str:
    """Return a message for a page."""
    return msgspec.json.encode({"t": kind, **fields}).decode()
