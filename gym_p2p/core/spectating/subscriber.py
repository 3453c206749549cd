"""How a spectator follows a match: what arrives becomes episodes and frames, each once and in order.

An I/O-free machine, the other end of :mod:`gym_p2p.core.spectating.broadcaster`. It outlives its links: when
one player can show the match no more, it goes on with another one from where it stands.

::

    (no link) -- opened --> subscribed -- Welcome --> following -- Farewell --> (over) -- closed --> (no link)
    any -- silence, nonsense --> Broken, once; then closed

It knows frames as bytes. It knows no environment, no link and no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from gym_p2p.core.spectating.broadcaster import SIGN_OF_LIFE_S, SILENT_S
from gym_p2p.core.spectating.messages import (
    FEED_VERSION,
    Acknowledge,
    EpisodeOver,
    EpisodeShown,
    Farewell,
    FeedMessage,
    FrameDigest,
    FramesShown,
    Standing,
    Subscribe,
    Welcome,
    decode_feed,
    encode_feed,
)
from gym_p2p.core.wire.fragments import Reassembler
from gym_p2p.errors import ProtocolError

__all__ = ["Broken", "SendToPlayer", "Subscriber", "SubscriberEvent", "SubscriberOutput", "Welcomed"]

MAX_BACKLOG_FRAMES = 65_536
"""Frames that arrived and were not shown yet; beyond it nothing is taken. A quarter of an hour at 60 fps."""

DOUBTED_S = 3.0
"""A player whom the service has lost sight of has so long to give a sign of life; above its interval."""


@attrs.frozen
class SendToPlayer:
    """Request: send this to the player, on the reliable channel."""

    data: bytes


@attrs.frozen
class Welcomed:
    """What is played, as the player's handshake has it; sent again by every player who is followed."""

    description: Mapping[str, Any]


@attrs.frozen
class Broken:
    """Nothing more comes over this link: close it, and look for another player."""

    reason: str


SubscriberEvent = (
    Welcomed | EpisodeShown | FramesShown | FrameDigest | EpisodeOver | Farewell | Standing | Broken
)
SubscriberOutput = SendToPlayer | SubscriberEvent


class Subscriber:
    """One spectator's view of a match.

    Attributes:
        episode: the number of the newest episode that was begun; 0 before the first.
        frame: how many of its frames are here.
    """

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self.episode = 0
        self.frame = 0
        self._begun: EpisodeShown | None = None
        """The running episode; ``None`` while there is none."""
        self._linked = False
        self._welcomed = False
        self._received_at = self._sent_at = 0.0
        self._messages = self._acknowledged = 0
        self._arrived = self._shown = 0
        self._fragments = Reassembler()
        self._outputs: deque[SubscriberOutput] = deque()

    @property
    def place(self) -> tuple[int, int]:
        """The newest episode that was begun, 0 before the first, and how many of its frames are here."""
        return self.episode, self.frame

    # What happens.

    def opened(self, now: float) -> None:
        """Subscribe to the match at the other end of a new link, from where this spectator stands."""
        self._linked, self._welcomed = True, False
        self._received_at = now
        self._messages = self._acknowledged = 0
        self._fragments = Reassembler()
        if self._begun is None:
            self._send(Subscribe(FEED_VERSION, self.episode + 1 if self.episode else 0, 0), now)
        else:
            self._send(Subscribe(FEED_VERSION, self.episode, self.frame), now)

    def receive(self, data: bytes, now: float) -> None:
        """Take in a message; one that makes no sense ends the link."""
        if not self._linked:
            return
        self._received_at = now
        try:
            whole = self._fragments.add(data)
            if whole is not None:
                self._messages += 1
                self._handle(decode_feed(whole))
        except ProtocolError as error:
            self._break(error.problem)
            return
        self._acknowledge(now)

    def shown(self, frames: int, now: float) -> None:
        """Note that so many frames, of all that arrived, have been shown or are not wanted any more."""
        self._shown = max(self._shown, frames)
        self._acknowledge(now)

    def doubt(self, now: float) -> None:
        """Note that the player may be gone: a sign of life has to come soon."""
        self._received_at = min(self._received_at, now + DOUBTED_S - SILENT_S)

    def closed(self) -> None:
        """Note that the link is gone. Idempotent."""
        self._linked = False

    # Time.

    def handle_timeout(self, now: float) -> None:
        """Give a sign of life, and give up a link over which none comes."""
        if not self._linked:
            return
        if self._received_at + SILENT_S <= now:
            self._break("silent")
        elif self._sent_at + SIGN_OF_LIFE_S <= now:
            self._send(Acknowledge(self._acknowledged), now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` is due; ``None`` without a link."""
        return min(self._received_at + SILENT_S, self._sent_at + SIGN_OF_LIFE_S) if self._linked else None

    def poll(self) -> SubscriberOutput | None:
        """Return the next request or event, ``None`` when there is none."""
        return self._outputs.popleft() if self._outputs else None

    # Messages.

    def _handle(self, message: FeedMessage) -> None:
        if not self._welcomed and not isinstance(message, Welcome):
            raise ProtocolError("no welcome")
        match message:
            case Welcome(version, description):
                if version != FEED_VERSION:
                    raise ProtocolError(f"the player's version is {version}, the spectator's {FEED_VERSION}")
                self._welcomed = True
                self._outputs.append(Welcomed(description))
            case EpisodeShown():
                self._begin(message)
            case FramesShown():
                self._take_frames(message)
            case FrameDigest():
                if self._begun is not None and message.episode == self.episode:
                    self._outputs.append(message)
            case EpisodeOver():
                self._end(message)
            case Farewell() | Standing():
                self._outputs.append(message)
            case Subscribe() | Acknowledge():
                raise ProtocolError("a message that players do not send")

    def _begin(self, shown: EpisodeShown) -> None:
        if self._begun is not None and shown.episode == self.episode:
            if shown != self._begun:
                raise ProtocolError("one episode with two beginnings")
            return
        if shown.episode <= self.episode:
            raise ProtocolError("an old episode")
        if self._begun is not None:
            self._outputs.append(EpisodeOver(self.episode, self.frame, completed=False))
        self.episode, self.frame, self._begun = shown.episode, 0, shown
        self._outputs.append(shown)

    def _take_frames(self, shown: FramesShown) -> None:
        if not shown.frames:
            if self._begun is not None and shown.episode == self.episode:
                self._outputs.append(msgspec.structs.replace(shown, start=self.frame))
            return
        if self._begun is None or shown.episode != self.episode or shown.start != self.frame:
            raise ProtocolError("frames out of order")
        if len(shown.frames[0]) != self._seats:
            raise ProtocolError("another number of seats")
        self.frame += len(shown.frames)
        self._arrived += len(shown.frames)
        self._outputs.append(shown)

    def _end(self, over: EpisodeOver) -> None:
        if self._begun is None or over.episode != self.episode or over.frames != self.frame:
            raise ProtocolError("the end of something else")
        self._begun = None
        self._outputs.append(over)

    # What is sent.

    def _acknowledge(self, now: float) -> None:
        takes = self._arrived - self._shown <= MAX_BACKLOG_FRAMES
        if self._linked and takes and self._acknowledged < self._messages:
            self._acknowledged = self._messages
            self._send(Acknowledge(self._messages), now)

    def _send(self, message: FeedMessage, now: float) -> None:
        self._sent_at = now
        self._outputs.append(SendToPlayer(encode_feed(message)))

    def _break(self, reason: str) -> None:
        self._linked = False
        self._outputs.append(Broken(reason))
