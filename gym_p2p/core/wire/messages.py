"""The wire format between two peers: one frozen class a message, a table to encode and decode them.

Knows bytes and limits; refuses to know what a message means. Whatever bytes arrive, :func:`decode` returns
a message or raises :class:`~gym_p2p.errors.ProtocolError`.

Layout. The first byte is the kind. Whole numbers are unsigned LEB128 varints (as in Protocol Buffers),
signed ones zigzag first, byte strings are length-prefixed, mappings are UTF-8 JSON. ``Hello`` is kind 1
followed by the protocol version, and keeps that layout in every version, so that two versions can at
least tell each other that they differ.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gym_p2p.core.wire.codec import (
    Reader,
    read_json,
    read_mapping,
    unpack,
    write_json,
    write_varint,
    write_zigzag,
)
from gym_p2p.errors import ProtocolError

__all__ = [
    "MAX_CTRL_BYTES",
    "MAX_INPUT_BYTES",
    "MAX_INPUT_DELAY",
    "MAX_MESSAGE_BYTES",
    "MAX_SEED",
    "PROTOCOL_VERSION",
    "Channel",
    "Checksum",
    "Fragment",
    "Goodbye",
    "Hello",
    "Holdings",
    "Inputs",
    "Message",
    "Ping",
    "Pong",
    "Ready",
    "Reassembler",
    "Refuse",
    "Share",
    "StatePart",
    "decode",
    "encode",
    "split",
]

PROTOCOL_VERSION = 1

MAX_MESSAGE_BYTES = 1160
"""One SCTP chunk of aiortc (its ``USERDATA_MAX_LENGTH``): a longer message costs two datagrams."""

MAX_INPUT_BYTES = 512
"""So that a message holds at least two inputs beside its header."""

MAX_CTRL_BYTES = 65_536
"""A control message put together from fragments; a handshake is a few kilobytes."""

MAX_INPUTS_PER_MESSAGE = 256

MAX_SEED = 2**64 - 1
"""NumPy takes any number; this many bits are more than anybody draws."""

MAX_INPUT_DELAY = 60
"""Frames; what a configuration may say."""

_MAX_PLAYERS = 64


class Channel(enum.Enum):
    """The two channels to a peer; the values are the DataChannels' labels."""

    GAME = "game"
    """Unordered and never retransmitted: inputs and pings."""
    CTRL = "ctrl"
    """Ordered and reliable: handshake, barriers, checksums, goodbye."""


@attrs.frozen
class Hello:
    """The first message on the control channel: what this side is going to play.

    Attributes:
        version: the sender's protocol version.
        description: what both sides must agree on, and (under ``"about"``) what they need not.
    """

    version: int
    description: Mapping[str, Any]


@attrs.frozen
class Refuse:
    """The sender will not play: ``differences`` are ``[what, the sender's, the recipient's]``."""

    differences: tuple[tuple[str, str, str], ...]


@attrs.frozen
class Ready:
    """The sender waits at the barrier before ``episode``.

    Attributes:
        episode: counted from 1.
        seed: the seed that he insists on; ``None`` leaves it to the others.
        options: ``reset``'s options; ``None`` is the same as an empty mapping.
        frames: how many inputs he gave in the episode before.
        delay: his input delay as the episode begins.
    """

    episode: int
    seed: int | None
    options: Mapping[str, Any] | None
    frames: int
    delay: int = 0


@attrs.frozen
class Checksum:
    """The sender's digest of everything up to and including ``frame``."""

    episode: int
    frame: int
    digest: bytes


@attrs.frozen
class Goodbye:
    """The sender leaves.

    Attributes:
        reason: why, one word of the exports' ``terminationReason``.
        frames: how many inputs he gave in the running episode.
        lost: the index of the player whose loss made him leave; ``None`` if it was not a loss.
    """

    reason: str
    frames: int
    lost: int | None = None


@attrs.frozen
class Share:
    """Inputs of a third player, which the recipient may lack; they count once that player is gone.

    Attributes:
        episode: counted from 1.
        player: whose they are.
        start: the frame of the first one.
    """

    episode: int
    player: int
    start: int
    inputs: tuple[bytes, ...]


