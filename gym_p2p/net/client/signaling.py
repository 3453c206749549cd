"""The signalling client: one player's line to the service.

It finds the service, says who the player is, takes seats, learns of the match, and carries connection
signals. When the line breaks it is taken up again in the background, quietly: a match that is running does
not need it. It knows Socket.IO; what the signals mean is the caller's, and it never logs their contents.

Everything here happens on the event loop that called :meth:`SignalingClient.connect`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp
import attrs
import socketio

from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.payloads import decode
from gym_p2p.core.api.queues import MatchFailed, MatchProposed, QueueAck, QueueStatus, Verdict
from gym_p2p.core.api.replies import is_public_id
from gym_p2p.core.api.rooms import JoinAck, MatchFound, PeerLeft, RoomStatus
from gym_p2p.core.api.spectators import WatchedMatch
from gym_p2p.core.wire.seats import SeatId, is_seat_id
from gym_p2p.errors import (
    ConfigurationError,
    ConnectFailed,
    NoMatch,
    P2PError,
    ProtocolError,
    ServiceRefused,
    ServiceUnreachable,
)
from gym_p2p.net.client.callbacks import Inbox, call_safely
from gym_p2p.net.client.credentials import Credentials
from gym_p2p.net.client.placement import QueueSeating, RoomSeating, Seating
from gym_p2p.net.client.service_connection import accepted, check_url, hang_up, open_line

__all__ = ["OnPeerLeft", "OnProbeEvent", "OnSignal", "SignalingClient"]

_LOG = logging.getLogger(__name__)
_ANSWER_TIMEOUT_S = 5.0
_LEAVE_TIMEOUT_S = 2.0
"""Who leaves is in a hurry, and the service notices without being told. Below ``bridge.STOP_TIMEOUT_S``."""
_RECONNECT_FIRST_S = 0.25
_RECONNECT_MAX_S = 5.0
"""Between attempts; half of it is random, so that the clients of a restarted service do not come as one."""
_JOIN_ATTEMPTS = 4
_LONGEST_RETRY_S = 3.0
"""A join that the service refuses for its haste is repeated when the service says, if that is soon."""
_MAX_KEPT = 256
"""Events kept for a line that is being taken up again."""


OnSignal = Callable[[SeatId, str, Mapping[str, Any] | None], None]
"""``(from_player_id, type, payload)``."""
OnPeerLeft = Callable[[SeatId, str], None]
"""``(player_id, reason)``."""
OnProbeEvent = Callable[[str, object], None]
"""``(event, payload)``, the payload as it came."""

_SPECTATOR_EVENTS = ("spectator_joined", "spectator_left", "watch_over")
_PROBE_EVENTS = ("probe_prepare", "probe_start", "probe_signal", "probe_cancel", "probe_verdict")


class SignalingClient:
    """One subject's connection to the service. :meth:`close` it when done, whatever happened.

    Args:
        on_signal: called with every signal of this match; may also be set later.
        on_peer_left: called when the service lost sight of another player; may also be set later.
        on_room_status: called with the seats that are still free, whenever that changes.
        on_connection: called with False when the line breaks, True when it is up again.

    Attributes:
        on_queue_status: called with the state of one's place in a queue, whenever it changes.
        on_match_proposed: called when a queue has found a match and asks for this player's say; answered
            with :meth:`answer_match`. Only for a ticket that ``asks``.
        on_spectator: called with the events about spectators and their payloads: ``spectator_joined`` and
            ``spectator_left`` at the player who shows the match, ``watch_over`` at the spectator.
        on_probe: called with every event of a probe; set once, it outlives every line.
        service_rtt_ms: the round trip to the service when the line was opened; ``None`` before.
    """

    on_room_status: Callable[[RoomStatus], None] | None
    on_queue_status: Callable[[QueueStatus], None] | None
    on_match_proposed: Callable[[MatchProposed], None] | None
    on_connection: Callable[[bool], None] | None
    on_probe: OnProbeEvent | None
    service_rtt_ms: float | None

    def __init__(
        self,
        *,
        on_signal: OnSignal | None = None,
        on_peer_left: OnPeerLeft | None = None,
        on_room_status: Callable[[RoomStatus], None] | None = None,
        on_connection: Callable[[bool], None] | None = None,
    ) -> None:
        self._signals = Inbox(on_signal)
        self._departures = Inbox(on_peer_left)
        self._spectators = Inbox()
        self.on_room_status = on_room_status
        self.on_connection = on_connection
        self.on_queue_status = None
        self.on_match_proposed = None
        self.on_probe = None
        self.service_rtt_ms = None
        self._url = ""
        self._credentials = Credentials()
        self._subject_id = ""
        self._http: aiohttp.ClientSession | None = None
        self._sio: socketio.AsyncClient | None = None
        self._seating: Seating | None = None
        self._seats_free: tuple[SeatId, ...] | None = None
        self._queue_status: QueueStatus | None = None
        self._match: MatchFound | None = None
        self._game_id: str | None = None
        """The match that is played or watched, whose signals are ours."""
        self._found: asyncio.Future[MatchFound] | None = None
        self._registered = asyncio.Event()
        self._lost = asyncio.Event()
        self._outgoing: asyncio.Queue[tuple[str, Mapping[str, Any]]] = asyncio.Queue(_MAX_KEPT)
        self._tasks: list[asyncio.Task[None]] = []
        self._replaced = False
        self._closed = False

    @property
    def connected(self) -> bool:
        """Whether the service can be reached at this moment."""
        return self._registered.is_set()

    @property
    def subject_id(self) -> str:
        """Who the service takes this client for: the one that it asked to be, or its join token's."""
        return self._credentials.subject_id or self._subject_id

    @property
    def match(self) -> MatchFound | None:
        """The match that was found, if any."""
        return self._match

    @property
    def on_signal(self) -> OnSignal | None:
        """The handler of signals; whatever came before there was one is handed to it when it is set."""
        return self._signals.handler

    @on_signal.setter
    def on_signal(self, handler: OnSignal | None) -> None:
        self._signals.attach(handler)

    @property
    def on_peer_left(self) -> OnPeerLeft | None:
        """The handler of departures; whatever came before there was one is handed to it when it is set."""
        return self._departures.handler

    @on_peer_left.setter
    def on_peer_left(self, handler: OnPeerLeft | None) -> None:
        self._departures.attach(handler)

    @property
    def on_spectator(self) -> Callable[[str, object], None] | None:
        """The handler of spectators; whatever came before there was one is handed to it when it is set."""
        return self._spectators.handler

    @on_spectator.setter
    def on_spectator(self, handler: Callable[[str, object], None] | None) -> None:
        self._spectators.attach(handler)

    async def connect(self, url: str, subject_id: str, timeout_s: float, *, token: str | None = None) -> None:
        """Find the service and register.

        Args:
            url: where it is.
            subject_id: who this is; a service that asks for join tokens goes by the token instead.
            timeout_s: for all of it.
            token: the join token; ``None`` takes the environment's ``GYM_P2P_TOKEN``, if there is one.

        Raises:
            ConfigurationError: the URL or the subject id cannot be one.
            ServiceUnreachable: nothing answers there, or something that is no gym_p2p service.
            ServiceRefused: it would not have this subject, or wants a (better) join token.
        """
        self._require_open()
        if self._http is not None:
            raise RuntimeError("connect() has been called before")
        check_url(url)
        if not is_public_id(subject_id):
            raise ConfigurationError(
                "subject_id", f"wanted 1 to 128 of A-Z a-z 0-9 . _ : @ + -, got {subject_id!r}"
            )
        self._url, self._subject_id = url, subject_id
        self._credentials = Credentials.of(token)
        self._http = aiohttp.ClientSession()
        try:
            await self._open_line(timeout_s)
        except BaseException:
            await self.close()
            raise
        for name, work in (("keep", self._keep_line()), ("send", self._send_outgoing())):
            self._tasks.append(asyncio.create_task(work, name=f"gym_p2p signalling {name}"))

    async def join_room(
        self,
        room: str,
        seats: Sequence[SeatId],
        take: Sequence[SeatId] | None = None,
        *,
        spectators: int = 0,
    ) -> JoinAck:
        """Take seats in a room; then :meth:`wait_for_match`.

        Args:
            room: any id; who names the same one meets there.
            seats: every seat of the environment, in its order.
            take: the seats wanted; ``None`` takes any free one.
            spectators: to how many the match is shown, who come with :attr:`on_spectator`.

        Raises:
            ServiceRefused: ``room_full``, ``room_mismatch``, ``seat_taken`` and the like.
            ServiceUnreachable: the service did not answer in time.
            ProtocolError: its answer makes no sense.
        """
        self._require_open()
        seating = RoomSeating(room, tuple(seats), None if take is None else tuple(take), spectators)
        ack = decode(JoinAck, await self._take_place(seating), "answer to " + seating.join_event)
        # From now on the seats that we got are the ones to ask for again.
        self._seating = attrs.evolve(seating, take=ack.seats_taken)
        self._seats_free = ack.seats_free
        return ack

    async def join_queue(self, ticket: QueueTicket) -> QueueAck:
        """Wait in a queue, in which one is probed and matched; then :meth:`wait_for_match`.

        Raises:
            ServiceRefused: ``queue_mismatch``, ``wrong_state`` and the like.
            ServiceUnreachable: the service did not answer in time.
            ProtocolError: its answer makes no sense.
        """
        self._require_open()
        seating = QueueSeating(attrs.evolve(ticket, rtt_ms=self.service_rtt_ms))
        ack = decode(QueueAck, await self._take_place(seating), "answer to " + seating.join_event)
        self._seating = seating
        return ack

    async def watch(
        self, *, room: str | None = None, match_id: str | None = None, avoid: SeatId | None = None
    ) -> WatchedMatch:
        """Watch a running match; whatever was watched before is over. Tells :attr:`on_spectator` its end.

        Args:
            room: the match's room, or ``None``.
            match_id: the match, where the room is ``None``.
            avoid: a player who should not be the one who shows it, if there is another one.

        Raises:
            ServiceRefused: ``no_such_match``, ``room_full``, which may be otherwise soon; ``wrong_state``.
            ServiceUnreachable: the service did not answer in time.
            ProtocolError: its answer makes no sense.
        """
        wanted = {"room": room, "match_id": match_id, "avoid": avoid}
        watched = decode(WatchedMatch, await self.request("watch", wanted), "answer to watch")
        self._game_id = watched.match_id
        return watched

    async def wait_for_match(self, timeout_s: float) -> MatchFound:
        """Wait until every seat of the joined room is taken, or the queue has found a match.

        Raises:
            ConnectFailed: seats are still free, or the queue has not found a match yet.
            NoMatch: the queue gave up.
            ServiceRefused: the place was lost (another client registered as this subject, or a restarted
                service gave the seat to someone else).
            ProtocolError: the announcement makes no sense.
        """
        self._require_open()
        if self._found is None:
            raise RuntimeError("join_room() comes first")
        try:
            return await asyncio.wait_for(asyncio.shield(self._found), timeout_s)
        except TimeoutError:
            where = self._seating.where if self._seating is not None else "the place"
            raise ConnectFailed(
                f"the other players of {where}",
                waited_s=timeout_s,
                seen=self._seen(),
                advice="Start the other players with the same one, at the same service.",
            ) from None

    def send_signal(
        self,
        game_id: str,
        target: SeatId,
        type: str,  # noqa: A002  # the wire's name
        payload: Mapping[str, Any] | None,
    ) -> None:
        """Send a connection signal, in order, when the line permits; never waits and never raises."""
        signal = {"game_id": game_id, "target_player_id": target, "type": type, "payload": payload}
        self.send("webrtc_signal", signal)

    def send(self, event: str, payload: Mapping[str, Any]) -> None:
        """Send an event, in order, when the line permits; never waits and never raises.

        A refusal is logged; for those who need the answer there is :meth:`request`.
        """
        try:
            self._outgoing.put_nowait((event, payload))
        except asyncio.QueueFull:
            _LOG.warning("%s was dropped: the service has been away for too long", event)

    async def request(self, event: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send an event and return the accepted answer's fields.

        Raises:
            ServiceRefused: the service said no.
            ServiceUnreachable: there is no line, or no answer in time.
        """
        self._require_open()
        return await self._request(event, payload)

    def answer_match(self, proposal_id: str, verdict: Verdict) -> None:
        """Say what becomes of a proposed match; never waits and never raises."""
        self.send("answer_match", {"proposal_id": proposal_id, "verdict": verdict.value})

    async def leave(self) -> None:
        """Give up the place, whether waiting or playing. Does nothing where there is no line."""
        seating, self._seating = self._seating, None
        if seating is None or not self._registered.is_set():
            return
        with contextlib.suppress(P2PError, TimeoutError):
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                await self._outgoing.join()  # what was sent before is still for the others
                if self._match is not None:
                    await self._request("leave_room", {"room": self._match.room})
                else:
                    await self._request(seating.leave_event, seating.to_leave())

    async def close(self) -> None:
        """Hang up; leaves no task and no socket. Idempotent, and never raises."""
        self._closed = True
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        sio, self._sio = self._sio, None
        if sio is not None:
            await hang_up(sio)
        http, self._http = self._http, None
        if http is not None:
            await http.close()
        self._registered.clear()
        self._fail_waiting(ServiceUnreachable(self._url, "the client was closed"))

    # ---- the line

    async def _open_line(self, timeout_s: float) -> None:
        """Connect and register; leaves nothing behind when it fails."""
        if self._http is None:
            raise RuntimeError("connect() comes first")
        self._sio, self.service_rtt_ms = await open_line(
            self._url,
            self._subject_id,
            http=self._http,
            handlers=self._handlers(),
            on_break=self._on_break,
            timeout_s=timeout_s,
            credentials=self._credentials,
        )
        self._lost.clear()
        self._registered.set()

    def _handlers(self) -> dict[str, Callable[..., None]]:
        return {
            "match_found": self._on_match_found,
            "match_failed": self._on_match_failed,
            "match_proposed": self._on_match_proposed,
            "room_status": self._on_room_status,
            "queue_status": self._on_queue_status,
            "peer_left": self._on_peer_left,
            "webrtc_signal": self._on_signal,
            "replaced": self._on_replaced,
            **{event: functools.partial(self._on_probe_event, event) for event in _PROBE_EVENTS},
            **{event: functools.partial(self._on_spectator_event, event) for event in _SPECTATOR_EVENTS},
        }

    async def _keep_line(self) -> None:
        """Take the line up again whenever it breaks."""
        while True:
            await self._lost.wait()
            self._tell_connection(up=False)
            if self._replaced:
                return
            delay_s = _RECONNECT_FIRST_S
            while not self._registered.is_set():
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
                delay_s = min(2 * delay_s, _RECONNECT_MAX_S)
                try:
                    await self._open_line(_ANSWER_TIMEOUT_S)
                except P2PError as error:
                    _LOG.debug("the service is still away: %s", type(error).__name__)
                    if isinstance(error, ServiceRefused) and error.code == "unauthenticated":
                        _LOG.warning("the service does not let this client in again: %s", error.detail)
                        self._fail_waiting(error)
                        return
            _LOG.debug("the service is back")
            self._tell_connection(up=True)
            await self._sit_down_again()

    async def _sit_down_again(self) -> None:
        """Ask for the seats again if the broken line came between joining and the match."""
        if self._seating is None or self._found is None or self._found.done():
            return
        try:
            await self._ask_for_place(self._seating)
        except ServiceUnreachable:
            pass  # broken again: the next round asks again
        except P2PError as error:
            self._fail_waiting(error)

    async def _take_place(self, seating: Seating) -> Mapping[str, Any]:
        """Ask for a place; the match may be announced before the answer is here."""
        before, self._found = self._found, asyncio.get_running_loop().create_future()
        try:
            return await self._ask_for_place(seating)
        except P2PError:
            self._found = before
            raise

    async def _ask_for_place(self, seating: Seating) -> Mapping[str, Any]:
        """Ask for a place, and again where the service only wants it to be less often."""
        for _ in range(_JOIN_ATTEMPTS - 1):
            try:
                return await self._request(seating.join_event, seating.to_join())
            except ServiceRefused as error:
                if error.retry_after_s is None or error.retry_after_s > _LONGEST_RETRY_S:
                    raise
                await asyncio.sleep(error.retry_after_s)
        return await self._request(seating.join_event, seating.to_join())

    async def _send_outgoing(self) -> None:
        while True:
            event, payload = await self._outgoing.get()
            await self._registered.wait()
            await self._emit(event, payload)
            self._outgoing.task_done()

    async def _emit(self, event: str, payload: Mapping[str, Any]) -> None:
        try:
            if self._sio is not None:
                await self._sio.emit(event, payload, callback=functools.partial(_log_refusal, event))
        except socketio.exceptions.SocketIOError:
            _LOG.warning("%s was lost with the line to the service", event)

    async def _request(self, event: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send an event and return the accepted answer's fields."""
        sio = self._sio
        if sio is None or not self._registered.is_set():
            raise ServiceUnreachable(self._url, "the line is broken")
        try:
            answer = await sio.call(event, payload, timeout=_ANSWER_TIMEOUT_S)
        except socketio.exceptions.SocketIOError:
            raise ServiceUnreachable(self._url, f"no answer to {event}") from None
        return accepted(answer, self._url)

    def _tell_connection(self, *, up: bool) -> None:
        if self.on_connection is not None:
            call_safely(self.on_connection, up)

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("this signalling client has been closed")

    def _seen(self) -> str:
        if not self._registered.is_set():
            return "the line to the service is broken"
        if self._queue_status is not None:
            return f"{self._queue_status.waiting} in the queue, and {self._queue_status.state}"
        return f"seats still free: {list(self._seats_free)}" if self._seats_free else "nothing yet"

    # ---- what the service says

    def _on_break(self, *_reason: Any) -> None:
        self._registered.clear()
        self._lost.set()

    def _on_match_found(self, data: object = None) -> None:
        try:
            match = decode(MatchFound, data, MatchFound.event)
        except ProtocolError as error:
            self._fail_waiting(error)
            return
        if self._found is not None and not self._found.done():
            self._match, self._game_id = match, match.match_id
            self._found.set_result(match)

    def _on_match_failed(self, data: object = None) -> None:
        try:
            failed = decode(MatchFailed, data, MatchFailed.event)
        except ProtocolError as error:
            self._fail_waiting(error)
            return
        self._fail_waiting(NoMatch(failed.queue, failed.reason, failed.waited_s))

    def _on_match_proposed(self, data: object = None) -> None:
        try:
            proposed = decode(MatchProposed, data, MatchProposed.event)
        except ProtocolError as error:
            _LOG.warning("the service: %s", error)
            return
        if self.on_match_proposed is not None:
            call_safely(self.on_match_proposed, proposed)

    def _on_queue_status(self, data: object = None) -> None:
        try:
            status = decode(QueueStatus, data, QueueStatus.event)
        except ProtocolError as error:
            _LOG.warning("the service: %s", error)
            return
        self._queue_status = status
        if self.on_queue_status is not None:
            call_safely(self.on_queue_status, status)

    def _on_room_status(self, data: object = None) -> None:
        try:
            status = decode(RoomStatus, data, RoomStatus.event)
        except ProtocolError as error:
            _LOG.warning("the service: %s", error)
            return
        self._seats_free = status.seats_free
        if self.on_room_status is not None:
            call_safely(self.on_room_status, status)

    def _on_peer_left(self, data: object = None) -> None:
        try:
            left = decode(PeerLeft, data, PeerLeft.event)
        except ProtocolError as error:
            _LOG.warning("the service: %s", error)
            return
        if self._match is not None and left.match_id == self._match.match_id:
            self._departures.put(left.player_id, left.reason)

    def _on_signal(self, data: object = None) -> None:
        if not isinstance(data, Mapping) or self._game_id is None or data.get("game_id") != self._game_id:
            _LOG.debug("a signal of another match was ignored")
            return
        sender, kind, payload = data.get("from_player_id"), data.get("type"), data.get("payload")
        if not is_seat_id(sender) or not isinstance(kind, str) or not isinstance(payload, Mapping | None):
            _LOG.warning("the service: malformed webrtc_signal")
            return
        self._signals.put(sender, kind, payload)

    def _on_probe_event(self, event: str, data: object = None) -> None:
        if self.on_probe is not None:
            call_safely(self.on_probe, event, data)

    def _on_spectator_event(self, event: str, data: object = None) -> None:
        self._spectators.put(event, data)

    def _on_replaced(self, _data: object = None) -> None:
        self._replaced = True
        _LOG.warning("another client has registered as %s; this one is cut off", self.subject_id)
        message = "another client has registered as the same subject"
        self._fail_waiting(ServiceRefused("replaced", message))

    def _fail_waiting(self, error: P2PError) -> None:
        if self._found is not None and not self._found.done():
            self._found.set_exception(error)
            self._found.exception()  # taken note of: nobody may be waiting


def _log_refusal(event: str, answer: object = None) -> None:
    if isinstance(answer, Mapping) and answer.get("ok") is False:
        error = answer.get("error")
        code = error.get("code") if isinstance(error, Mapping) else None
        # An event may cross the end of what it belongs to.
        level = logging.DEBUG if code == "stale" else logging.WARNING
        _LOG.log(level, "the service refused %s: %s", event, code)
