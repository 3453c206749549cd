"""The signalling client: what one player asks of the service, and what the service announces to them.

It takes places in rooms and queues, waits for the match, and carries connection signals. Everything that the
service announces comes out of one stream of typed events. When the line breaks it is taken up again in the
background, quietly: a match that is running does not need it. What the signals mean is the caller's to know,
and their contents are never logged.

Everything here happens on the event loop that called :meth:`SignalingClient.connect`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from gym_p2p.core.api.events import SERVICE_EVENTS
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.payloads import Event, decode
from gym_p2p.core.api.queues import MatchFailed, QueueAck, QueueStatus
from gym_p2p.core.api.requests import JoinQueue, JoinRoom, LeaveQueue, LeaveRoom, SendMatchSignal, Watch
from gym_p2p.core.api.rooms import JoinAck, MatchFound, MatchSignal, PeerLeft, Replaced, RoomStatus
from gym_p2p.core.api.spectators import WatchedMatch
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConnectFailed, NoMatch, P2PError, ProtocolError, ServiceRefused, ServiceUnreachable
from gym_p2p.net.client.events import EventStream, LineChanged
from gym_p2p.net.client.line import Line
from gym_p2p.net.client.service_connection import CLIENT

__all__ = ["SignalingClient"]

_LOG = logging.getLogger(__name__)
_LEAVE_TIMEOUT_S = 2.0
"""Who leaves is in a hurry, and the service notices by itself. Below ``bridge.STOP_TIMEOUT_S``."""
_JOIN_ATTEMPTS = 4
_LONGEST_RETRY_S = 3.0
"""A join that the service refuses for its haste is repeated when the service says, if that is soon."""


@attrs.frozen
class _Place:
    """Where a match is waited for, as it is asked for once more after a broken line."""

    name: str
    join: JoinRoom | JoinQueue
    leave: LeaveRoom | LeaveQueue


class SignalingClient:
    """One subject's connection to the service. :meth:`close` it when done, whatever happened.

    Attributes:
        events: what the service announces (:mod:`gym_p2p.core.api.events`), and
            :class:`~gym_p2p.net.client.events.LineChanged`. Of signals and departures those of this match.
        match: the match that was found, if any.
    """

    def __init__(self) -> None:
        self.events = EventStream()
        self.match: MatchFound | None = None
        self._line = Line(self._receive)
        self._keeping: asyncio.Task[None] | None = None
        self._place: _Place | None = None
        self._status: RoomStatus | QueueStatus | None = None
        self._found: asyncio.Future[MatchFound] | None = None
        self._game_id: str | None = None
        """The match that is played or watched, whose signals are ours."""
        self._closed = False

    @property
    def connected(self) -> bool:
        """Whether the service can be reached at this moment."""
        return self._line.up

    @property
    def subject_id(self) -> str:
        """Who the service takes this client for: the one that it asked to be, or its join token's."""
        return self._line.subject_id

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
        try:
            await self._line.open(url, subject_id, timeout_s, token=token)
        except BaseException:
            await self.close()
            raise
        self._keeping = asyncio.create_task(self._keep_line(), name="gym_p2p signalling keep")

    # ---- requests

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
            spectators: to how many the match is shown, who come as ``SpectatorJoined``.

        Raises:
            ServiceRefused: ``room_full``, ``room_mismatch``, ``seat_taken`` and the like.
            ServiceUnreachable: the service did not answer in time.
            ProtocolError: its answer makes no sense.
        """
        wanted = JoinRoom(
            room=room,
            seats=list(seats),
            take=None if take is None else list(take),
            client=CLIENT,
            spectators=spectators,
        )
        place = _Place(f"room {room!r}", wanted, LeaveRoom(room))
        ack = decode(JoinAck, await self._take_place(place), "answer to join_room")
        # From now on the seats that we got are the ones to ask for again.
        self._place = attrs.evolve(place, join=attrs.evolve(wanted, take=list(ack.seats_taken)))
        self._status = RoomStatus(room=ack.room, seats_free=ack.seats_free)
        return ack

    async def join_queue(self, ticket: QueueTicket) -> QueueAck:
        """Wait in a queue, in which one is probed and matched; then :meth:`wait_for_match`.

        Raises:
            ServiceRefused: ``queue_mismatch``, ``wrong_state`` and the like.
            ServiceUnreachable: the service did not answer in time.
            ProtocolError: its answer makes no sense.
        """
        wanted = JoinQueue.of(ticket, client=CLIENT, rtt_ms=self._line.service_rtt_ms)
        place = _Place(f"queue {ticket.queue!r}", wanted, LeaveQueue(ticket.queue))
        ack = decode(QueueAck, await self._take_place(place), "answer to join_queue")
        self._place = place
        return ack

    async def watch(
        self, *, room: str | None = None, match_id: str | None = None, avoid: SeatId | None = None
    ) -> WatchedMatch:
        """Watch a running match; whatever was watched before is over. Its end comes as ``WatchOver``.

        Args:
            room: the match's room, or ``None``.
            match_id: the match, where the room is ``None``.
            avoid: a player who should not be the one who shows it, if there is another one.

        Raises:
            ServiceRefused: ``no_such_match``, ``room_full``, which may be otherwise soon; ``wrong_state``.
            ServiceUnreachable: the service did not answer in time.
            ProtocolError: its answer makes no sense.
        """
        answer = await self.request(Watch(room, match_id, avoid))
        watched = decode(WatchedMatch, answer, "answer to watch")
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
            raise ConnectFailed(
                f"the other players of {'the place' if self._place is None else self._place.name}",
                waited_s=timeout_s,
                seen=self._seen(),
                advice="Start the other players with the same one, at the same service.",
            ) from None

    def send(self, payload: Event) -> None:
        """Send an event, in order, when the line permits; never waits and never raises.

        A refusal is logged; for those who need the answer there is :meth:`request`.
        """
        self._line.send(payload)

    def send_signal(
        self,
        game_id: str,
        target: SeatId,
        type: Any,  # noqa: A002  # the wire's name
        payload: Mapping[str, Any] | None,
    ) -> None:
        """Send a connection signal to another player, or to a spectator, of a match; see :meth:`send`."""
        self.send(SendMatchSignal(game_id, target, type, None if payload is None else dict(payload)))

    async def request(self, payload: Event) -> Mapping[str, Any]:
        """Send an event and return the accepted answer's fields.

        Raises:
            ServiceRefused: the service said no.
            ServiceUnreachable: there is no line, or no answer in time.
        """
        self._require_open()
        return await self._line.request(payload)

    async def leave(self) -> None:
        """Give up the place, whether waiting or playing. Does nothing where there is no line."""
        place, self._place = self._place, None
        if place is None or not self._line.up:
            return
        with contextlib.suppress(P2PError, TimeoutError):
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                await self._line.flush()  # what was sent before is still for the others
                await self._line.request(place.leave if self.match is None else LeaveRoom(self.match.room))

    async def close(self) -> None:
        """Hang up; leaves no task and no socket. Idempotent, and never raises."""
        self._closed = True
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        await self._line.close()
        self._fail_waiting(ServiceUnreachable(self._line.url, "the client was closed"))

    # ---- the place

    async def _take_place(self, place: _Place) -> Mapping[str, Any]:
        """Ask for a place; the match may be announced before the answer is here."""
        self._require_open()
        before, self._found = self._found, asyncio.get_running_loop().create_future()
        try:
            return await self._ask_for(place)
        except P2PError:
            self._found = before
            raise

    async def _ask_for(self, place: _Place) -> Mapping[str, Any]:
        """Ask for a place, and again where the service only wants it to be less often."""
        for _ in range(_JOIN_ATTEMPTS - 1):
            try:
                return await self._line.request(place.join)
            except ServiceRefused as error:
                if error.retry_after_s is None or error.retry_after_s > _LONGEST_RETRY_S:
                    raise
                await asyncio.sleep(error.retry_after_s)
        return await self._line.request(place.join)

    async def _keep_line(self) -> None:
        try:
            async for up in self._line.keep():
                self.events.put(LineChanged(up))
                if up:
                    await self._sit_down_again()
        except ServiceRefused as error:
            self._fail_waiting(error)

    async def _sit_down_again(self) -> None:
        """Ask for the place again if the broken line came between joining and the match."""
        if self._place is None or self._found is None or self._found.done():
            return
        try:
            await self._ask_for(self._place)
        except ServiceUnreachable:
            pass  # broken again: the next round asks again
        except P2PError as error:
            self._fail_waiting(error)

    def _fail_waiting(self, error: P2PError) -> None:
        if self._found is not None and not self._found.done():
            self._found.set_exception(error)
            self._found.exception()  # taken note of: nobody may be waiting

    def _seen(self) -> str:
        if not self._line.up:
            return "the line to the service is broken"
        match self._status:
            case QueueStatus(waiting=waiting, state=state):
                return f"{waiting} in the queue, and {state}"
            case RoomStatus(seats_free=seats_free) if seats_free:
                return f"seats still free: {list(seats_free)}"
            case _:
                return "nothing yet"

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("this signalling client has been closed")

    # ---- what the service announces

    def _receive(self, event: str, data: object = None) -> None:
        kind = SERVICE_EVENTS[event]
        try:
            payload = decode(kind, data, event)
        except ProtocolError as error:
            if kind in {MatchFound, MatchFailed}:
                self._fail_waiting(error)
            else:
                _LOG.warning("the service: %s", error)
            return
        if self._take_note(payload):
            self.events.put(payload)

    def _take_note(self, payload: Event) -> bool:
        """Take from an event what it says of the place; return whether it is for the listeners."""
        match payload:
            case MatchFound():
                if self._found is not None and not self._found.done():
                    self.match, self._game_id = payload, payload.match_id
                    self._found.set_result(payload)
            case MatchFailed():
                self._fail_waiting(NoMatch(payload.queue, payload.reason, payload.waited_s))
            case RoomStatus() | QueueStatus():
                self._status = payload
            case MatchSignal(game_id=match_id) | PeerLeft(match_id=match_id) if match_id != self._game_id:
                _LOG.debug("%s of another match was ignored", payload.event)
                return False
            case Replaced():
                self._line.give_up()
                _LOG.warning("another client has registered as %s; this one is cut off", self.subject_id)
                message = "another client has registered as the same subject"
                self._fail_waiting(ServiceRefused("replaced", message))
            case _:
                pass
        return True
