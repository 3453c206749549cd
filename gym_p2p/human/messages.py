"""What the page of a person's seat and the seat's process say to each other, in version 3.

The page speaks JSON, small and bounded; frames go to it as binary messages (:mod:`gym_p2p.human.encoding`;
over a data channel in pieces, :mod:`gym_p2p.human.pieces`), all else as JSON. Times of the page are
milliseconds on its own clock, which only its own are compared with. A page says which keys are held, never an
action, a frame of the game or a name. ``docs/protocol.md`` has the messages of both sides.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gym_p2p.core.record.human import PageInput
from gym_p2p.errors import ProtocolError

__all__ = [
    "CLOSE_CODES",
    "MAX_OFFER_BYTES",
    "MAX_PAGE_MESSAGE_BYTES",
    "VERSION",
    "Acknowledge",
    "Change",
    "Focus",
    "Hello",
    "Keys",
    "Leave",
    "LinkReason",
    "Offer",
    "PageMessage",
    "Pong",
    "decode_offer",
    "decode_page_message",
    "encode",
]

VERSION = 3

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
MAX_OFFER_BYTES = 65_536
"""A browser's offer of two channels has two thousand, and a candidate two hundred."""

_Number = Annotated[int, Meta(ge=0, lt=2**32)]
"""As wide as in the head of a frame, which gives back a page's own."""
_Time = Annotated[float, Meta(ge=0, lt=2**53)]
_Code = Annotated[str, Meta(min_length=1, max_length=24)]
_Pixels = Annotated[int, Meta(ge=0, le=1 << 20)]
_Word = Annotated[str, Meta(max_length=24)]

LinkReason = Literal["loopback", "opened", "late", "failed", "unsupported", "asked"]
"""Why a page has the link that it has: it is on the machine of the process; its data channel opened; none
opened in time; none could be made; its browser has none; it was asked to."""


class Hello(msgspec.Struct, frozen=True, tag="hello", tag_field="t"):
    """A page that has opened: its size in CSS pixels, what the person plays with, and why by this link."""

    v: int
    width: _Pixels
    height: _Pixels
    touch: bool
    browser: _Word
    version: _Word
    why: LinkReason = "loopback"


class Change(msgspec.Struct, frozen=True, array_like=True):
    """A change of what is held.

    Attributes:
        seq: counts them, from 1 on.
        at: when.
        code: of the key that was pressed; ``None`` where one was released.
        by: what pressed it; ``None`` where one was released.
    """

    seq: _Number
    at: _Time
    code: _Code | None = None
    by: PageInput | None = None


class Keys(msgspec.Struct, frozen=True, tag="keys", tag_field="t"):
    """The keys that are held now, in the order of their presses.

    ``changes`` are those that the page does not know to have arrived, oldest first, the newest always: what
    was said before is said again, so that a message that is lost takes nothing along.
    """

    held: Annotated[list[_Code], Meta(max_length=64)]
    changes: Annotated[list[Change], Meta(min_length=1, max_length=64)]


class Focus(msgspec.Struct, frozen=True, tag="focus", tag_field="t"):
    """Whether the page is visible and has the focus."""

    focused: bool


class Shown(msgspec.Struct, frozen=True, array_like=True):
    """A frame that was drawn, and when."""

    number: _Number
    at: _Time


class Acknowledge(msgspec.Struct, frozen=True, tag="ack", tag_field="t"):
    """A frame that has arrived and is decoded, and those that were drawn lately: some were told before."""

    n: _Number
    shown: Annotated[list[Shown], Meta(max_length=64)]


class Pong(msgspec.Struct, frozen=True, tag="pong", tag_field="t"):
    """The answer to a ping: when that came and when this goes, on the page's clock."""

    id: _Number
    received: _Time
    sent: _Time


class Leave(msgspec.Struct, frozen=True, tag="leave", tag_field="t"):
    """The person wants to go."""


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page's offer of data channels: W3C's description, and the candidates that it had by then."""

    sdp: Annotated[str, Meta(min_length=1, max_length=32_768)]
    candidates: Annotated[
        list[dict[_Word, Annotated[str, Meta(max_length=1024)] | int | None]], Meta(max_length=32)
    ]


PageMessage = Hello | Keys | Focus | Acknowledge | Pong | Leave

_DECODER = msgspec.json.Decoder(PageMessage)
_OFFERS = msgspec.json.Decoder(Offer)
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


def decode_offer(data: bytes) -> Offer:
    """Return a page's offer of data channels.

    Raises:
        ProtocolError: it is none.
    """
    try:
        return _OFFERS.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError("no offer of a page") from error


def encode(kind: str, **fields: Any) -> str:
    """Return a message for a page."""
    return msgspec.json.encode({"t": kind, **fields}).decode()
