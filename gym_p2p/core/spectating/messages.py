"""The messages between a player and those who watch the player's match: one frozen class each.

Knows bytes and limits; refuses to know what a message means. The layout is that of
:mod:`gym_p2p.core.wire.codec`, with kinds of its own; the greetings are :class:`Subscribe` and
:class:`Welcome`. It all goes over the one reliable channel of a link that carries no match. Test vectors of
every message are in ``docs/vectors/peer.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import msgspec

from gym_p2p.core.wire.codec import Codec, Count, Digest, JsonObject, Reason, Seed, Version, WireMessage
from gym_p2p.core.wire.seats import MAX_SEATS, SeatId, is_seat_id
from gym_p2p.errors import ProtocolError

__all__ = [
    "FEED_VERSION",
    "FRAMES_HEAD_BYTES",
    "Acknowledge",
    "EpisodeOver",
    "EpisodeShown",
    "Farewell",
    "FeedMessage",
    "FrameDigest",
    "FramesShown",
    "Standing",
    "Subscribe",
    "Wait",
    "Welcome",
    "decode_feed",
    "encode_feed",
    "encode_frame",
    "encode_frames",
]

FEED_VERSION = 4
"""3 did not say for whom a match stands."""

FRAMES_HEAD_BYTES = 34
"""Of a :class:`FramesShown`, at most: its head and kind, three numbers (9 each), its frames' head (5)."""

_FRAMES_SHOWN = 0x44

_Frame = Annotated[tuple[bytes, ...], msgspec.Meta(min_length=1, max_length=MAX_SEATS)]


class Subscribe(WireMessage, tag=0x40, frozen=True):
    """A spectator's first message: from where on the match is to be shown.

    Attributes:
        version: of this protocol.
        episode: the one that the spectator has begun; 0 if none.
        frame: how many of its frames the spectator has.
    """

    version: Version
    episode: Count
    frame: Count


class Acknowledge(WireMessage, tag=0x41, frozen=True):
    """The spectator has so many messages of this link, its fragments counted as one. Also a sign of life."""

    messages: Count


class Welcome(WireMessage, tag=0x42, frozen=True):
    """The player's first message: what is played, as the handshake with the other players has it."""

    version: Version
    description: JsonObject


class EpisodeShown(WireMessage, tag=0x43, frozen=True):
    """An episode of the match.

    Attributes:
        episode: counted from 1.
        seed: what every copy of the environment is reset with.
        options: the same.
        digest: over what ``reset`` gave, as a checked frame's.
        snapshots: how states are saved whose digests follow those of the frames; ``None`` where none do.
    """

    episode: Count
    seed: Seed
    options: JsonObject
    digest: Digest
    snapshots: Annotated[str, msgspec.Meta(max_length=64)] | None


class FramesShown(WireMessage, tag=_FRAMES_SHOWN, frozen=True):
    """Confirmed frames, in order; without any it is a sign of life.

    Attributes:
        start: the first one's number.
        newest: how many frames of the episode the player has.
        frames: of each, every seat's encoded action.
    """

    episode: Count
    start: Count
    newest: Count
    frames: tuple[_Frame, ...]

    def __post_init__(self) -> None:
        if len(set(map(len, self.frames))) > 1:
            raise ProtocolError("wrong shape")


class FrameDigest(WireMessage, tag=0x45, frozen=True):
    """What the players compared of a frame, which may be an earlier one."""

    episode: Count
    frame: Count
    digest: Digest


class EpisodeOver(WireMessage, tag=0x46, frozen=True):
    """The episode has no more frames.

    Attributes:
        frames: how many it has.
        completed: whether the environment ended it, and not a reset or a departure.
    """

    episode: Count
    frames: Count
    completed: bool


class Farewell(WireMessage, tag=0x47, frozen=True):
    """The player leaves, for a reason in the words of the exports' ``terminationReason``."""

    reason: Reason


Wait = tuple[
    Annotated[tuple[SeatId, ...], msgspec.Meta(min_length=1, max_length=MAX_SEATS)],
    Literal["input", "silent", "reset", "away"],
    Count,
    Count,
]
"""What a match stands for: the ids of who is waited for; that they do not play (``input``), that nothing
arrives from them (``silent``), that they have not begun the next episode (``reset``), or that their process
has ended (``away``); for how many milliseconds they were waited for when this was said; and for how many they
are at most."""


class Standing(WireMessage, tag=0x48, frozen=True):
    """For whom the match stands, at the player who shows it; without any it goes on."""

    waits: Annotated[tuple[Wait, ...], msgspec.Meta(max_length=MAX_SEATS)]

    def __post_init__(self) -> None:
        if not all(is_seat_id(player) for players, *_ in self.waits for player in players):
            raise ProtocolError("wrong shape")


FeedMessage = (
    Subscribe
    | Acknowledge
    | Welcome
    | EpisodeShown
    | FramesShown
    | FrameDigest
    | EpisodeOver
    | Farewell
    | Standing
)

_codec: Codec[Any] = Codec(
    Acknowledge | EpisodeShown | FramesShown | FrameDigest | EpisodeOver | Farewell | Standing,
    {
        Subscribe: lambda version: Subscribe(version, 0, 0),
        Welcome: lambda version: Welcome(version, JsonObject({})),
    },
    FEED_VERSION,
)

encode_feed: Callable[[FeedMessage], bytes] = _codec.encode
decode_feed: Callable[[bytes], FeedMessage] = _codec.decode


class _EncodedFrames(WireMessage, tag=_FRAMES_SHOWN, frozen=True):
    """A :class:`FramesShown` to be sent, whose frames are bytes already."""

    episode: int
    start: int
    newest: int
    frames: Sequence[msgspec.Raw]


_encoder = msgspec.msgpack.Encoder()


def encode_frame(by_seat: Sequence[bytes]) -> bytes:
    """Return one frame as it stands in :class:`FramesShown`."""
    return _encoder.encode(by_seat)


def encode_frames(episode: int, start: int, newest: int, frames: Sequence[bytes]) -> bytes:
    """Return the bytes of a :class:`FramesShown` whose frames are encoded already, once for all."""
    return _encoder.encode(_EncodedFrames(episode, start, newest, list(map(msgspec.Raw, frames))))
