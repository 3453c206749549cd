"""JSON that somebody else has written, read within bounds: the one place for the peers' and the service's.

Whoever writes JSON chooses how deep it is, how many values it has and how long its texts are, and some
kilobytes of ``[],`` are megabytes of lists. So what would be built is counted before anything is: in the
bytes, at the speed of a search in them. And it is strict, for what is in it is going to be written as JSON
again: ``NaN``, infinities, numbers beyond a float, and whole numbers of more digits than Python writes are
refused.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

import attrs
import msgspec

from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES
from gym_p2p.errors import ProtocolError

__all__ = [
    "FROM_CLIENT",
    "FROM_SERVICE",
    "IN_MESSAGE",
    "MAX_JSON_DEPTH",
    "JsonBounds",
    "StrictJson",
    "decode_json",
]

MAX_JSON_DEPTH = 32
"""Mappings and lists within each other: more than a configuration has, and what every reader takes."""


@attrs.frozen(kw_only=True)
class JsonBounds:
    """What a piece of JSON may be.

    Attributes:
        size_bytes: of its UTF-8.
        values: how many: mappings, lists, their keys and items.
        text_bytes: the longest text or key, as it is written.
        depth: mappings and lists within each other.
        any_text: whether texts may have lone surrogates. Python's and JavaScript's may, JSON leaves it open
            (RFC 8259, section 8.2), and UTF-8 has none.
    """

    size_bytes: int
    values: int
    text_bytes: int
    depth: int = MAX_JSON_DEPTH
    any_text: bool = False


IN_MESSAGE = JsonBounds(size_bytes=MAX_CTRL_BYTES, values=2**14, text_bytes=MAX_CTRL_BYTES, any_text=True)
"""A mapping in a message between peers, which it fits into: a handshake's description, a reset's options."""

FROM_CLIENT = JsonBounds(size_bytes=2**16, values=2**12, text_bytes=2**15)
"""What a client says to the service: the longest are descriptions (one text) and a probe's samples."""

FROM_SERVICE = JsonBounds(size_bytes=2**20, values=2**15, text_bytes=2**16)
"""What the service says to a client: a match found names all players, their probes and the relays."""

_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A text, or what is left of one at the end: so no byte is looked at twice, whatever is in it. And nothing is
remembered to come back to (``*+``), which would take a hundred bytes for every escape."""

_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_AS_LISTS = bytes.maketrans(b"{}", b"[]")


def decode_json(data: str | bytes, bounds: JsonBounds) -> Any:
    """Return what a piece of JSON says.

    Raises:
        ProtocolError: it is none, or beyond the bounds; nothing was built of it then.
    """
    try:
        text = data if isinstance(data, bytes) else data.encode()
    except UnicodeEncodeError:
        raise ProtocolError("malformed JSON") from None
    _check(text, bounds)
    try:
        if bounds.any_text:
            # As text: of bytes it guesses the encoding, and would read others than those that were counted.
            return json.loads(text.decode(), parse_constant=_refuse, parse_float=_finite)
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ProtocolError("malformed JSON") from None


# Each check makes the next one cheap. The searches see every comma, colon and bracket, those within texts
# among them: what is within the bounds even so is within them. Only what is not is searched again without its
# texts. No step is a loop of Python's over bytes: a peer pays for what it sends, and we for looking at it.


def _check(text: bytes, bounds: JsonBounds) -> None:
    if len(text) > bounds.size_bytes:
        raise ProtocolError("JSON too long")
    if len(text) > bounds.text_bytes and any(
        found.end() - found.start() - 2 > bounds.text_bytes for found in _TEXT.finditer(text)
    ):
        raise ProtocolError("text in JSON too long")
    if _values(text) > bounds.values or _openings(text) > bounds.depth:
        text = _without_texts(text, bounds.values)
        if _values(text) > bounds.values:
            raise ProtocolError("too many values in JSON")
        if _openings(text) > bounds.depth and _is_deeper(text, bounds.depth):
            raise ProtocolError("JSON nested too deeply")


def _openings(text: bytes) -> int:
    return text.count(b"[") + text.count(b"{")


def _values(text: bytes) -> int:
    """Return how many values there are at most: each but the first follows one of these."""
    empty = text.count(b"[]") + text.count(b"{}")
    return 1 + _openings(text) - empty + text.count(b",") + text.count(b":")


def _without_texts(text: bytes, most: int) -> bytes:
    """Return JSON with nothing in its texts, of which there may be so many."""
    pieces, end = [], 0
    for found in _TEXT.finditer(text):
        pieces.append(text[end : found.start()])
        end = found.end()
        if len(pieces) > most:
            raise ProtocolError("too many values in JSON")
    return b'""'.join([*pieces, text[end:]])


def _is_deeper(text: bytes, depth: int) -> bool:
    """Whether JSON without texts has more levels than so many: each round takes the innermost away."""
    brackets = text.translate(_AS_LISTS, _NO_BRACKETS)
    for _ in range(depth):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _finite(text: str) -> float:
    """Return a number that is one: ``1e999`` would be infinite, and could not be sent on."""
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _refuse(_text: str) -> NoReturn:
    raise ProtocolError("malformed JSON")


class StrictJson:
    """JSON within bounds, with the two functions that the Socket.IO library asks of a JSON module."""

    def __init__(self, bounds: JsonBounds) -> None:
        self._bounds = bounds

    def loads(self, text: str | bytes) -> Any:
        """Decode; raises ``ValueError``."""
        try:
            return decode_json(text, self._bounds)
        except ProtocolError as error:
            raise ValueError(error.problem) from None

    @staticmethod
    def dumps(value: Any, **_options: Any) -> str:
        """Encode compactly."""
        return msgspec.json.encode(value).decode()
