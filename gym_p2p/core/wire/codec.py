"""Messages to bytes and back, strictly: MessagePack of tagged ``msgspec.Struct`` classes, within limits.

Knows what every set of messages has in common; refuses to know the messages. Whatever bytes arrive,
:meth:`Codec.decode` returns a message or raises :class:`~gym_p2p.errors.ProtocolError`.

Layout. A message is a MessagePack array: its kind (a number), then all its fields in the order of its class,
none left out and none added::

    [0x11, 7, 1000000, 3]  ->  94 11 07 ce 00 0f 42 40 03

A *greeting* is such an array without its first byte, so that it begins with its kind and the protocol's
version (below 128) in one byte each. Those two bytes, and the layout of
:mod:`gym_p2p.core.wire.fragments`, stay the same in every version: whatever else may change, two sides can
find out that their versions differ. No other message begins so, for the first byte of an array is
above 0x7F.

Free-form mappings are JSON in a string: what may travel is then what may stand in a configuration and in the
exports, whole numbers of any length among it and NaN not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Generic, TypeVar

import attrs
import msgspec

from gym_p2p.core.wire.bounded_json import IN_MESSAGE, decode_json
from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES
from gym_p2p.core.wire.seats import MAX_SEATS
from gym_p2p.errors import ProtocolError

__all__ = [
    "MAX_SEED",
    "Codec",
    "Count",
    "Digest",
    "JsonObject",
    "PlayerIndex",
    "Reason",
    "Seed",
    "Version",
    "WireMessage",
]

MAX_SEED = 2**64 - 1
"""NumPy takes any number; this many bits are more than anybody draws."""

_MAX_VERSION = 127

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Of frames, episodes, messages; or the index of one."""

Seed = Annotated[int, msgspec.Meta(ge=0)]
"""Up to :data:`MAX_SEED`, above which MessagePack has no whole numbers."""

PlayerIndex = Annotated[int, msgspec.Meta(ge=0, lt=MAX_SEATS)]
"""In the match's list of players, of whom none has less than a seat."""

Digest = Annotated[bytes, msgspec.Meta(min_length=1, max_length=64)]

Reason = Annotated[str, msgspec.Meta(max_length=200)]

Version = Annotated[int, msgspec.Meta(ge=0, le=_MAX_VERSION)]


