"""The wire format between a player and those who watch his match: one frozen class a message.

Knows bytes and limits; refuses to know what a message means. Whatever bytes arrive, :func:`decode` returns a
message or raises :class:`~gym_p2p.errors.ProtocolError`. The layout is that of
:mod:`gym_p2p.core.wire.messages`, with kinds of its own; what is longer than one message may be is split
there too. It all goes over the one reliable channel of a link that carries no match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from gym_p2p.core.wire.codec import Reader, read_mapping, write_json, write_varint
from gym_p2p.core.wire.messages import MAX_CTRL_BYTES, MAX_SEED
from gym_p2p.core.wire.seats import MAX_SEATS
from gym_p2p.errors import ProtocolError

__all__ = [
    "FEED_VERSION",
    "EpisodeOver",
    "EpisodeShown",
    "Farewell",
    "FeedMessage",
    "FrameDigest",
    "FramesShown",
    "Took",
    "Watch",
    "Welcome",
    "decode_feed",
    "encode_feed",
    "encode_frame",
    "frames_message",
]

FEED_VERSION = 1

_MAX_DIGEST_BYTES = 64
_MAX_REASON_CHARS = 200


@attrs.frozen
class Watch:
    """A spectator's first message: from where on he wants to be shown the match.

    Attributes:
        version: of this protocol.
        episode: the one that he has begun; 0 if none.
        frame: how many of its frames he has.
    """

    version: int
    episode: int = 0
    frame: int = 0


@attrs.frozen
class Took:
    """The spectator has so many messages of this link, its fragments counted as one. Also a sign of life."""

    messages: int


@attrs.frozen
class Welcome:
    """The player's first message: what is played, as his handshake with the other players has it."""

    version: int
    description: Mapping[str, Any]


@attrs.frozen
class EpisodeShown:
    """An episode of the match.

    Attributes:
        episode: counted from 1.
        seed: what every copy of the environment is reset with.
        options: the same.
        digest: over what ``reset`` gave, as a checked frame's.
        snapshots: how states are saved whose digests follow those of the frames; ``None`` where none do.
    """

    episode: int
    seed: int
    options: Mapping[str, Any]
    digest: bytes
    snapshots: str | None = None


@attrs.frozen
class FramesShown:
    """Confirmed frames, in order; without any it is a sign of life.

    Attributes:
        start: the first one's number.
        newest: how many frames of the episode the player has.
        frames: of each, every seat's encoded action.
    """

    episode: int
    start: int
    newest: int
    frames: tuple[tuple[bytes, ...], ...]


@attrs.frozen
class FrameDigest:
    """What the players compared of a frame, which may be an earlier one."""

    episode: int
    frame: int
    digest: bytes


@attrs.frozen
class EpisodeOver:
    """The episode has no more frames.

    Attributes:
        frames: how many it has.
        completed: whether the environment ended it, and not a reset or a departure.
    """

    episode: int
    frames: int
    completed: bool


@attrs.frozen
class Farewell:
    """The player leaves, for a reason in the words of the exports' ``terminationReason``."""

    reason: str


FeedMessage = Watch | Took | Welcome | EpisodeShown | FramesShown | FrameDigest | EpisodeOver | Farewell


def encode_frame(by_seat: Sequence[bytes]) -> bytes:
    """Return one frame as it stands in :class:`FramesShown`."""
    out = bytearray()
    for data in by_seat:
        write_varint(out, len(data))
        out += data
    return bytes(out)


def frames_message(episode: int, start: int, newest: int, seats: int, frames: Sequence[bytes]) -> bytes:
    """Return the bytes of a :class:`FramesShown` whose frames are encoded already."""
    out = bytearray((_TABLE[FramesShown][0],))
    for number in (episode, start, newest, seats):
        write_varint(out, number)
    out += b"".join(frames)
    return bytes(out)


def _write_watch(out: bytearray, message: Watch) -> None:
    for number in (message.version, message.episode, message.frame):
        write_varint(out, number)


def _read_watch(reader: Reader) -> Watch:
    return Watch(*reader.varints(3))


def _write_took(out: bytearray, message: Took) -> None:
    write_varint(out, message.messages)


def _read_took(reader: Reader) -> Took:
    return Took(reader.varint())


def _write_welcome(out: bytearray, message: Welcome) -> None:
    write_varint(out, message.version)
    write_json(out, dict(message.description))


