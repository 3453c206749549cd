"""The messages between two peers: one frozen class each, with its kind, its fields and their limits.

Knows bytes and limits; refuses to know what a message means. The layout is that of
:mod:`gym_p2p.core.wire.codec`; the greeting is :class:`Hello`. Test vectors of every message are in
``docs/vectors/peer.json``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from gym_p2p.core.wire.acting import ActingMessage, check_actors
from gym_p2p.core.wire.codec import (
    Codec,
    Count,
    Digest,
    JsonObject,
    PlayerIndex,
    Reason,
    Seed,
    Version,
    WireMessage,
)
from gym_p2p.core.wire.forwarded import Change, ForwardedControl, ForwardedGame
from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES
from gym_p2p.core.wire.past import PastMessage
from gym_p2p.core.wire.seats import MAX_SEATS
from gym_p2p.errors import ProtocolError

__all__ = [
    "INPUT_HEAD_BYTES",
    "MAX_DIFFERENCES",
    "MAX_INPUTS_PER_MESSAGE",
    "MAX_INPUT_BYTES",
    "MAX_INPUT_DELAY",
    "MAX_OPTIONS_BYTES",
    "PROTOCOL_VERSION",
    "SEAL_BYTES",
    "ActedFor",
    "Cause",
    "Channel",
    "Checksum",
    "Continue",
    "Goodbye",
    "Hello",
    "Holdings",
    "Inputs",
    "Message",
    "Ping",
    "Pong",
    "Ready",
    "Refuse",
    "Relay",
    "Resume",
    "Share",
    "StatePart",
    "decode",
    "encode",
    "encode_plain",
]

PROTOCOL_VERSION = 8

MAX_INPUT_BYTES = 512
"""So that a message holds at least two inputs beside its header."""

MAX_INPUTS_PER_MESSAGE = 256

MAX_INPUT_DELAY = 60
"""Frames; what a configuration may say."""

MAX_OPTIONS_BYTES = MAX_CTRL_BYTES - 256
"""As JSON: beside them there is room for all else in a message that carries them."""

MAX_DIFFERENCES = 64
"""Between what two players are going to play, as far as they are listed."""

_RELAY_HEAD_BYTES = 16
"""What a :class:`Relay` takes beside what it passes on, at most."""

INPUT_HEAD_BYTES = 3
"""What an input takes beside its own bytes, at most."""

SEAL_BYTES = 16
"""Of a seal and of its key: 128 bits."""

_Advantage = Annotated[int, msgspec.Meta(ge=-(2**62), lt=2**62)]
_Delay = Annotated[int, msgspec.Meta(ge=0, le=MAX_INPUT_DELAY)]
_Input = Annotated[bytes, msgspec.Meta(max_length=MAX_INPUT_BYTES)]
_Inputs = Annotated[tuple[_Input, ...], msgspec.Meta(max_length=MAX_INPUTS_PER_MESSAGE)]
_Micros = Annotated[int, msgspec.Meta(ge=0)]
_Seal = Annotated[bytes, msgspec.Meta(max_length=SEAL_BYTES)]
_Actors = Annotated[bytes, msgspec.Meta(max_length=MAX_INPUTS_PER_MESSAGE)]
_PingNumber = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]


class Channel(enum.Enum):
    """The two channels to a peer; the values are the DataChannels' labels."""

    GAME = "game"
    """Unordered and never retransmitted: inputs and pings."""
    CTRL = "ctrl"
    """Ordered and reliable: handshake, barriers, checksums, goodbye."""


class Cause(enum.StrEnum):
    """How a player came to be gone; the values are the exports' words."""

    LEFT = "peer_left"
    """They said goodbye."""
    LOST = "peer_lost"
    """Nothing arrives from them any more; others may still see them."""
    UNRESPONSIVE = "peer_unresponsive"
    """Their machine answers, but they do not do their part."""
    CRASHED = "peer_crashed"
    """Their process is gone: their own network half says so, or the service, or a link that was closed."""
    REMOVED = "peer_removed"
    """They sent more than enough of what the protocol does not allow."""
    AWAY = "peer_away"
    """They were away, and others have played for them: only another process of theirs may come back."""
    SUPERSEDED = "peer_superseded"
    """Another process of theirs has taken their place."""