@attrs.frozen
class Holdings:
    """The sender counts these players as gone, and holds so many inputs of each.

    Every input of theirs that the recipient may lack was sent before, as :class:`Share`.

    Attributes:
        episode: the one that the sender is in.
        held: pairs of a player and a number of inputs, in the order of the players.
    """

    episode: int
    held: tuple[tuple[int, int], ...]

    @property
    def gone(self) -> tuple[int, ...]:
        """The players who are gone."""
        return tuple([player for player, _ in self.held])


@attrs.frozen
class StatePart:
    """A part of the sender's state after a frame at which the checksums differed."""

    episode: int
    frame: int
    index: int
    count: int
    data: bytes


@attrs.frozen
class Fragment:
    """A piece of a control message that is longer than one message may be."""

    number: int
    index: int
    count: int
    data: bytes


@attrs.frozen
class Inputs:
    """All inputs of the sender that the recipient has not acknowledged; one message a tick.

    Attributes:
        episode: counted from 1.
        start: the frame of the first input.
        received: for each player, how many of his frames the sender holds without a gap; the entry of
            the recipient is the acknowledgement.
        advantage: frames that the sender believes to be ahead of the recipient.
        inputs: one byte string a frame, in order.
        delay: the sender's input delay, by which his newest input is ahead of the frame that he is at.
    """

    episode: int
    start: int
    received: tuple[int, ...]
    advantage: int
    inputs: tuple[bytes, ...]
    delay: int = 0


@attrs.frozen
class Ping:
    """Asks for a :class:`Pong`; times are microseconds on the sender's monotonic clock."""

    number: int
    sent_us: int


@attrs.frozen
class Pong:
    """Answers a :class:`Ping` at once; two times of each clock, as in NTP."""

    number: int
    sent_us: int
    received_us: int
    replied_us: int


Message = (
    Hello
    | Refuse
    | Ready
    | Checksum
    | Goodbye
    | Share
    | Holdings
    | StatePart
    | Fragment
    | Inputs
    | Ping
    | Pong
)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _write_hello(out: bytearray, message: Hello) -> None:
    out.append(message.version)
    write_json(out, dict(message.description))


def _read_hello(reader: Reader) -> Hello:
    version = reader.varint()
    if version != PROTOCOL_VERSION:
        return Hello(version, {})
    return Hello(version, read_mapping(reader.rest()))


def _write_refuse(out: bytearray, message: Refuse) -> None:
    write_json(out, message.differences)


def _read_refuse(reader: Reader) -> Refuse:
    rows = read_json(reader.rest())
    if not isinstance(rows, list) or len(rows) > 64:
        raise ProtocolError("wrong shape")
    for row in rows:
        if not isinstance(row, list) or len(row) != 3 or not all(isinstance(cell, str) for cell in row):
            raise ProtocolError("wrong shape")
    return Refuse(tuple((row[0], row[1], row[2]) for row in rows))


def _write_ready(out: bytearray, message: Ready) -> None:
    write_varint(out, message.episode)
    write_varint(out, message.frames)
    options = None if message.options is None else dict(message.options)
    write_json(out, {"seed": message.seed, "options": options, "delay": message.delay})


def _read_ready(reader: Reader) -> Ready:
    episode = reader.varint()
    frames = reader.varint()
    body = read_mapping(reader.rest())
    seed, options, delay = body.get("seed"), body.get("options"), body.get("delay", 0)
    if seed is not None and not (_is_count(seed) and seed <= MAX_SEED):
        raise ProtocolError("wrong shape")
    if options is not None and not isinstance(options, dict):
        raise ProtocolError("wrong shape")
    if not (_is_count(delay) and delay <= MAX_INPUT_DELAY):
        raise ProtocolError("wrong shape")
    return Ready(episode, seed, options, frames, delay)


