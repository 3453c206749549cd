"""The product's own link as a wire, over its game channel."""

from __future__ import annotations

import asyncio
from typing import cast

from gym_p2p.bench.wires import OPEN_TIMEOUT_S, Receive, ignore
from gym_p2p.config import LinkConfig
from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.webrtc import PeerConnection

__all__ = ["OurWire"]


class OurWire:
    """See :class:`gym_p2p.bench.wires.Wire`."""

    def __init__(self) -> None:
        self.receive: Receive = ignore
        self._connection = PeerConnection(
            link=LinkConfig(), on_message=self._on_message, on_state=lambda _state: None
        )

    async def offer(self) -> str:
        """See :class:`gym_p2p.bench.wires.Wire`."""
        return await self._connection.create_offer(negotiated_game=True)

    async def answer(self, offer: str) -> str:
        """See :class:`gym_p2p.bench.wires.Wire`."""
        return await self._connection.accept_offer(offer, negotiated_game=True)

    async def finish(self, answer: str | None) -> None:
        """See :class:`gym_p2p.bench.wires.Wire`."""
        if answer is not None:
            await self._connection.accept_answer(answer)
        await asyncio.wait_for(self._connection.wait_until_open(), OPEN_TIMEOUT_S)
        self._connection.use_game_records()

    def send(self, data: bytes) -> None:
        """See :class:`gym_p2p.bench.wires.Wire`."""
        self._connection.send(Channel.GAME, data)

    async def close(self) -> None:
        """See :class:`gym_p2p.bench.wires.Wire`."""
        await self._connection.close()

    def _on_message(self, _channel: Channel, data: bytes | str) -> None:
        self.receive(cast("bytes", data))
