"""The signalling client: what one player requests of the service, and what the service announces to them.

It takes places in rooms and queues, waits for the match, and carries connection signals. Everything that the
service announces comes out of one stream of typed events. When the line breaks it is taken up again in the
background, quietly: a match that is running does not need it. What the signals mean is the caller's to know,
and their contents are never logged.

Everything here happens on the event loop that called :meth:`SignalingClient.connect`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from gym_p2p.config import IceServer, Secret
from gym_p2p.config.event_names import EventNames
from gym_p2p.core.api.events import SERVICE_EVENTS
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.payloads import Payload, decode
from gym_p2p.core.api.queues import MatchFailed, QueueAck
from gym_p2p.core.api.relaying import RelayedMessage
from gym_p2p.core.api.requests import (
    JoinRoom,
    LeaveQueue,
    LeaveRoom,
    RelayMessage,
    RenewIceServers,
    SendMatchSignal,
    Watch,
)
from gym_p2p.core.api.rooms import (
    IceServers,
    JoinAck,
    MatchFound,
    MatchSignal,
    PeerLeft,
    PeerReturned,
    Replaced,
    RoomStatus,
)
from gym_p2p.core.api.spectators import WatchedMatch
from gym_p2p.core.wire.foreign_text import screened
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ProtocolError, ServiceRefused, ServiceUnreachable
from gym_p2p.net.client.events import EventStream, LineChanged
from gym_p2p.net.client.line import Line
from gym_p2p.net.client.placement import Place, Placement
from gym_p2p.net.client.service_connection import CLIENT
from gym_p2p.processes.tasks import note_failure

__all__ = ["SignalingClient"]

_LOG = logging.getLogger(__name__)

_FOR_PROGRAMS = frozenset({"payload"})
"""What the players' connections say to each other: it has rules of its own, and nobody reads it."""