def _write_checksum(out: bytearray, message: Checksum) -> None:
    write_varint(out, message.episode)
    write_varint(out, message.frame)
    out += message.digest


def _read_checksum(reader: Reader) -> Checksum:
    message = Checksum(reader.varint(), reader.varint(), reader.rest())
    if not 1 <= len(message.digest) <= 64:
        raise ProtocolError("wrong shape")
    return message


def _write_state_part(out: bytearray, message: StatePart) -> None:
    for number in (message.episode, message.frame, message.index, message.count):
        write_varint(out, number)
    out += message.data


def _read_state_part(reader: Reader) -> StatePart:
    episode, frame, index, count = reader.varints(4)
    return StatePart(episode, frame, index, count, reader.rest())


def _write_goodbye(out: bytearray, message: Goodbye) -> None:
    write_json(out, {"reason": message.reason, "frames": message.frames, "lost": message.lost})


def _read_goodbye(reader: Reader) -> Goodbye:
    body = read_mapping(reader.rest())
    reason, frames, lost = body.get("reason"), body.get("frames"), body.get("lost")
    if not isinstance(reason, str) or len(reason) > 200 or not _is_count(frames):
        raise ProtocolError("wrong shape")
    if lost is not None and not (_is_count(lost) and lost < _MAX_PLAYERS):
        raise ProtocolError("wrong shape")
    return Goodbye(reason, frames or 0, lost)


def _write_share(out: bytearray, message: Share) -> None:
    write_varint(out, message.episode)
    write_varint(out, message.player)
    write_varint(out, message.start)
    _write_blobs(out, message.inputs)


def _read_share(reader: Reader) -> Share:
    episode, player, start = reader.varints(3)
    return Share(episode, player, start, _read_blobs(reader))


def _write_holdings(out: bytearray, message: Holdings) -> None:
    write_varint(out, message.episode)
    for player, count in message.held:
        write_varint(out, player)
        write_varint(out, count)


def _read_holdings(reader: Reader) -> Holdings:
    episode = reader.varint()
    held: list[tuple[int, int]] = []
    while not reader.at_end:
        player, count = reader.varints(2)
        if player >= _MAX_PLAYERS or (held and player <= held[-1][0]):
            raise ProtocolError("wrong shape")
        held.append((player, count))
    return Holdings(episode, tuple(held))


def _write_fragment(out: bytearray, message: Fragment) -> None:
    write_varint(out, message.number)
    write_varint(out, message.index)
    write_varint(out, message.count)
    out += message.data


def _read_fragment(reader: Reader) -> Fragment:
    return Fragment(reader.varint(), reader.varint(), reader.varint(), reader.rest())


def _write_inputs(out: bytearray, message: Inputs) -> None:
    write_varint(out, message.episode)
    write_varint(out, message.start)
    write_zigzag(out, message.advantage)
    out.append(message.delay)
    out.append(len(message.received))
    for count in message.received:
        write_varint(out, count)
    _write_blobs(out, message.inputs)


def _read_inputs(reader: Reader) -> Inputs:
    episode, start, zigzag, delay, players = reader.varints(5)
    if players > _MAX_PLAYERS or delay > MAX_INPUT_DELAY:
        raise ProtocolError("number out of range")
    received = tuple(reader.varints(players))
    advantage = (zigzag >> 1) ^ -(zigzag & 1)
    return Inputs(episode, start, received, advantage, _read_blobs(reader), delay)


def _write_blobs(out: bytearray, inputs: tuple[bytes, ...]) -> None:
    for data in inputs:
        write_varint(out, len(data))
        out += data


def _read_blobs(reader: Reader) -> tuple[bytes, ...]:
    inputs: list[bytes] = []
    while not reader.at_end:
        if len(inputs) == MAX_INPUTS_PER_MESSAGE:
            raise ProtocolError("too many inputs")
        inputs.append(reader.blob(MAX_INPUT_BYTES))
    return tuple(inputs)


_PING = struct.Struct("<IQ")
_PONG = struct.Struct("<IQQQ")


def _write_ping(out: bytearray, message: Ping) -> None:
    out += _PING.pack(message.number, message.sent_us)


