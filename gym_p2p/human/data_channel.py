"""A pair of data channels to one page: ``game``, which loses and reorders, and ``ctrl``, which does not.

Knows which message goes by which, and frames in pieces. Refuses to know what messages mean. On the page
server's loop; loading this loads the library that speaks WebRTC.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from gym_p2p.config import LinkConfig
from gym_p2p.core.record.human import PageLink
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES
from gym_p2p.core.wire.messages import Channel
from gym_p2p.human.carriers import close_code
from gym_p2p.human.connections import Connections
from gym_p2p.human.messages import Offer, encode
from gym_p2p.human.person import ClosePage, Output, SendFrame, SendToPage
from gym_p2p.human.pieces import split
from gym_p2p.net.links.transport import LinkState
from gym_p2p.net.webrtc import PeerConnection

__all__ = ["ChannelCarrier", "answer_offer"]

_HELLO_LIMIT_S = 10.0
"""From an offer to the first message; the page itself waits for two seconds."""

_LOOK_AGAIN_S = 0.002
"""While the channel is congested: aiortc does not say when it no longer is."""


async def answer_offer(offer: Offer, link: LinkConfig, connections: Connections) -> str:
    """Answer a page's offer; what comes of it is one of its connections. Returns the answer's SDP.

    Raises:
        ProtocolError: the offer cannot be used.
        ConnectFailed: there is no address to offer.
    """
    number, carrier = connections.add(
        lambda number: ChannelCarrier(
            link,
            on_open=lambda: connections.opened(number),
            on_message=lambda data: connections.hear(number, data),
            on_free=lambda: connections.free(number),
            on_close=lambda: connections.closed(number),
        )
    )
    try:
        return await carrier.answer(offer)
    except BaseException:
        await carrier.close()
        connections.closed(number)
        raise


class ChannelCarrier:
    """A pair of data channels, made of a page's offer.

    Args:
        link: how to reach the page, and the path's emulation.
        on_open: called once, when both channels are open.
        on_message: takes what comes.
        on_free: called when a frame that :meth:`take` returned False for has gone.
        on_close: called when it is closed, by whomever, or says nothing in time.
    """

    link: PageLink = "datachannel"

    def __init__(
        self,
        link: LinkConfig,
        *,
        on_open: Callable[[], None],
        on_message: Callable[[str | bytes], None],
        on_free: Callable[[], None],
        on_close: Callable[[], None],
    ) -> None:
        self._on_open, self._on_close, self._on_free = on_open, on_close, on_free
        self._on_message = on_message
        self._pieces: deque[bytes] = deque()
        self._texts = 0
        self._again: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        self._too_late = loop.call_later(_HELLO_LIMIT_S, self._begin_closing)
        self._connection = PeerConnection(link=link, on_message=self._receive, on_state=self._changed)

    async def answer(self, offer: Offer) -> str:
        """Take a page's offer; return the answer's SDP.

        Raises:
            ProtocolError: the offer cannot be used.
            ConnectFailed: there is no address to offer.
        """
        answer = await self._connection.accept_offer(offer.sdp, negotiated_game=True)
        for candidate in offer.candidates:
            await self._connection.add_candidate(candidate)
        return answer

    def take(self, output: Output) -> bool:
        """Send, or close; return False while the line has no room for another frame."""
        match output:
            case SendToPage(_, text, may_get_lost=True):
                self._connection.send(Channel.GAME, text)
            case SendToPage(_, text):
                self._send_text(text)
            case SendFrame(_, number, data):
                self._pieces.extend(split(number, data))
                if self._again is None:
                    self._send_pieces()
            case ClosePage(_, reason):
                self._send_text(encode("closed", code=close_code(reason)))
                self._begin_closing()
        return not self._pieces

    async def close(self, limit_s: float = 0.0) -> None:
        """Send what was taken, for a while at most, and be closed. Idempotent."""
        del limit_s  # the connection has its own
        await asyncio.shield(self._begin_closing())

    def _begin_closing(self) -> asyncio.Task[None]:
        self._pieces.clear()
        for timer in (self._again, self._too_late):
            if timer is not None:
                timer.cancel()
        if self._closing is None:
            self._closing = asyncio.create_task(self._connection.close())
        return self._closing

    def _send_text(self, text: str) -> None:
        data = text.encode()
        if len(data) <= MAX_MESSAGE_BYTES:
            self._connection.send(Channel.CTRL, text)
            return
        self._texts += 1
        for piece in split(self._texts, data):
            self._connection.send(Channel.CTRL, piece)

    def _send_pieces(self) -> None:
        while self._pieces and self._connection.send(Channel.GAME, self._pieces[0]):
            self._pieces.popleft()
        if self._pieces and self._closing is None:
            self._again = asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        self._send_pieces()
        if not self._pieces and self._closing is None:
            self._on_free()

    def _changed(self, state: LinkState) -> None:
        if state is LinkState.OPEN:
            self._on_open()
        elif state is LinkState.CLOSED:
            self._begin_closing()
            self._on_close()

    def _receive(self, _channel: Channel, data: str | bytes) -> None:
        self._too_late.cancel()
        self._on_message(data)