class SignalingClient:
    """One subject's connection to the service. :meth:`close` it when done, whatever happened.

    All methods belong to the event loop that :meth:`connect` was called on. With a
    :class:`~gym_p2p.net.probing.manager.ProbeManager` it takes part in probes.

    Args:
        prefix: before the names of all events, where a host has mounted the service so.
        namespace: Socket.IO's, in which a host has mounted it.

    Raises:
        ConfigurationError: neither can be so.

    Attributes:
        events: what the service announces (:mod:`gym_p2p.core.api.events`), and
            :class:`~gym_p2p.net.client.events.LineChanged`. Of signals and departures those of this match.
    """

    def __init__(self, *, prefix: str = "", namespace: str = "/") -> None:
        self.events = EventStream()
        self._line = Line(self._receive, EventNames(prefix, namespace))
        self._keeping: asyncio.Task[None] | None = None
        self._placement = Placement(self._line)
        self._watched_id: str | None = None
        """The match that is watched, whose signals are ours where none is played."""
        self._closed = False

    @property
    def match(self) -> MatchFound | None:
        """The match that was found, if any."""
        return self._placement.match

    @property
    def connected(self) -> bool:
        """Whether the service can be reached at this moment."""
        return self._line.up

    @property
    def subject_id(self) -> str:
        """Who the service takes this client for: the one that it wanted to be, or its join token's."""
        return self._line.subject_id

    @property
    def resume_token(self) -> Secret | None:
        """What lets another client take this one's place; ``None`` where the service gave nothing."""
        return self._line.resume_token

    async def connect(
        self,
        url: str,
        subject_id: str,
        timeout_s: float = 10.0,
        *,
        token: str | Secret | None = None,
        resume_token: Secret | None = None,
        match: MatchFound | None = None,
        patience_s: float = 0.0,
    ) -> None:
        """Find the service and register; once for one client.

        Args:
            url: where it is.
            subject_id: who this is; a service that wants join tokens goes by the token instead.
            timeout_s: for all of it, each time that it is tried.
            token: the join token; ``None`` takes the environment's ``GYM_P2P_TOKEN``, if there is one.
            resume_token: of the client whose place this one takes.
            match: that it played; no other is looked for.
            patience_s: for how long it is tried again where nothing answers; it may be about to be restarted.

        Raises:
            ConfigurationError: the URL or the subject id cannot be one.
            ServiceUnreachable: nothing answers there, or something that is no gym_p2p service.
            ServiceRefused: it would not have this subject, or wants a (better) join token.
        """
        self._require_open()
        match_token = None if match is None else match.match_token
        self._placement.match = match
        try:
            await self._line.open(
                url,
                subject_id,
                timeout_s,
                token=token,
                resume_token=resume_token,
                match_token=match_token,
                patience_s=patience_s,
            )
        except BaseException:
            await self.close()
            raise
        self._keeping = asyncio.create_task(self._keep_line(), name="gym_p2p signalling keep")
        self._keeping.add_done_callback(note_failure)

    # ---- requests

    async def join_room(
        self, room: str, seats: Sequence[SeatId], take: Sequence[SeatId] | None = None, *, spectators: int = 0
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
        self._require_open()
        place = Place(f"room {room!r}", wanted, LeaveRoom(room))
        ack = decode(JoinAck, await self._placement.join(place), "answer to join_room")
        # From now on the seats that we got are the ones to request again.
        place = attrs.evolve(place, join=attrs.evolve(wanted, take=list(ack.seats_taken)))
        self._placement.settle(place, RoomStatus(room=ack.room, seats_free=ack.seats_free))
        return ack

    async def join_queue(self, ticket: QueueTicket) -> QueueAck:
        """Wait in a queue, in which one is probed and matched; then :meth:`wait_for_match`.

        Raises:
            ServiceRefused: ``queue_mismatch``, ``wrong_state`` and the like.
            ServiceUnreachable: the service did not answer in time.
            ProtocolError: its answer makes no sense.
        """
        wanted = attrs.evolve(ticket, client=CLIENT, rtt_ms=self._line.service_rtt_ms)
        self._require_open()
        place = Place(f"queue {ticket.queue!r}", wanted, LeaveQueue(ticket.queue))
        ack = decode(QueueAck, await self._placement.join(place), "answer to join_queue")
        self._placement.settle(place)
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
        self._watched_id = watched.match_id
        return watched

    async def renew_ice_servers(self, match_id: str) -> tuple[IceServer, ...]:
        """Return the ICE servers of a running match anew, with credentials that last.

        Raises:
            ServiceRefused: it does not give them so often, or knows no such event.
            ServiceUnreachable: the service did not answer in time.
            ProtocolError: its answer makes no sense.
        """
        answer = await self.request(RenewIceServers(match_id))
        return decode(IceServers, answer, "answer to renew_ice_servers").ice_servers

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
        return await self._placement.wait(timeout_s)

    def send(self, payload: Payload) -> None:
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

    def relay(self, game_id: str, target: SeatId, data: str, *, may_be_lost: bool) -> bool:
        """Have a message passed on to another player of a match; return whether it was sent.

        Nothing here sends it again; where much waits for the line, what may be lost gives way to the rest.
        """
        return self._line.send_now(RelayMessage(game_id, target, data), may_be_lost=may_be_lost)

    async def request(self, payload: Payload) -> Mapping[str, Any]:
        """Send an event and return the accepted answer's fields.

        Raises:
            ServiceRefused: the service's answer is no.
            ServiceUnreachable: there is no line, or no answer in time.
        """
        self._require_open()
        return await self._line.request(payload)

    def wanted_for(self, seconds: float) -> None:
        """Hurry for so long to take up a line that is broken: a path is to be rebuilt over it."""
        self._line.wanted_for(seconds)

    async def leave(self, why: str | None = None) -> None:
        """Give up the place, whether waiting or playing. Does nothing where there is no line.

        Args:
            why: for the others of the match, in words.
        """
        await self._placement.leave(why)

    async def close(self) -> None:
        """Hang up; leaves no task and no socket. Idempotent, and never raises."""
        self._closed = True
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        await self._line.close()
        self._placement.fail(ServiceUnreachable(self._line.url, "the client was closed"))

    # ---- inside

    async def _keep_line(self) -> None:
        try:
            async for up in self._line.keep():
                self.events.put(LineChanged(up))
                if up:
                    await self._placement.join_again()
        except ServiceRefused as error:
            self._placement.fail(error)

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("this signalling client has been closed")

    def _receive(self, event: str, data: object = None) -> None:
        """Take in what the service announces."""
        kind = SERVICE_EVENTS[event]
        try:
            payload = decode(kind, screened(data, apart_from=_FOR_PROGRAMS), event)
        except ProtocolError as error:
            if kind in {MatchFound, MatchFailed}:
                self._placement.fail(error)
            else:
                _LOG.warning("the service: %s", error)
            return
        match payload:
            case (
                MatchSignal(game_id=match_id)
                | RelayedMessage(game_id=match_id)
                | PeerLeft(match_id=match_id)
                | PeerReturned(match_id=match_id)
            ):
                if match_id != (self._watched_id if self.match is None else self.match.match_id):
                    _LOG.debug("%s of another match was ignored", event)
                    return
            case Replaced():
                self._line.give_up()
                _LOG.warning("another client has registered as %s; this one is cut off", self.subject_id)
                message = "another client has registered as the same subject"
                self._placement.fail(ServiceRefused("replaced", message))
            case _:
                self._placement.receive(payload)
        self.events.put(payload)