def _read_ping(reader: Reader) -> Ping:
    return Ping(*unpack(_PING, reader))


def _write_pong(out: bytearray, message: Pong) -> None:
    out += _PONG.pack(message.number, message.sent_us, message.received_us, message.replied_us)


def _read_pong(reader: Reader) -> Pong:
    return Pong(*unpack(_PONG, reader))


_Write = Callable[[bytearray, Any], None]
_Read = Callable[[Reader], Message]

_TABLE: dict[type[Any], tuple[int, _Write, _Read]] = {
    Hello: (0x01, _write_hello, _read_hello),
    Refuse: (0x02, _write_refuse, _read_refuse),
    Ready: (0x03, _write_ready, _read_ready),
    Checksum: (0x04, _write_checksum, _read_checksum),
    Goodbye: (0x05, _write_goodbye, _read_goodbye),
    Fragment: (0x06, _write_fragment, _read_fragment),
    Share: (0x07, _write_share, _read_share),
    Holdings: (0x08, _write_holdings, _read_holdings),
    StatePart: (0x09, _write_state_part, _read_state_part),
    Inputs: (0x10, _write_inputs, _read_inputs),
    Ping: (0x11, _write_ping, _read_ping),
    Pong: (0x12, _write_pong, _read_pong),
}
_BY_KIND: dict[int, _Read] = {kind: read for kind, _, read in _TABLE.values()}


def encode(message: Message) -> bytes:
    """Return the message's bytes; a control message may be longer than one message may be (:func:`split`)."""
    kind, write, _ = _TABLE[type(message)]
    out = bytearray((kind,))
    write(out, message)
    return bytes(out)


def decode(data: bytes) -> Message:
    """Return the message that these bytes are.

    Raises:
        ProtocolError: they are none; its ``problem`` says why.
    """
    if not data:
        raise ProtocolError("empty message")
    if len(data) > MAX_CTRL_BYTES:
        raise ProtocolError("message too long")
    read = _BY_KIND.get(data[0])
    if read is None:
        raise ProtocolError("unknown kind of message")
    reader = Reader(data, 1)
    message = read(reader)
    if type(message) is not Hello:
        reader.finish()
    return message


_FRAGMENT_DATA_BYTES = MAX_MESSAGE_BYTES - 16  # the kind, and three varints of at most 5 bytes each


def split(data: bytes, number: int) -> list[bytes]:
    """Return the messages that carry ``data``: itself, or as many fragments as it needs.

    Args:
        data: an encoded control message of at most :data:`MAX_CTRL_BYTES`.
        number: tells this message's fragments from those of others; the caller counts up.
    """
    if len(data) <= MAX_MESSAGE_BYTES:
        return [data]
    pieces = [data[at : at + _FRAGMENT_DATA_BYTES] for at in range(0, len(data), _FRAGMENT_DATA_BYTES)]
    return [encode(Fragment(number, index, len(pieces), piece)) for index, piece in enumerate(pieces)]


class Reassembler:
    """Puts the fragments of one peer's control messages together (the channel keeps their order)."""

    def __init__(self) -> None:
        self._number = -1
        self._pieces: list[bytes] = []

    def add(self, fragment: Fragment) -> bytes | None:
        """Take a fragment; return the whole message once its last one is here.

        Raises:
            ProtocolError: the fragment does not continue what came before, or the whole is too long.
        """
        if fragment.index == 0:
            self._number, self._pieces = fragment.number, []
        if fragment.number != self._number or fragment.index != len(self._pieces):
            self._number, self._pieces = -1, []
            raise ProtocolError("fragment out of order")
        if fragment.count * _FRAGMENT_DATA_BYTES > MAX_CTRL_BYTES + _FRAGMENT_DATA_BYTES:
            raise ProtocolError("message too long")
        self._pieces.append(fragment.data)
        if len(self._pieces) < fragment.count:
            return None
        whole = b"".join(self._pieces)
        self._number, self._pieces = -1, []
        return whole