class Hello(WireMessage, tag=0x01, frozen=True):
    """The first message on the control channel: what this side is going to play.

    Attributes:
        version: the sender's protocol version.
        description: what both sides must agree on, and (under ``"about"``) what they need not; empty where
            the version is not ours.
        key: what the recipient knows the sender's goodbye by, when another player passes it on, and the
            sender on a new link (:mod:`gym_p2p.core.match.seals`); the recipient's alone. Empty where the
            version is not ours, and where one of the two has come back: they have each other's from before.
        reconnect_ms: for how long the sender would wait for a player whose path is broken; all wait for as
            long as the least patient one would. 0: no path is rebuilt.
        rejoin_ms: the same for a player whose process has ended. 0: they cannot come back.
    """

    version: Version
    description: JsonObject
    key: _Seal
    reconnect_ms: Count
    rejoin_ms: Count


class Refuse(WireMessage, tag=0x02, frozen=True):
    """The sender will not play: ``differences`` are ``[what, the sender's, the recipient's]``."""

    differences: Annotated[tuple[tuple[str, str, str], ...], msgspec.Meta(max_length=MAX_DIFFERENCES)]


class Ready(WireMessage, tag=0x03, frozen=True):
    """The sender waits at the barrier before ``episode``.

    Attributes:
        episode: counted from 1.
        seed: the seed that the sender insists on; ``None`` leaves it to the others.
        options: ``reset``'s options; ``None`` is the same as an empty mapping.
        frames: how many inputs the sender gave in the episode before.
        delay: the sender's input delay as the episode begins.
    """

    episode: Count
    seed: Seed | None
    options: JsonObject | None
    frames: Count
    delay: _Delay

    def __post_init__(self) -> None:
        # Whoever takes it may have to pass it on: not only is what we send short enough for that.
        if self.options is not None and len(encode(self)) > MAX_CTRL_BYTES - _RELAY_HEAD_BYTES:
            raise ProtocolError("options too long")


class Checksum(WireMessage, tag=0x04, frozen=True):
    """The sender's digest of everything up to and including ``frame``."""

    episode: Count
    frame: Count
    digest: Digest


class Goodbye(WireMessage, tag=0x05, frozen=True):
    """The sender leaves.

    Attributes:
        reason: why, as in the exports' ``terminationReason``.
        episode: the one that the sender is in; 0 before the first.
        frames: how many inputs the sender gave in it.
        lost: the index of the player whose loss made the sender leave; ``None`` if it was not a loss.
        cause: how the lost player came to be gone; of the sender, where there is none.
        seals: one for each player, by which they know this for the sender's own words.
    """

    reason: Reason
    episode: Count
    frames: Count
    lost: PlayerIndex | None
    cause: Cause
    seals: Annotated[tuple[_Seal, ...], msgspec.Meta(max_length=MAX_SEATS)]

    def __post_init__(self) -> None:
        if self.lost is None and self.cause not in {Cause.LEFT, Cause.CRASHED}:
            raise ProtocolError("wrong shape")


class Share(WireMessage, tag=0x07, frozen=True):
    """Inputs of a third player, which the recipient may lack; they count once that player is gone.

    Attributes:
        episode: counted from 1.
        player: whose they are.
        start: the frame of the first one.
        actors: who chose each (:class:`~gym_p2p.core.wire.acting.ActedBy`); empty: the player all of them.
    """

    episode: Count
    player: Count
    start: Count
    inputs: _Inputs
    actors: _Actors

    def __post_init__(self) -> None:
        check_actors(self.actors, self.inputs)


class ActedFor(WireMessage, tag=0x18, frozen=True):
    """Inputs of a player who is away, given by the sender in their name; they count as theirs.

    Attributes:
        episode: counted from 1.
        player: whose they are.
        start: the frame of the first one.
        actors: as of a :class:`Share`.
    """

    episode: Count
    player: PlayerIndex
    start: Count
    inputs: _Inputs
    actors: _Actors

    def __post_init__(self) -> None:
        check_actors(self.actors, self.inputs)


