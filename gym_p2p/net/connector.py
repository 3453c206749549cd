"""Carries out a :class:`~gym_p2p.core.signaling.negotiation.Negotiation` with real connections.

Knows tasks, clocks and connections. Refuses to know how signals travel, and decides nothing itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from gym_p2p.core.api.payloads import encode
from gym_p2p.core.signaling.negotiation import Negotiation, NegotiationState
from gym_p2p.core.signaling.signals import (
    AcceptAnswer,
    AcceptOffer,
    AddCandidate,
    CreateOffer,
    Negotiated,
    NegotiationFailed,
    NegotiationOutput,
    ReplaceConnection,
    SendSignal,
    parse_signal,
)
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConnectFailed, ProtocolError
from gym_p2p.net.webrtc import PeerConnection
from gym_p2p.processes.tasks import note_failure

__all__ = ["Connector"]

_log = logging.getLogger(__name__)


class Connector:
    """Connects to one peer, once.

    Hand every signal of that peer to ``receive_signal``, also before ``connect`` is called. Everything is
    called on the event loop's thread.

    Args:
        local_id: this player.
        remote_id: the peer.
        make_connection: makes a connection whose handlers are those of the match; called again when an offer
            has to be given up, and then nothing more is heard of the one before.
        first: a connection made, and perhaps gathered, ahead of time; ``connect`` owns it from then on.
        send_signal: sends a type (``offer``, ``answer``, ``ice-candidate``) and W3C's payload to the peer.
        remote_is_ours: whether the peer is this package too, and not a browser.
        timeout_s: how long ``connect`` may take.
        offers_first: whether to begin with an offer; ``None`` goes by the browsers' rule.

    Attributes:
        protocol_errors: signals that made no sense, which were dropped.
    """

    def __init__(
        self,
        *,
        local_id: SeatId,
        remote_id: SeatId,
        make_connection: Callable[[], PeerConnection],
        send_signal: Callable[[str, Mapping[str, Any]], None],
        remote_is_ours: bool,
        timeout_s: float,
        first: PeerConnection | None = None,
        offers_first: bool | None = None,
    ) -> None:
        self._machine = Negotiation(
            local_id=local_id,
            remote_id=remote_id,
            timeout_s=timeout_s,
            remote_is_ours=remote_is_ours,
            offers_first=offers_first,
        )
        self._remote_id = remote_id
        self._make_connection = make_connection
        self._send_signal = send_signal
        self._remote_is_ours = remote_is_ours
        self._timeout_s = timeout_s
        self._connection = first
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._opened: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self.protocol_errors = 0

    @property
    def server_failures(self) -> str:
        """Which STUN and TURN servers gave us nothing, and why, in words."""
        return "" if self._connection is None else self._connection.server_failures

    def receive_signal(self, kind: object, payload: object) -> None:
        """Take in a signal of the peer; one that makes no sense is counted and dropped."""
        try:
            signal = parse_signal(kind, payload)
        except ProtocolError as error:
            self._count(error)
            return
        if signal is not None:
            self._machine.receive(signal, self._loop.time())
            self._wake.set()

    async def connect(self) -> PeerConnection:
        """Return an open connection, which the caller closes; cancelling leaves nothing behind.

        Raises:
            ConnectFailed: with what was tried, for how long, what was seen and what to try next.
        """
        started = self._loop.time()
        connection: PeerConnection | None = None
        try:
            self._take(self._connection or self._make_connection())
            self._machine.start(started)
            async with asyncio.timeout(self._timeout_s):
                connection = await self._run(started)
        except TimeoutError as error:
            raise self._failure(started) from error
        finally:
            try:
                await self._clean_up(keep=connection)
            except asyncio.CancelledError:
                if connection is not None:  # nobody gets it
                    await connection.close()
                raise
        return connection

    async def _run(self, started: float) -> PeerConnection:
        while True:
            self._wake.clear()
            while (output := self._machine.poll()) is not None:
                await self._carry_out(output, started)
            if self._opened is not None and self._opened.done():
                if self._opened.exception() is not None:
                    raise self._failure(started)
                return self._current
            await self._sleep()
            self._machine.handle_timeout(self._loop.time())

    async def _sleep(self) -> None:
        """Wait for a signal, the connection or the machine's next time."""
        due = self._machine.next_timeout()
        timeout_s = None if due is None else max(0.0, due - self._loop.time())
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _carry_out(self, output: NegotiationOutput, started: float) -> None:
        match output:
            case CreateOffer(attempt):
                sdp = await self._current.create_offer(negotiated_game=self._remote_is_ours)
                self._machine.local_description(attempt, sdp, self._loop.time())
            case AcceptOffer() | AcceptAnswer() | AddCandidate():
                try:
                    await self._apply(output)
                except ProtocolError as error:
                    self._count(error)
                    if not isinstance(output, AddCandidate):
                        self._machine.refuse(output.attempt, self._loop.time())
            case ReplaceConnection():
                self._current.detach()
                self._close(self._current)
                self._take(self._make_connection())
            case SendSignal(description):
                self._signal(description.type, encode(description))
            case Negotiated(attempt, role):
                _log.debug(
                    "descriptions agreed with %r as %s, attempt %d", self._remote_id, role.value, attempt
                )
            case NegotiationFailed(reason):
                raise self._failure(started, reason)

    async def _apply(self, output: AcceptOffer | AcceptAnswer | AddCandidate) -> None:
        """Hand the connection what the peer sent; raises :class:`ProtocolError`."""
        match output:
            case AcceptOffer(attempt, sdp):
                answer = await self._current.accept_offer(sdp, negotiated_game=self._remote_is_ours)
                self._machine.local_description(attempt, answer, self._loop.time())
            case AcceptAnswer(_, sdp):
                await self._current.accept_answer(sdp)
            case AddCandidate(_, candidate):
                await self._current.add_candidate(encode(candidate))

    @property
    def _current(self) -> PeerConnection:
        assert self._connection is not None  # noqa: S101  # connect takes one before anything else
        return self._connection

    def _take(self, connection: PeerConnection) -> None:
        """Go on with this connection."""
        if self._opened is not None:
            self._opened.cancel()
        self._connection = connection
        connection.on_candidate = lambda payload: self._signal("ice-candidate", payload)
        self._opened = self._loop.create_task(connection.wait_until_open())
        self._opened.add_done_callback(self._note_opened)

    def _note_opened(self, task: asyncio.Task[None]) -> None:
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            _log.debug("connection to %r: %s", self._remote_id, task.exception())

    def _signal(self, kind: str, payload: Mapping[str, Any]) -> None:
        try:
            self._send_signal(kind, payload)
        except Exception as error:  # noqa: BLE001  # it is sent again until answered
            _log.warning("%s for %r could not be sent: %s", kind, self._remote_id, error)

    def _count(self, error: ProtocolError) -> None:
        self.protocol_errors += 1
        _log.debug("signal of %r dropped: %s", self._remote_id, error)

    def _close(self, connection: PeerConnection) -> None:
        task = self._loop.create_task(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        task.add_done_callback(note_failure)

    async def _clean_up(self, *, keep: PeerConnection | None) -> None:
        if self._opened is not None:
            self._opened.cancel()
            await asyncio.wait({self._opened})
        if self._connection is not None and keep is None:
            self._close(self._connection)
        if self._closing:
            await asyncio.wait(self._closing)

    def _failure(self, started: float, progress: str | None = None) -> ConnectFailed:
        settled = self._machine.state in {NegotiationState.ANSWERED, NegotiationState.SETTLED}
        advice = (
            "The two machines found no way to each other: a firewall or an address translator may be between "
            "them; configure a STUN or TURN server (ice_servers). Where none of their candidates are named, "
            "the service kept private addresses back: in one network, serve with --private-candidates."
            if settled
            else "Is the other player still there, and on the same version? Try again."
        )
        return ConnectFailed(
            f"the connection to {self._remote_id!r}",
            waited_s=self._loop.time() - started,
            seen=f"{progress or self._machine.progress()}; {self._current.describe()}",
            advice=advice,
        )
