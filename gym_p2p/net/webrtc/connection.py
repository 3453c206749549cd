"""One WebRTC connection to one peer: two data channels, made and kept the way this package needs them.

Knows descriptions, channels and states. Refuses to know who the peer is, how descriptions travel
(:mod:`gym_p2p.net.connector`) and what messages mean.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiortc import RTCConfiguration, RTCIceTransportPolicy, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcicetransport import RTCIceCandidate

from gym_p2p.config import IceServer, LinkConfig
from gym_p2p.core.wire.messages import Channel
from gym_p2p.errors import ConnectFailed, ProtocolError, UsageError
from gym_p2p.net.links.transport import LinkState, OnMessage, OnState
from gym_p2p.net.webrtc.carriers import Carriers
from gym_p2p.net.webrtc.descriptions import (
    RemoteDescription,
    candidate_payload,
    parse_candidate,
    parse_description,
    without_end,
)
from gym_p2p.net.webrtc.gathering import Gatherer
from gym_p2p.net.webrtc.remote_candidates import RemoteCandidates, in_numbers
from gym_p2p.net.webrtc.stats import PathNow, build_report, path_now
from gym_p2p.processes.tasks import note_failure

__all__ = ["OnCandidate", "PeerConnection"]

_log = logging.getLogger(__name__)

OnCandidate = Callable[[Mapping[str, Any]], None]

CLOSE_TIMEOUT_S = 3.0
"""Longer than an emulated path drains; a TURN server that is gone would take a minute."""

_OPEN = LinkState.OPEN

_HANDLER_FAILED = "a handler of a peer connection failed"


class PeerConnection:
    """A link to one peer (:class:`gym_p2p.net.links.transport.Link`).

    Make it, and call everything, on the event loop's thread. ``gather`` may be called long before a peer
    is known. Then either ``create_offer`` and ``accept_answer``, or ``accept_offer``; ``add_candidate``
    after the remote description. ``close`` it in any case, also when it failed or was never used: it owns
    sockets.

    ``negotiated_game`` says that the other side is this class too: both then create both channels with fixed
    ids, which saves a round trip. Otherwise (a browser) there is the game channel alone, created by the one
    who offers.

    ``on_message`` is first called after ``on_state(OPEN)``. ``on_candidate`` is given W3C payloads of
    candidates found after the description was made. ``on_game_transport`` is called when game messages take
    another way than they took, see :meth:`use_game_records`. What any of them raises is logged and goes no
    further.
    """

    def __init__(
        self,
        *,
        link: LinkConfig,
        ice_servers: Sequence[IceServer] = (),
        on_message: OnMessage,
        on_state: OnState,
        on_candidate: OnCandidate | None = None,
    ) -> None:
        self._on_message = on_message
        self._on_state = on_state
        self.on_candidate = on_candidate
        self.on_game_transport: Callable[[], None] | None = None
        self._state = LinkState.CONNECTING
        self._settled: asyncio.Future[LinkState] = asyncio.get_running_loop().create_future()
        policy = RTCIceTransportPolicy.RELAY if link.relay_only else RTCIceTransportPolicy.ALL
        # Never None, which would mean a public STUN server; ours are queried by the gatherer.
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[], iceTransportPolicy=policy))
        self._carriers = Carriers(
            self._pc,
            link.emulation,
            on_open=lambda: self._advance(LinkState.OPEN),
            on_close=lambda: self._advance(LinkState.CLOSED),
            on_message=self._receive,
            on_game_transport=self._game_transport_changed,
        )
        self._layers = self._carriers.layers
        self._sockets = self._carriers.sockets
        self._gatherer = Gatherer(
            self._layers.connection,
            servers=(*ice_servers, *link.ice_servers),
            relay_only=link.relay_only,
            prepare=self._sockets.prepare,
            on_late=self._announce,
        )
        replaced: Any = self._layers.connection
        replaced.gather_candidates = self._gatherer.gather
        replaced.query_consent = _no_consent_checks
        self._gathering: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._remote = RemoteCandidates(self._layers.ice)
        self._described = False
        self._remote_ufrag: str | None = None
        self._pc.on("connectionstatechange", self._connection_changed)
        self._pc.on("iceconnectionstatechange", self._ice_changed)

    @property
    def state(self) -> LinkState:
        """Where the link is in its life."""
        return self._state

    @property
    def binding(self) -> bytes:
        """What the ends of this DTLS session alone know; see :class:`gym_p2p.net.links.transport.Link`."""
        return self._carriers.records.binding

    @property
    def connectionState(self) -> str:  # noqa: N802  # W3C's name, which telemetry reads on any peer connection
        """W3C's ``RTCPeerConnectionState``, without ``disconnected``."""
        return self._pc.connectionState

    @property
    def sent_at(self) -> float:
        """When the newest datagram of a channel was handed to a socket, in monotonic seconds."""
        return self._sockets.sent_at

    @property
    def arrived_at(self) -> float:
        """When the newest one came out of a socket; within ``on_message``: the message's own."""
        return self._sockets.arrived_at

    async def gather(self) -> None:
        """Bind our addresses and query the ICE servers for more; returns when a description can be made.

        Raises:
            ConnectFailed: there is no address to offer.
        """
        if self._closing is not None:
            raise UsageError("this connection is closed")
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().create_task(self._gather())
            self._gathering.add_done_callback(note_failure)
        await asyncio.shield(self._gathering)

    def ask_ice_servers(self, servers: Sequence[IceServer]) -> None:
        """Query these servers too: for a connection gathered before the match handed them out.

        What they answer is in the description, or goes to ``on_candidate`` when that is out already.
        """
        self._gatherer.add_servers(servers)

    async def create_offer(self, *, negotiated_game: bool) -> str:
        """Return our offer's SDP.

        Raises:
            ConnectFailed: there is no address to offer.
            UsageError: closed, or already described.
        """
        await self._prepare(negotiated_game=negotiated_game, creates_game=True)
        return await self._describe_local()

    async def accept_offer(self, sdp: str, *, negotiated_game: bool) -> str:
        """Apply the other side's offer and return our answer's SDP.

        Raises:
            ProtocolError: the offer cannot be used; the connection is as it was.
            ConnectFailed: there is no address to offer.
            UsageError: closed, or already described.
        """
        remote = parse_description("offer", sdp)
        await self._prepare(negotiated_game=negotiated_game, creates_game=False)
        await self._apply("offer", remote)
        return await self._describe_local()

    async def accept_answer(self, sdp: str) -> None:
        """Apply the other side's answer to our offer.

        Raises:
            ProtocolError: the answer cannot be used, or none is expected; the offer still stands.
        """
        remote = parse_description("answer", sdp)
        if self._pc.signalingState != "have-local-offer":
            raise ProtocolError("answer without an offer")
        await self._apply("answer", remote)

    async def add_candidate(self, payload: Mapping[str, Any] | None) -> None:
        """Add a candidate of the other side, W3C's ``RTCIceCandidateInit``; without one, do nothing.

        Raises:
            ProtocolError: it cannot be read, or came before the remote description.
        """
        text = payload.get("candidate") if payload is not None else None
        if payload is None or not text:
            return
        if not isinstance(text, str):
            raise ProtocolError("candidate that is not a text")
        if self._remote_ufrag is None:
            raise ProtocolError("candidate before the description")
        if payload.get("usernameFragment", self._remote_ufrag) not in {self._remote_ufrag, None, ""}:
            return
        candidate = parse_candidate(text)
        if candidate is not None:
            await self._remote.add(candidate)

    async def wait_until_open(self) -> None:
        """Return once the link is open.

        Raises:
            ConnectionError: it was closed, or failed, before.
        """
        if await asyncio.shield(self._settled) is not LinkState.OPEN:
            raise ConnectionError(self.describe())

    def send(self, channel: Channel, data: bytes | str) -> bool:
        """Send one message of at most 1,160 bytes; see :meth:`gym_p2p.net.links.transport.Link.send`."""
        return self._state is _OPEN and self._carriers.send(channel, data)

    def use_game_records(self) -> None:
        """Send game messages as DTLS records beside SCTP, as soon as those are seen to arrive.

        Both sides have to call it. Messages go over the channel until then, and again whenever records do not
        arrive though the path is alive: ``on_game_transport`` is called then, and when they go by records
        again.
        """
        if self._state is LinkState.OPEN:
            self._carriers.game_way.agree()

    def keep_game_channel(self) -> None:
        """Send game messages over the channel for good, for one of the two sides knows no other way."""
        self._carriers.game_way.refuse()

    async def getStats(self) -> dict[str, dict[str, Any]]:  # noqa: N802  # W3C's name
        """Return a W3C stats report, after measuring a fresh round trip if there is a connection.

        Takes a round trip, or two seconds when nothing comes back: ``responsesReceived`` is then unchanged.
        """
        await self._sockets.round_trips.measure()
        counters = self._carriers.channels.counters
        report = build_report(self._layers, self._sockets.round_trips, self._sockets.traffic(), counters)
        return report | self._carriers.game_way.report()

    def path_now(self) -> PathNow:
        """Return the path's state and candidates, without measuring."""
        return path_now(self._layers, self._sockets.round_trips)

    @property
    def server_failures(self) -> str:
        """Which STUN and TURN servers gave us nothing, and why, in words; empty where none has failed."""
        return self._gatherer.failures

    def describe(self) -> str:
        """Return in words what was seen of both sides, for messages about a failure."""
        local = Counter(c.type for c in self._layers.connection.local_candidates)
        servers = " (servers still queried)" if self._gatherer.pending else ""
        if self._gatherer.failures:
            servers += f" ({self._gatherer.failures})"
        return (
            f"our candidates: {in_numbers(local)}{servers}; "
            f"theirs: {in_numbers(self._remote.seen)}; ICE {self._layers.ice.state}, "
            f"DTLS {self._layers.dtls.state}, SCTP {self._layers.sctp.state}; "
            f"channels: {self._carriers.channels.describe()}"
        )

    def detach(self) -> None:
        """Call no handler any more: for a connection that is given up for another one."""
        self._on_message = _ignore
        self._on_state = _ignore
        self.on_candidate = self.on_game_transport = None

    async def close(self) -> None:
        """Close the link; see :meth:`gym_p2p.net.links.transport.Link.close`. Idempotent, in every state."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
            self._closing.add_done_callback(note_failure)
        await asyncio.shield(self._closing)

    async def _gather(self) -> None:
        began = asyncio.get_running_loop().time()
        await self._layers.ice.iceGatherer.gather()
        if not self._layers.connection.local_candidates:
            seen, advice = self._gatherer.no_relay
            waited_s = asyncio.get_running_loop().time() - began
            raise ConnectFailed("finding an address of our own", waited_s=waited_s, seen=seen, advice=advice)

    async def _prepare(self, *, negotiated_game: bool, creates_game: bool) -> None:
        if self._pc.signalingState != "stable" or self._described:
            raise UsageError("this connection has been described already; make a new one")
        await self.gather()
        if self._closing is not None:
            raise UsageError("this connection is closed")
        self._carriers.channels.expect(negotiated_game=negotiated_game, creates_game=creates_game)

    async def _describe_local(self) -> str:
        try:
            await self._pc.setLocalDescription()
        except Exception as error:
            raise UsageError(f"this connection cannot be described: {error}") from error
        self._described = True
        sdp = str(self._pc.localDescription.sdp)
        return without_end(sdp) if self._gatherer.pending else sdp

    async def _apply(self, kind: str, remote: RemoteDescription) -> None:
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp=remote.sdp, type=kind))
        except Exception as error:
            raise ProtocolError("description that cannot be applied") from error
        self._remote_ufrag = remote.ufrag
        for candidate in remote.candidates:
            await self._remote.add(candidate)

    def _announce(self, candidate: RTCIceCandidate) -> None:
        if self._described and self.on_candidate is not None:
            ufrag = self._layers.connection.local_username
            self._guard(self.on_candidate, candidate_payload(candidate, ufrag))

    def _receive(self, channel: Channel, data: bytes | str) -> None:
        if self._state is not _OPEN:
            return
        try:  # as _guard does it, for every message
            self._on_message(channel, data)
        except Exception:  # noqa: BLE001  # as there
            _log.exception(_HANDLER_FAILED)

    def _game_transport_changed(self) -> None:
        if self.on_game_transport is not None:
            self._guard(self.on_game_transport)

    def _connection_changed(self) -> None:
        if self._pc.connectionState in {"failed", "closed"}:
            self._advance(LinkState.CLOSED)

    def _ice_changed(self) -> None:
        if self._pc.iceConnectionState == "completed":
            self._sockets.round_trips.begin_measuring()

    def _advance(self, state: LinkState) -> None:
        order = list(LinkState)
        if order.index(state) <= order.index(self._state):
            return
        self._state = state
        if not self._settled.done():
            self._settled.set_result(state)
        _log.debug("link %s", state.value)
        self._guard(self._on_state, state)

    def _guard(self, handler: Callable[..., None], *arguments: object) -> None:
        """Call a handler; what it raises must not reach aiortc, which would drop the connection."""
        try:
            handler(*arguments)
        except Exception:  # noqa: BLE001  # logged with its traceback; the handler is not ours
            _log.exception(_HANDLER_FAILED)

    async def _close(self) -> None:
        if self._state is LinkState.OPEN:
            await self._carriers.linger(lambda: self.connectionState == "connected")
        self._advance(LinkState.CLOSED)
        if self._gathering is not None:
            await asyncio.wait({self._gathering}, timeout=CLOSE_TIMEOUT_S)
        await self._gatherer.close()
        await self._carriers.close()
        self._remote.close()
        try:
            await asyncio.wait_for(self._pc.close(), CLOSE_TIMEOUT_S)
        except TimeoutError:
            _log.warning("closing a peer connection took too long and was cut short")
        # aiortc cancels tasks without waiting for them; here they end.
        await asyncio.sleep(0)


async def _no_consent_checks() -> None:
    """Stand in for aioice's check, which closes a connection whose round trip is above 0.5 s.

    The match watches over its peers. (aioice also starts that check on a connection closed while it connects,
    and then never ends it.)
    """


def _ignore(*_arguments: object) -> None:
    """Do nothing."""