class WireMessage(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What every class of messages derives from, with ``tag`` as its kind. Fields have no defaults."""


M = TypeVar("M", bound=WireMessage)


class JsonObject(Mapping[str, Any]):
    """A mapping of plain data as the value of a field; on the wire it is JSON in a string.

    One that was received is kept as that string until somebody looks into it: a peer may send many that
    nobody ever does, and what is in them can take fifty times as much memory.

    Args:
        value: what it holds. Whether that can travel shows when it is encoded.
        text: the JSON of a value that is not known yet; :meth:`received` checks it.
    """

    __slots__ = ("_text", "_value")

    def __init__(self, value: Mapping[str, Any] | None, *, text: str | None = None) -> None:
        self._value = value
        self._text = text

    @classmethod
    def received(cls, text: str) -> JsonObject:
        """Return the mapping that a text is.

        Raises:
            ProtocolError: it is none, or beyond :data:`~gym_p2p.core.wire.bounded_json.IN_MESSAGE`.
        """
        if not isinstance(decode_json(text, IN_MESSAGE), dict):
            raise ProtocolError("wrong shape")
        return cls(None, text=text)

    def as_text(self) -> str:
        """Return its JSON.

        Raises:
            ValueError, TypeError: there is none.
        """
        if self._text is not None:
            return self._text
        return json.dumps(dict(self), separators=(",", ":"), allow_nan=False)

    def _content(self) -> Mapping[str, Any]:
        if self._value is None:
            assert self._text is not None  # noqa: S101 - it has one or the other
            self._value = decode_json(self._text, IN_MESSAGE)
        return self._value

    def __getitem__(self, name: str) -> Any:
        return self._content()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content())

    def __len__(self) -> int:
        return len(self._content())

    def __repr__(self) -> str:
        return f"JsonObject({self._content()!r})"


class Codec(Generic[M]):
    """The bytes of one set of messages.

    Args:
        messages: the union of the classes, without those of greetings.
        greetings: the classes of greetings, whose first field is the version; each with what makes one of
            a version other than ours, of which nothing but the version is read.
        version: ours.
    """

    def __init__(self, messages: Any, greetings: Mapping[type[M], Callable[[int], M]], version: int) -> None:
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_to_wire)
        self._decoder = msgspec.msgpack.Decoder(messages, dec_hook=_from_wire)
        self._kinds = frozenset(map(_kind_of, messages.__args__))
        self._greetings = greetings
        self._greeting_of = {_kind_of(cls): _Greeting.of(cls, other) for cls, other in greetings.items()}
        self._version = version
        self.encode_plain: Callable[[M], bytes] = self._encoder.encode
        """Returns the bytes of a message that is no greeting, which :meth:`encode` would too."""

    def encode(self, message: M) -> bytes:
        """Return the message's bytes, which may be more than one message of a link may have (``split``).

        Raises:
            ValueError, TypeError: what is in the message cannot travel (NaN in a mapping, say).
        """
        data = self._encoder.encode(message)
        return data[1:] if type(message) in self._greetings else data

    def decode(self, data: bytes) -> M:
        """Return the message that these bytes are.

        Raises:
            ProtocolError: they are none; its ``problem`` says why.
        """
        if not data:
            raise ProtocolError("empty message")
        if len(data) > MAX_CTRL_BYTES:
            raise ProtocolError("message too long")
        try:
            greeting = self._greeting_of.get(data[0])
            if greeting is not None:
                message: M = self._decode_greeting(data, greeting)
            else:
                message = self._decoder.decode(data)
        except msgspec.ValidationError as error:
            raise ProtocolError("wrong shape" if self._knows(data) else "unknown kind of message") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError("malformed message") from error
        return message

    def _knows(self, data: bytes) -> bool:
        """Whether this begins like one of the messages."""
        is_array = data[0] >> 4 == 0x9 and len(data) > 1
        return data[0] in self._greeting_of or (is_array and data[1] in self._kinds)

    def _decode_greeting(self, data: bytes, greeting: _Greeting) -> Any:
        if len(data) < 2:
            raise ProtocolError("malformed message")
        version = data[1]
        if version > _MAX_VERSION:
            raise ProtocolError("wrong shape")
        if version != self._version:
            return greeting.of_version(version)
        return greeting.decoder.decode(greeting.first_byte + data)


@attrs.frozen
class _Greeting:
    """How one class of greetings is read."""

    first_byte: bytes
    """Of the array that it would be."""
    decoder: msgspec.msgpack.Decoder[Any]
    of_version: Callable[[int], Any]

    @classmethod
    def of(cls, kind: type[WireMessage], of_version: Callable[[int], Any]) -> _Greeting:
        fields = 1 + len(kind.__struct_fields__)
        return cls(bytes((0x90 + fields,)), msgspec.msgpack.Decoder(kind, dec_hook=_from_wire), of_version)


def _kind_of(cls: type[WireMessage]) -> Any:
    return cls.__struct_config__.tag


def _to_wire(value: Any) -> Any:
    """Return what stands for a value that MessagePack has no form for."""
    if isinstance(value, JsonObject):
        return value.as_text()
    raise TypeError(f"a {type(value).__name__} cannot travel")


def _from_wire(_cls: type[Any], text: Any) -> JsonObject:
    """Return the mapping for what stands in a field of type :class:`JsonObject`, the only one of ours."""
    if not isinstance(text, str):
        raise ProtocolError("wrong shape")
    return JsonObject.received(text)
