"""What carries the messages of one connection: two data channels, and game messages beside SCTP.

Knows which of them a message takes. Refuses to know how the connection comes about, and what messages mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from aiortc import RTCPeerConnection

from gym_p2p.config import LinkEmulation
from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.links.transport import OnMessage
from gym_p2p.net.webrtc.association import Association
from gym_p2p.net.webrtc.channels import Channels
from gym_p2p.net.webrtc.game_way import GameWay
from gym_p2p.net.webrtc.internals import Internals
from gym_p2p.net.webrtc.records import Records
from gym_p2p.net.webrtc.sockets import Sockets

__all__ = ["Carriers"]

_GAME = Channel.GAME

LINGER_S = 0.5
"""How long closing waits for the other side to have got what must arrive."""


class Carriers:
    """Made once for a connection, before it has gathered anything.

    ``on_open`` and ``on_close`` are of the channels; ``on_game_transport`` is called when game messages go
    back from records to the channel, and when they go by records again.

    Attributes:
        channels: the two data channels.
        layers: those of aiortc under them.
        sockets: below everything.
        records: the DTLS layer.
        game_way: game messages beside SCTP.
    """

    def __init__(
        self,
        pc: RTCPeerConnection,
        emulation: LinkEmulation,
        *,
        on_open: Callable[[], None],
        on_close: Callable[[], None],
        on_message: OnMessage,
        on_game_transport: Callable[[], None],
    ) -> None:
        self.channels = Channels(pc, on_open=on_open, on_close=on_close, on_message=on_message)
        self.layers = layers = Internals.of(pc)  # which are there because a channel is
        self._association = Association(layers.sctp)
        self.sockets = Sockets(layers.connection, emulation, on_round_trip=self._association.note_round_trip)
        self.records = Records(layers, self.sockets.send_record)
        self.game_way = GameWay(
            send=self.records.send,
            heard_at=lambda: self.sockets.heard_at,
            on_message=partial(on_message, Channel.GAME),
            on_change=on_game_transport,
        )
        self.sockets.on_record = self.records.receive
        self.records.on_game_record = self.game_way.receive

    def send(self, channel: Channel, data: bytes | str) -> bool:
        """Send one message of an open connection, by the way that is right for it at present."""
        if channel is _GAME and isinstance(data, bytes):
            sent = self.game_way.send(data)
            if sent is not None:
                return sent
        return self.channels.send(channel, data, self._association)

    async def linger(self, is_connected: Callable[[], bool]) -> None:
        """Wait until the other side has got what must arrive, for a while."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LINGER_S
        # aiortc announces no acknowledgements, hence the looking again and again.
        while self._association.owes and loop.time() < until and is_connected():  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.002)
        # What aiortc itself has queued goes out when the loop turns.
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Measure, repeat and send nothing any more. Idempotent."""
        await self.sockets.round_trips.close()
        self.records.close()
        self.game_way.close()
        self._association.close()