class Holdings(WireMessage, tag=0x08, frozen=True):
    """The sender counts these players as gone, and holds so many inputs of each.

    Everything of theirs that the recipient may lack was sent before, as :class:`Share` and :class:`Relay`.
    Who is counted as gone is told so too, by one that names them alone: they are out of the match.

    Attributes:
        episode: the one that the sender is in.
        held: a player, a number of inputs and how they came to be gone, in the order of the players.
    """

    episode: Count
    held: tuple[tuple[PlayerIndex, Count, Cause], ...]

    def __post_init__(self) -> None:
        if any(one >= other for one, other in zip(self.gone, self.gone[1:], strict=False)):
            raise ProtocolError("wrong shape")

    @property
    def gone(self) -> tuple[int, ...]:
        """The players who are gone."""
        return tuple([player for player, _, _ in self.held])


class Relay(WireMessage, tag=0x0A, frozen=True):
    """What a third player sent, which the recipient may lack; it counts once that player is gone.

    Attributes:
        player: whose it is.
        message: their :class:`Ready` or :class:`Goodbye` as it came, encoded.
    """

    player: PlayerIndex
    message: Annotated[bytes, msgspec.Meta(max_length=MAX_CTRL_BYTES)]


class StatePart(WireMessage, tag=0x09, frozen=True):
    """A part of the sender's state after a frame at which the checksums differed."""

    episode: Count
    frame: Count
    index: Count
    count: Count
    data: bytes


class Resume(WireMessage, tag=0x0B, frozen=True):
    """The first message of a new link, made because the old one carries nothing: who is at this end of it.

    Attributes:
        attempt: of this pair of players to make one, counted from 1.
        proof: a digest of it, the incarnation and the link, under the key in the sender's greeting
            (:mod:`gym_p2p.core.match.seals`).
        incarnation: which process of the sender's this is, from 0. Who knows of an earlier one learns by it
            that the sender has come back, and holds nothing of the match.
    """

    attempt: Count
    proof: _Seal
    incarnation: Count


class Continue(WireMessage, tag=0x0C, frozen=True):
    """The sender takes this way from now on, and holds so many of the recipient's control messages.

    Those are all but :class:`Resume` and this, complete ones, over all ways so far.

    Attributes:
        change: of these two players' way, from 1 on; the recipient takes the way of the highest one, too.
    """

    control_count: Count
    change: Change


class Inputs(WireMessage, tag=0x10, frozen=True):
    """All inputs of the sender that the recipient has not acknowledged; one message a tick.

    Attributes:
        episode: counted from 1.
        start: the frame of the first input.
        received: for each player, how many of that player's frames the sender holds without a gap; the entry
            of the recipient is the acknowledgement.
        advantage: frames that the sender believes to be ahead of the recipient.
        inputs: one byte string a frame, in order.
        delay: the sender's input delay, by which the newest input is ahead of the sender's frame.
    """

    episode: Count
    start: Count
    received: Annotated[tuple[Count, ...], msgspec.Meta(max_length=MAX_SEATS)]
    advantage: _Advantage
    inputs: _Inputs
    delay: _Delay


class Ping(WireMessage, tag=0x11, frozen=True):
    """Asks for a :class:`Pong`; times are microseconds on the sender's monotonic clock.

    Attributes:
        control_count: how many of the recipient's control messages the sender holds.
    """

    number: _PingNumber
    sent_us: _Micros
    control_count: Count


class Pong(WireMessage, tag=0x12, frozen=True):
    """Answers a :class:`Ping` at once; two times of each clock, as in NTP."""

    number: _PingNumber
    sent_us: _Micros
    received_us: _Micros
    replied_us: _Micros


_AfterGreeting = (
    Refuse
    | Ready
    | Checksum
    | Goodbye
    | Share
    | Holdings
    | StatePart
    | Relay
    | Resume
    | Continue
    | ForwardedControl
    | ForwardedGame
    | Inputs
    | Ping
    | Pong
    | PastMessage
    | ActedFor
    | ActingMessage
)

Message = Hello | _AfterGreeting

_codec: Codec[Any] = Codec(
    _AfterGreeting, {Hello: lambda version: Hello(version, JsonObject({}), b"", 0, 0)}, PROTOCOL_VERSION
)

encode: Callable[[Message], bytes] = _codec.encode
encode_plain: Callable[[_AfterGreeting], bytes] = _codec.encode_plain
decode: Callable[[bytes], Message] = _codec.decode