def _read_welcome(reader: Reader) -> Welcome:
    version = reader.varint()
    rest = reader.rest()
    return Welcome(version, read_mapping(rest) if version == FEED_VERSION else {})


def _write_episode(out: bytearray, message: EpisodeShown) -> None:
    told = attrs.asdict(message, recurse=False)
    write_json(out, {**told, "options": dict(message.options), "digest": message.digest.hex()})


def _read_episode(reader: Reader) -> EpisodeShown:
    body = read_mapping(reader.rest())
    options, digest, snapshots = body.get("options"), body.get("digest"), body.get("snapshots")
    if not isinstance(options, dict) or not isinstance(digest, str) or not isinstance(snapshots, str | None):
        raise ProtocolError("wrong shape")
    episode, seed = _read_number(body, "episode"), _read_number(body, "seed")
    try:
        return EpisodeShown(episode, seed, options, _checked_digest(bytes.fromhex(digest)), snapshots)
    except ValueError:
        raise ProtocolError("wrong shape") from None


def _write_frames(out: bytearray, message: FramesShown) -> None:
    seats = len(message.frames[0]) if message.frames else 0
    frames = [encode_frame(by_seat) for by_seat in message.frames]
    out += frames_message(message.episode, message.start, message.newest, seats, frames)[1:]


def _read_frames(reader: Reader) -> FramesShown:
    episode, start, newest, seats = reader.varints(4)
    if seats > MAX_SEATS or (seats == 0 and not reader.at_end):
        raise ProtocolError("number out of range")
    frames: list[tuple[bytes, ...]] = []
    while not reader.at_end:
        frames.append(tuple([reader.blob(MAX_CTRL_BYTES) for _ in range(seats)]))
    return FramesShown(episode, start, newest, tuple(frames))


def _write_digest(out: bytearray, message: FrameDigest) -> None:
    write_varint(out, message.episode)
    write_varint(out, message.frame)
    out += message.digest


def _read_digest(reader: Reader) -> FrameDigest:
    return FrameDigest(reader.varint(), reader.varint(), _checked_digest(reader.rest()))


def _write_over(out: bytearray, message: EpisodeOver) -> None:
    write_varint(out, message.episode)
    write_varint(out, message.frames)
    write_varint(out, int(message.completed))


def _read_over(reader: Reader) -> EpisodeOver:
    episode, frames, completed = reader.varints(3)
    return EpisodeOver(episode, frames, completed != 0)


def _write_farewell(out: bytearray, message: Farewell) -> None:
    write_json(out, {"reason": message.reason})


def _read_farewell(reader: Reader) -> Farewell:
    reason = read_mapping(reader.rest()).get("reason")
    if not isinstance(reason, str) or len(reason) > _MAX_REASON_CHARS:
        raise ProtocolError("wrong shape")
    return Farewell(reason)


def _read_number(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEED:
        raise ProtocolError("wrong shape")
    return value


def _checked_digest(digest: bytes) -> bytes:
    if not 1 <= len(digest) <= _MAX_DIGEST_BYTES:
        raise ProtocolError("wrong shape")
    return digest


_Write = Callable[[bytearray, Any], None]
_Read = Callable[[Reader], FeedMessage]

_TABLE: dict[type[Any], tuple[int, _Write, _Read]] = {
    Watch: (0x40, _write_watch, _read_watch),
    Took: (0x41, _write_took, _read_took),
    Welcome: (0x42, _write_welcome, _read_welcome),
    EpisodeShown: (0x43, _write_episode, _read_episode),
    FramesShown: (0x44, _write_frames, _read_frames),
    FrameDigest: (0x45, _write_digest, _read_digest),
    EpisodeOver: (0x46, _write_over, _read_over),
    Farewell: (0x47, _write_farewell, _read_farewell),
}
_BY_KIND: dict[int, _Read] = {kind: read for kind, _, read in _TABLE.values()}


def encode_feed(message: FeedMessage) -> bytes:
    """Return the message's bytes, which may be more than one message may have (``messages.split``)."""
    kind, write, _ = _TABLE[type(message)]
    out = bytearray((kind,))
    write(out, message)
    return bytes(out)


def decode_feed(data: bytes) -> FeedMessage:
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
    reader.finish()
    return message
