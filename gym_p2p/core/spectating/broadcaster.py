"""How a player shows a match to spectators: what is sent to whom, and when. The player owes them nothing.

An I/O-free machine over :mod:`gym_p2p.core.spectating.log`. Every spectator is a place in the log and a limit
of what may be on its way there, so that one who is slow, silent or gone costs the player nothing but that.

::

    opened -- Subscribe --> following -- Acknowledge, again and again --> ...
    any -- silent, takes nothing, or talks nonsense --> dropped

It knows frames as bytes. It knows no environment, no link and no clock.

Theory of the pace: what is due is sent in beats, each of which carries a limited number of bytes to all
spectators together. So a spectator who comes late gets the past many times faster than real time, while the
player's own messages, on the same machine and line, wait for a few datagrams at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.core.spectating.log import BroadcastLog, LoggedEpisode, Told
from gym_p2p.core.spectating.messages import (
    FEED_VERSION,
    FRAMES_HEAD_BYTES,
    Acknowledge,
    EpisodeOver,
    Farewell,
    FeedMessage,
    FramesShown,
    Standing,
    Subscribe,
    Welcome,
    decode_feed,
    encode_feed,
    encode_frames,
)
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES, split
from gym_p2p.errors import ProtocolError

__all__ = [
    "BEAT_S",
    "SIGN_OF_LIFE_S",
    "SILENT_S",
    "STALLED_S",
    "Broadcaster",
    "BroadcasterOutput",
    "DisconnectSpectator",
    "SendToSpectator",
]

BEAT_S = 0.05
"""Frames are sent in batches of so much time: a live view is at most this much later for it."""

BEAT_BYTES = 16 * 1024
"""To all spectators together: 320 KiB/s, thousands of ordinary frames in a beat."""

WINDOW_BYTES = 64 * 1024
"""On the way to one spectator, not acknowledged: four beats, so that 200 ms of RTT slow nothing."""

SIGN_OF_LIFE_S = 2.0
"""Both sides send something at least so often."""

SILENT_S = 10.0
"""A spectator from whom nothing has come for so long is dropped; above a few signs of life."""

STALLED_S = 30.0
"""One who takes nothing of what is on the way for so long is dropped, and may come again."""


_GOES_ON = Standing(())


@attrs.frozen
class SendToSpectator:
    """Request: send this to a spectator, on the reliable channel."""

    spectator: str
    data: bytes


@attrs.frozen
class DisconnectSpectator:
    """Request: close the link to this spectator, who is forgotten."""

    spectator: str
    reason: str


BroadcasterOutput = SendToSpectator | DisconnectSpectator


@attrs.define(eq=False)
class _Spectator:
    name: str
    received_at: float
    moved_at: float
    """When something was last acknowledged, or nothing was on its way."""
    sent_at: float
    subscription: Subscribe | None = None
    wants: int = 0
    """The number of the first episode that is still wanted."""
    log: LoggedEpisode | None = None
    """The episode that is being shown."""
    frame: int = 0
    digest: int = 0
    """How many of its frames and digests were sent."""
    standing: Standing = _GOES_ON
    """What they know of for whom the match stands."""
    messages: int = 0
    on_the_way: deque[int] = attrs.field(factory=deque)
    """Sizes of the newest of them, which were not acknowledged."""
    on_the_way_bytes: int = 0


class Broadcaster:
    """One player's spectators.

    Args:
        description: what is played, sent to each of them first.
    """

    def __init__(self, description: Mapping[str, Any], log: BroadcastLog | None = None) -> None:
        self._welcome = Welcome(FEED_VERSION, JsonObject(description))
        self._log = BroadcastLog() if log is None else log
        self._standing = _GOES_ON
        """For whom the match stands, as of now."""
        self._spectators: dict[str, _Spectator] = {}
        self._outputs: deque[BroadcasterOutput] = deque()
        self._beat_at = 0.0
        self._next_first = 0
        """Whose turn it is to be served first in a beat."""

    @property
    def owes(self) -> bool:
        """Whether somebody has not been sent, or not acknowledged, all that there is."""
        return any(self._has_more(one) or one.on_the_way for one in self._spectators.values())

    # What happens.

    def show(self, shown: Told) -> None:
        """Take in what became final, or for whom the match stands from now on."""
        if isinstance(shown, Standing):
            self._standing = shown
            return
        watched = [one.log.number for one in self._spectators.values() if one.log is not None]
        self._log.take(shown, min(watched, default=None))
        for one in self._spectators.values():
            log = one.log
            if log is not None and not self._log.keeps(log, one.frame):
                one.log, one.wants = None, log.number + 1

    def opened(self, spectator: str, now: float) -> None:
        """Note that the link to a spectator is open."""
        self._spectators[spectator] = one = _Spectator(spectator, now, now, now)
        self._send(one, self._welcome, now)

    def receive(self, spectator: str, data: bytes, now: float) -> None:
        """Take in a message of a spectator; one that makes no sense is the last."""
        one = self._spectators.get(spectator)
        if one is None:
            return
        try:
            self._handle(one, decode_feed(data), now)
        except ProtocolError as error:
            self._drop(one, error.problem)

    def closed(self, spectator: str) -> None:
        """Forget a spectator whose link is gone. Idempotent."""
        self._spectators.pop(spectator, None)

    def farewell(self, reason: str, now: float) -> None:
        """Tell everybody that the player leaves, with what may still be sent to them before that."""
        for one in list(self._spectators.values()):
            self._send_due(one, WINDOW_BYTES, now)
            self._send(one, Farewell(reason), now)

    # Time.

    def handle_timeout(self, now: float) -> None:
        """Send what is due, and drop those who have been silent for too long."""
        for one in list(self._spectators.values()):
            if one.received_at + SILENT_S <= now:
                self._drop(one, "silent")
            elif one.on_the_way and one.moved_at + STALLED_S <= now:
                self._drop(one, "takes nothing")
        if self._beat_at <= now:
            self._beat(now)
        for one in self._spectators.values():
            if one.sent_at + SIGN_OF_LIFE_S <= now:
                self._send_sign_of_life(one, now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` is due; ``None`` while there is no spectator."""
        everyone = self._spectators.values()
        times = [min(one.received_at + SILENT_S, one.sent_at + SIGN_OF_LIFE_S) for one in everyone]
        times += [one.moved_at + STALLED_S for one in everyone if one.on_the_way]
        if any(map(self._may_send, everyone)):
            times.append(self._beat_at)
        return min(times, default=None)

    def poll(self) -> BroadcasterOutput | None:
        """Return the next request, ``None`` when there is none."""
        return self._outputs.popleft() if self._outputs else None

    # One spectator.

    def _handle(self, one: _Spectator, message: FeedMessage, now: float) -> None:
        match message:
            case Subscribe():
                self._subscribe(one, message)
            case Acknowledge():
                self._acknowledged(one, message, now)
            case _:
                raise ProtocolError("a message that spectators do not send")
        one.received_at = now

    def _subscribe(self, one: _Spectator, wanted: Subscribe) -> None:
        if one.subscription is not None:
            raise ProtocolError("second subscription")
        if wanted.version != FEED_VERSION:
            raise ProtocolError(f"the spectator's version is {wanted.version}, the player's {FEED_VERSION}")
        one.subscription = wanted
        newest = self._log.newest
        if wanted.episode:
            one.wants = wanted.episode
        elif newest is not None:
            one.wants = newest.number + (newest.completed is not None)

    def _acknowledged(self, one: _Spectator, acknowledge: Acknowledge, now: float) -> None:
        fresh = acknowledge.messages - (one.messages - len(one.on_the_way))
        if fresh > len(one.on_the_way):
            raise ProtocolError("acknowledgement of what was not sent")
        for _ in range(fresh):
            one.on_the_way_bytes -= one.on_the_way.popleft()
            one.moved_at = now

    def _drop(self, one: _Spectator, reason: str) -> None:
        del self._spectators[one.name]
        self._outputs.append(DisconnectSpectator(one.name, reason))

    def _send(self, one: _Spectator, message: FeedMessage, now: float) -> int:
        return self._send_bytes(one, encode_feed(message), now)

    def _send_bytes(self, one: _Spectator, data: bytes, now: float) -> int:
        if not one.on_the_way:
            one.moved_at = now
        one.messages += 1
        one.on_the_way.append(len(data))
        one.on_the_way_bytes += len(data)
        one.sent_at = now
        for piece in split(data, one.messages):
            self._outputs.append(SendToSpectator(one.name, piece))
        return len(data)

    def _send_sign_of_life(self, one: _Spectator, now: float) -> None:
        log = one.log
        if log is None:
            self._send(one, FramesShown(0, 0, 0, ()), now)
        else:
            self._send(one, FramesShown(log.number, one.frame, log.count, ()), now)

    # What is due.

    def _beat(self, now: float) -> None:
        """Serve everybody in turn, another one first in each beat, until the beat's bytes are spent."""
        order = list(self._spectators.values())
        if not order:
            return
        self._next_first = (self._next_first + 1) % len(order)
        left = BEAT_BYTES
        for one in order[self._next_first :] + order[: self._next_first]:
            if left > 0 and self._may_send(one):
                left -= self._send_due(one, left, now)
        if left < BEAT_BYTES:
            self._beat_at = now + BEAT_S

    def _may_send(self, one: _Spectator) -> bool:
        return one.on_the_way_bytes < WINDOW_BYTES and self._has_more(one)

    def _has_more(self, one: _Spectator) -> bool:
        log = one.log
        if one.subscription is not None and one.standing != self._standing:
            return True
        if log is None:
            return one.subscription is not None and self._next_episode(one) is not None
        return one.frame < log.count or one.digest < log.digest_count or log.completed is not None

    def _next_episode(self, one: _Spectator) -> LoggedEpisode | None:
        """Return the first episode that can still be shown to a spectator from where it is wanted."""
        log = self._log.first_from(one.wants)
        while log is not None and log.base > self._first_frame(one, log):
            log = self._log.first_from(log.number + 1)
        return log

    @staticmethod
    def _first_frame(one: _Spectator, log: LoggedEpisode) -> int:
        return (
            one.subscription.frame
            if one.subscription is not None and one.subscription.episode == log.number
            else 0
        )

    def _send_due(self, one: _Spectator, limit_bytes: int, now: float) -> int:
        """Send up to about so many bytes; return how many they were."""
        sent = 0
        while sent < limit_bytes and self._may_send(one):
            sent += self._send_next(one, now)
        return sent

    def _send_next(self, one: _Spectator, now: float) -> int:
        log = one.log
        if one.standing != self._standing:
            one.standing = self._standing
            return self._send(one, self._standing, now)
        if log is None:
            return self._enter(one, now)
        if one.frame < log.count:
            frames = log.piece(one.frame, MAX_MESSAGE_BYTES - FRAMES_HEAD_BYTES)
            data = encode_frames(log.number, one.frame, log.count, frames)
            one.frame += len(frames)
            return self._send_bytes(one, data, now)
        if one.digest < log.digest_count:
            one.digest += 1
            return self._send(one, log.digest(one.digest - 1), now)
        one.log, one.wants = None, log.number + 1
        return self._send(one, EpisodeOver(log.number, log.count, completed=log.completed is True), now)

    def _enter(self, one: _Spectator, now: float) -> int:
        log = self._next_episode(one)
        assert log is not None  # noqa: S101 - there is more to show
        one.log, one.frame = log, self._first_frame(one, log)
        one.digest = log.digests_from(one.frame)
        return self._send(one, log.begun, now)
