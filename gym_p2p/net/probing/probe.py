"""ProbeConnection: a temporary connection to one peer, to measure how far away it is.

It connects as a match does (the same peer connection, negotiation and ICE policy), measures with
:mod:`gym_p2p.core.probing.burst`, answers the other side's pings for as long as it is open, and is closed. It
refuses to know who wants the figure and how signals travel (:mod:`gym_p2p.net.probing.manager`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gym_p2p.config import IceServer, LinkConfig
from gym_p2p.core.api.probes import ProbePath
from gym_p2p.core.latency.webrtc_stats import extract_connection, extract_round_trip
from gym_p2p.core.probing.burst import Burst, PingBurst, SendText
from gym_p2p.core.probing.statistics import PingStatistics
from gym_p2p.core.signaling.offerer import initiates, keeps
from gym_p2p.core.wire.messages import Channel
from gym_p2p.errors import ConnectFailed, P2PError, UsageError
from gym_p2p.net.connector import Connector
from gym_p2p.net.links.transport import LinkState
from gym_p2p.net.loop import LoopClock
from gym_p2p.net.webrtc import PeerConnection
from gym_p2p.processes.tasks import note_failure

__all__ = ["ProbeConnection"]

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
"""A browser's; below the 12 s after which the service gives up."""


class ProbeConnection:
    """One probe of one peer. Everything is called on the event loop's thread; :meth:`close` it in any case.

    Args:
        local_id: this subject.
        peer_id: the other one.
        send_signal: sends a type (``offer``, ``answer``, ``ice-candidate``) and W3C's payload to the peer.
        link: how peers are reached: that of the match to come.
        ice_servers: what the service handed out for this probe.
        peer_is_ours: whether the peer is this package too, and not a browser.
        burst: how much is measured.
        connect_timeout_s: from :meth:`start` to an open channel.
        on_connected: called once the channel is open.
        on_failed: called with the error when it does not come to that.
        on_closed: called when an open channel is closed, from whichever side.

    Attributes:
        failure: why there is no connection, a short fixed text; ``None`` while there may be one.
    """

    def __init__(
        self,
        *,
        local_id: str,
        peer_id: str,
        send_signal: Callable[[str, Mapping[str, Any]], None],
        link: LinkConfig | None = None,
        ice_servers: Sequence[IceServer] = (),
        peer_is_ours: bool = True,
        burst: Burst | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        on_connected: Callable[[], None] | None = None,
        on_failed: Callable[[P2PError], None] | None = None,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        self._link_config = LinkConfig() if link is None else link
        self._ice_servers = ice_servers
        self._connect_timeout_s = connect_timeout_s
        self._on_connected = on_connected
        self._on_failed = on_failed
        self._on_closed = on_closed
        self._burst = PingBurst(burst)
        self._clock = LoopClock(asyncio.get_running_loop())
        self._timer: asyncio.TimerHandle | None = None
        self._measured: asyncio.Future[PingStatistics | None] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False
        self.failure: str | None = None
        self._connection = self._make_connection()
        self._connector = Connector(
            local_id=local_id,
            remote_id=peer_id,
            make_connection=self._make_connection,
            send_signal=send_signal,
            remote_is_ours=peer_is_ours,
            timeout_s=connect_timeout_s,
            first=self._connection,
            offers_first=_offers_first(local_id, peer_id, peer_is_ours=peer_is_ours),
        )

    async def prepare(self) -> None:
        """Find our addresses ahead of time.

        Raises:
            ConnectFailed: there is none to offer; see :attr:`failure`.
        """
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._connection.gather()
        except (ConnectFailed, TimeoutError) as error:
            self.failure = "turn_unavailable" if self._link_config.relay_only else "no_address"
            if isinstance(error, ConnectFailed):
                raise
            raise ConnectFailed(
                "finding an address of our own",
                waited_s=self._connect_timeout_s,
                seen=self._connection.server_failures or "no answer of the ICE servers",
                advice="Check the ICE servers.",
            ) from None

    def start(self) -> None:
        """Connect, in the background. Idempotent; does nothing once closed."""
        if self._connecting is None and not self._closed:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add_done_callback(note_failure)

    async def connect(self) -> None:
        """Start, and return once the channel is open.

        Raises:
            ConnectFailed: it did not come to that; see :attr:`failure`.
            UsageError: it has been closed.
        """
        self.start()
        if self._closed or self._connecting is None:
            raise UsageError("this probe connection has been closed")
        await asyncio.shield(self._connecting)

    def receive_signal(self, kind: object, payload: object) -> None:
        """Take in a signal of the peer, at any time; one that makes no sense is dropped."""
        self._connector.receive_signal(kind, payload)

    def is_ready(self) -> bool:
        """Return whether the channel is open."""
        return self._connection.state is LinkState.OPEN

    async def measure_rtt(self) -> PingStatistics | None:
        """Measure by pings; takes a quarter of a second to three. Callers at the same time share one burst.

        Returns:
            The statistics, which may be of lost pings alone; ``None`` when the channel is not open, or
            closes meanwhile.
        """
        if not self.is_ready():
            return None
        if self._measured is None:
            self._measured = asyncio.get_running_loop().create_future()
            self._burst.start(self._clock.time())
            self._carry_on()
        return await asyncio.shield(self._measured)

    async def get_rtt(self) -> float | None:
        """Return the stats report's round trip in milliseconds: one fresh ICE check; ``None`` without one."""
        reading = extract_round_trip(await self._connection.getStats()) if self.is_ready() else None
        return None if reading is None else reading.rtt_ms

    async def get_path(self) -> ProbePath | None:
        """Return the kinds of the two addresses in use, as the stats report has them."""
        details = extract_connection(await self._connection.getStats()) if self.is_ready() else None
        if details is None:
            return None
        return ProbePath(
            local=details.local_candidate_type,
            remote=details.remote_candidate_type,
            protocol=details.protocol,
            relay_protocol=details.relay_protocol,
        )

    async def close(self) -> None:
        """Close the connection, whatever it is doing. Idempotent."""
        self._closed = True
        self._end_measuring(None)
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        await self._connection.close()

    # ---- connecting

    def _make_connection(self) -> PeerConnection:
        self._connection = PeerConnection(
            link=self._link_config,
            ice_servers=self._ice_servers,
            on_message=self._receive,
            on_state=self._state_changed,
        )
        return self._connection

    async def _connect(self) -> None:
        try:
            await self.prepare()
            await self._connector.connect()
        except P2PError as error:
            self.failure = self.failure or "not_connected"
            if self._on_failed is None:
                raise
            self._on_failed(error)
            raise
        if self._on_connected is not None:
            self._on_connected()

    def _state_changed(self, state: LinkState) -> None:
        if state is not LinkState.CLOSED:
            return
        self._burst.stop()
        self._carry_on()
        self._end_measuring(None)
        was_open = self._connecting is not None and self._connecting.done() and self.failure is None
        if was_open and self._on_closed is not None:
            self._on_closed()

    # ---- measuring

    def _receive(self, channel: Channel, data: bytes | str) -> None:
        if channel is Channel.GAME and isinstance(data, str):
            self._burst.receive(data, time.monotonic(), arrived=self._connection.arrived_at)
            self._carry_on()

    def _carry_on(self) -> None:
        """Carry out what the burst wants, and wake up again when it is due."""
        while (output := self._burst.poll()) is not None:
            match output:
                case SendText(text, number):
                    # One that cannot be sent is as good as lost.
                    if self._connection.send(Channel.GAME, text) and number is not None:
                        self._burst.sent(number, self._connection.sent_at)
                case PingStatistics():
                    self._end_measuring(output)
        due = None if self._closed else self._burst.next_timeout()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due is None else self._clock.call_at(due, self._wake)

    def _wake(self) -> None:
        self._burst.handle_timeout(self._clock.time())
        self._carry_on()

    def _end_measuring(self, statistics: PingStatistics | None) -> None:
        measured, self._measured = self._measured, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if measured is not None and not measured.done():
            measured.set_result(statistics)


def _offers_first(local_id: str, peer_id: str, *, peer_is_ours: bool) -> bool:
    """Return whether to begin with an offer: by the browsers' rule, and where that ties nobody waits."""
    rule = initiates(local_id, peer_id)
    if rule is not None:
        return rule
    return keeps(local_id, peer_id) if peer_is_ours else True
