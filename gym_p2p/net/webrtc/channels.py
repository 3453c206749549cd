"""The two data channels of a connection: how they are made, and that they are open before anything arrives.

Knows labels, ids, reliability and message sizes. Refuses to know the connection's life beyond "both open" and
"one has closed".
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from aiortc import RTCDataChannel, RTCPeerConnection

from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES
from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.links.transport import OnMessage
from gym_p2p.net.webrtc.association import Association
from gym_p2p.net.webrtc.stats import ChannelCounters

__all__ = ["Channels"]

_log = logging.getLogger(__name__)

_IDS = {Channel.GAME: 1000, Channel.CTRL: 1001}
"""Of channels that both sides create: above what is given out in turn, below Chromium's limit of 1,024."""

_RELIABILITY: dict[Channel, dict[str, Any]] = {
    Channel.GAME: {"ordered": False, "maxRetransmits": 0},
    Channel.CTRL: {"ordered": True},
}

MAX_EARLY_MESSAGES = 64
"""Kept from before our own side is open: the other side may be open, and sending, a round trip sooner."""


class Channels:
    """The channels of one connection.

    ``on_open`` is called once, when every required channel is open, and always before the first
    ``on_message``; ``on_close`` when any of them closes.
    """

    def __init__(
        self,
        pc: RTCPeerConnection,
        *,
        on_open: Callable[[], None],
        on_close: Callable[[], None],
        on_message: OnMessage,
    ) -> None:
        self._pc = pc
        self._on_open = on_open
        self._on_close = on_close
        self._on_message = on_message
        self._required = {Channel.GAME}
        self._channels: dict[Channel, ChannelCounters] = {}
        self._open = False
        self._early: list[tuple[Channel, bytes | str]] = []
        pc.on("datachannel", self._adopt)
        # Something has to be created for aiortc to have a transport that can gather.
        self._create(Channel.CTRL, negotiated=True)

    @property
    def counters(self) -> list[ChannelCounters]:
        """What went over each channel."""
        return list(self._channels.values())

    def expect(self, *, negotiated_game: bool, creates_game: bool) -> None:
        """Declare what the connection is to have: both channels by fixed ids, or the game channel in-band."""
        if negotiated_game:
            self._required.add(Channel.CTRL)
        if Channel.GAME not in self._channels and (negotiated_game or creates_game):
            self._create(Channel.GAME, negotiated=negotiated_game)

    def send(self, channel: Channel, data: bytes | str, association: Association) -> bool:
        """Send a message; False when it was not sent."""
        if not self._open or channel not in self._required:
            return False
        if channel is Channel.GAME and association.congested:
            return False
        size = _size(data)
        if size > MAX_MESSAGE_BYTES:
            _log.error("a message of %d bytes was not sent: the limit is %d", size, MAX_MESSAGE_BYTES)
            return False
        counters = self._channels[channel]
        try:
            association.send(counters.channel, data)
        except ConnectionError:
            return False
        counters.messages_sent += 1
        counters.bytes_sent += size
        return True

    def describe(self) -> str:
        """Return the channels' states in words."""
        return ", ".join(f"{c.value} {x.channel.readyState}" for c, x in self._channels.items())

    def _create(self, channel: Channel, *, negotiated: bool) -> None:
        options = {**_RELIABILITY[channel]}
        if negotiated:
            options |= {"negotiated": True, "id": _IDS[channel]}
        self._watch(channel, self._pc.createDataChannel(channel.value, **options))

    def _adopt(self, channel: RTCDataChannel) -> None:
        """Take in a channel that the other side opened: the first one named as the game channel."""
        if channel.label == Channel.GAME.value and Channel.GAME not in self._channels:
            self._watch(Channel.GAME, channel)
            self._check_open()
        else:
            _log.debug(
                "the other side opened a channel '%s', which nobody here uses", printable(channel.label)
            )

    def _watch(self, channel: Channel, data_channel: RTCDataChannel) -> None:
        counters = self._channels[channel] = ChannelCounters(data_channel)

        def receive(data: bytes | str) -> None:
            counters.messages_received += 1
            counters.bytes_received += _size(data)
            if self._open:
                self._on_message(channel, data)
            elif len(self._early) < MAX_EARLY_MESSAGES:
                self._early.append((channel, data))

        data_channel.on("message", receive)
        data_channel.on("open", self._check_open)
        data_channel.on("close", self._on_close)

    def _check_open(self) -> None:
        open_now = {c for c, x in self._channels.items() if x.channel.readyState == "open"}
        if self._open or not self._required <= open_now:
            return
        self._open = True
        self._on_open()
        early, self._early = self._early, []
        for channel, data in early:
            self._on_message(channel, data)


def _size(data: bytes | str) -> int:
    return len(data) if isinstance(data, bytes) else len(data.encode())
