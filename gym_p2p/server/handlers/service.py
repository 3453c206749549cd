"""The Socket.IO side of the service: events in, machine, events out.

:class:`SignalingService` registers its handlers on a given ``AsyncServer``, our own or a host application's.
Handlers never wait: each decodes, asks the machine, and returns the acknowledgement; whatever is to be sent
to others is carried out, in order, by one task. It knows sockets, limits and the clock; who may do what is
the machines' to say. Session descriptions and credentials never reach the log.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.metadata
import inspect
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import attrs
import socketio

from gym_p2p.core.api import requests
from gym_p2p.core.api.payloads import Event, decode, encode
from gym_p2p.core.api.replies import Accepted, Answer, Close, Code, Departed, Emit, Refused, ServiceOutput
from gym_p2p.core.matchmaking.commands import TicketRow
from gym_p2p.core.matchmaking.queues import Queues
from gym_p2p.core.probing.outcome import ProbeOutcome
from gym_p2p.core.probing.registry import ProbeRegistry
from gym_p2p.core.service.rooms import Rooms
from gym_p2p.core.service.spectators import Watching
from gym_p2p.errors import ProtocolError
from gym_p2p.server.guard.frames import GUARD_KEY, VIOLATION, ConnectionGuard
from gym_p2p.server.guard.guards import Guards
from gym_p2p.server.guard.rate_limits import SocketLimits
from gym_p2p.server.handlers.decision_log import DecisionLog
from gym_p2p.server.handlers.hooks import PreMatchHook
from gym_p2p.server.handlers.probing import OnOutcome, Probing
from gym_p2p.server.handlers.queueing import Queueing
from gym_p2p.server.handlers.spectating import Spectating

__all__ = ["VERSION", "SignalingService"]

_LOG = logging.getLogger(__name__)

VERSION = importlib.metadata.version("gym_p2p")
"""What the service says it is."""

_NAMESPACE = "/"
_MAX_QUEUED_PACKETS = 64
"""A reader this far behind is dropped (Nakama's outgoing_queue_size)."""
_AFTER_A_BUG_S = 0.1
"""A pause, so that one that comes again and again leaves room for everything else."""
_GOODBYE_S = 1.0
"""From telling a client to go to closing its websocket under it."""


_HostHandler = Callable[..., object]
_T = TypeVar("_T")


class _Machine(Protocol):
    def handle_timeout(self, now: float) -> None: ...
    def next_timeout(self) -> float | None: ...
    def poll(self) -> ServiceOutput | None: ...


@attrs.frozen
class _Connection:
    limits: SocketLimits
    guard: ConnectionGuard | None
    """``None`` where a host's application has no :class:`FrameGuard` around it."""


class SignalingService:
    """Meeting, signalling and probing, on a Socket.IO server.

    Args:
        sio: an ``AsyncServer`` with ``async_handlers=False``, so that one client's events keep their order.
        rooms: the machine of rooms and matches.
        probes: the machine of probes.
        queues: the machine of queues.
        watching: the machine of spectators, over the same rooms.
        pre_match: asked before a queue's match is made; ``None`` where ``queues`` was made without one.
        hook_timeout_s: how long it may think.
        decision_log: where the queues' decisions go; ``None`` keeps none.
        guards: who comes in, and what is counted.
        events_per_s: sustained events of one socket.
        event_burst: events of one socket at once.

    Call :meth:`start` on the server's event loop, and :meth:`stop` there when done.
    """

    def __init__(
        self,
        sio: socketio.AsyncServer,
        rooms: Rooms,
        probes: ProbeRegistry,
        queues: Queues,
        *,
        watching: Watching,
        pre_match: PreMatchHook | None = None,
        hook_timeout_s: float = 5.0,
        decision_log: DecisionLog | None = None,
        guards: Guards | None = None,
        events_per_s: float,
        event_burst: int,
    ) -> None:
        self._sio = sio
        self._rooms = rooms
        self._guards = Guards() if guards is None else guards
        self._events_per_s = events_per_s
        self._event_burst = event_burst
        self._connections: dict[str, _Connection] = {}
        self._wake = asyncio.Event()
        self._probing = Probing(probes, self._wake.set)
        self._queueing = Queueing(
            queues,
            rooms,
            self._probing,
            hook=pre_match,
            hook_timeout_s=hook_timeout_s,
            log=decision_log,
            on_work=self._wake.set,
        )
        self._spectating = Spectating(watching)
        # The queues first, the spectators last: what they want, or hear, of the others is done in one turn.
        self._machines: tuple[_Machine, ...] = (self._queueing, rooms, self._probing, self._spectating)
        self._pump_task: asyncio.Task[None] | None = None
        self._lag_task: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._handlers: Mapping[str, Callable[[str, Any], Answer]] = {
            "register_subject": self._register_subject,
            "join_room": self._join_room,
            "leave_room": self._leave_room,
            "webrtc_signal": self._webrtc_signal,
            **self._probing.handlers,
            **self._queueing.handlers,
            **self._spectating.handlers,
        }

    @property
    def connection_count(self) -> int:
        """Sockets connected at present."""
        return len(self._connections)

    def queue_tables(self) -> dict[str, list[TicketRow]]:
        """Return who waits in which queue; see :meth:`Queues.tables`."""
        return self._queueing.tables()

    async def probe(self, one: str, other: str, *, threshold_ms: float | None = None) -> ProbeOutcome:
        """Measure the latency between two registered subjects; see :meth:`Probing.probe`."""
        return await self._probing.probe(one, other, threshold_ms=threshold_ms)

    def on_probe_outcome(self, listener: OnOutcome) -> None:
        """Call a listener with the outcome of every probe, whoever asked for it."""
        self._probing.listen(listener)

    def start(self, *, catch_unknown: bool = False) -> None:
        """Register the handlers and begin to send.

        Args:
            catch_unknown: also answer and count events that nobody handles (on a server of our own).
        """
        hosts = dict(self._sio.handlers.get(_NAMESPACE, {}))
        self._sio.on("connect", functools.partial(self._connect, hosts.get("connect")))
        self._sio.on("disconnect", functools.partial(self._disconnect, hosts.get("disconnect")))
        for event in self._handlers:
            self._sio.on(event, functools.partial(self._on_event, event))
        if catch_unknown:
            self._sio.on(VIOLATION, self._on_violation)
            self._sio.on("*", self._on_unknown)
        self._probing.listen(self._guards.metrics.probe_ended)
        self._pump_task = asyncio.create_task(self._pump(), name="gym_p2p signalling pump")
        self._lag_task = asyncio.create_task(self._guards.metrics.watch_loop(), name="gym_p2p loop lag")

    async def stop(self) -> None:
        """Stop sending, and end the probes. Idempotent."""
        own = (self._pump_task, self._lag_task)
        tasks = [*self._closing, *(task for task in own if task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._queueing.close()
        self._probing.close()

    # ---- what the Socket.IO library calls

    async def _connect(
        self, host: _HostHandler | None, sid: str, environ: Mapping[str, Any], auth: object = None
    ) -> object:
        """Let a socket in, and ask the host's own handler, which may refuse it."""
        self._on_connect(sid, environ, auth)
        if host is None:
            return None
        accepted = False
        try:
            answer = await _call_host(host, sid, environ, auth)
            accepted = answer is not False
        finally:
            if not accepted:
                self._on_disconnect(sid, "refused by the host")
        return answer

    async def _disconnect(self, host: _HostHandler | None, sid: str, reason: str = "") -> None:
        self._on_disconnect(sid, reason)
        if host is not None:
            await _call_host(host, sid, reason)

    def _on_connect(self, sid: str, environ: Mapping[str, Any], auth: object = None) -> None:
        now = time.monotonic()
        guard = environ.get("asgi.scope", {}).get(GUARD_KEY)
        refused = self._guards.admit(sid, auth)
        if refused is not None:
            _LOG.debug("socket %s refused: %s", sid, refused.code)
            self._close_soon(guard, _GOODBYE_S)
            raise socketio.exceptions.ConnectionRefusedError(refused.message, _error(refused))
        limits = SocketLimits(self._events_per_s, self._event_burst, now)
        self._connections[sid] = _Connection(limits, guard)
        self._rooms.connected(sid, now)
        self._wake.set()
        _LOG.debug("socket %s connected", sid)

    def _on_disconnect(self, sid: str, reason: str = "") -> None:
        if self._connections.pop(sid, None) is None:
            return
        self._guards.left(sid)
        subject_id = self._rooms.subject_on(sid)
        if subject_id is not None:
            self._queueing.disconnected(subject_id)
        self._spectating.disconnected(sid)
        self._rooms.disconnected(sid)
        self._probing.disconnected(sid)
        self._wake.set()
        _LOG.debug("socket %s disconnected: %s", sid, reason)

    def _on_event(self, event: str, sid: str, *arguments: Any) -> dict[str, Any]:
        answer: Answer
        refused = self._refuse_flood(sid) or self._guards.refuse_join(event, self._rooms.subject_on(sid))
        try:
            answer = refused or self._handlers[event](sid, arguments[0] if arguments else None)
        except ProtocolError as error:
            answer = Refused(Code.BAD_REQUEST, error.problem)
        except Exception:  # noqa: BLE001  # a bug of ours must not reach the client, nor end his connection
            _LOG.exception("handling %s", event)
            answer = Refused(Code.UNAVAILABLE, "the service failed; its log says why")
        self._wake.set()
        self._guards.answered(sid, event, answer)
        if isinstance(answer, Refused):
            _LOG.debug("socket %s: %s refused: %s", sid, event, answer.code)
        return _acknowledge(answer)

    def _on_violation(self, sid: str, *_arguments: Any) -> None:
        connection = self._connections.get(sid)
        if connection is not None:
            self._guards.metrics.refused("violation")
            connection.limits.violate(time.monotonic())
            self._drop_if_exhausted(sid, connection)

    def _on_unknown(self, _event: str, sid: str, *_arguments: Any) -> dict[str, Any]:
        self._on_violation(sid)
        return _acknowledge(Refused(Code.BAD_REQUEST, "no such event"))

    # ---- the events

    def _register_subject(self, sid: str, payload: object) -> Answer:
        subject_id = self._guards.admission.subject_of(sid)
        request: requests.RegisterFixed | requests.RegisterSubject
        if subject_id is None:
            request = decode(requests.RegisterSubject, payload)
            subject_id = request.subject_id
        else:
            request = decode(requests.RegisterFixed, payload)
        answer = self._rooms.register(sid, subject_id)
        if isinstance(answer, Refused):
            return answer
        self._probing.registered(sid, subject_id, request.named_client)
        resume_token = self._guards.admission.registered(sid)
        resume = {} if resume_token is None else {"resume_token": resume_token}
        return Accepted({**encode(answer.value), **resume, "service": "gym_p2p", "version": VERSION})

    def _join_room(self, sid: str, payload: object) -> Answer:
        queued = self._queueing.refuse_if_queued(sid)
        if queued is not None:
            return queued
        request = decode(requests.JoinRoom, payload)
        return self._rooms.join(
            sid,
            room=request.room,
            seats=request.seats,
            take=request.take,
            client=request.client,
            spectators=request.spectators,
        )

    def _leave_room(self, sid: str, payload: object) -> Answer:
        return self._rooms.leave(sid, room=decode(requests.LeaveRoom, payload).room)

    def _webrtc_signal(self, sid: str, payload: object) -> Answer:
        request = decode(requests.SendMatchSignal, payload)
        return self._spectating.signal(sid, request) or self._rooms.signal(
            sid,
            game_id=request.game_id,
            target_player_id=request.target_player_id,
            type=request.type,
            payload=request.parsed_payload(),
        )

    # ---- sending

    async def _pump(self) -> None:
        """Carry out the machines' requests, each one's in order, and tell them the time."""
        while True:
            deadlines = [d for machine in self._machines if (d := machine.next_timeout()) is not None]
            timeout_s = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
            try:
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()
            except TimeoutError:
                for machine in self._machines:
                    await self._unharmed(functools.partial(machine.handle_timeout, time.monotonic()))
            self._wake.clear()
            for machine in self._machines:
                while (output := await self._unharmed(machine.poll)) is not None:
                    await self._carry_out(output)

    async def _unharmed(self, work: Callable[[], _T]) -> _T | None:
        """Let a machine work; one that raises must stop neither itself nor the others."""
        try:
            return work()
        except Exception:  # noqa: BLE001  # see above
            _LOG.exception("in the service")
            self._wake.set()  # what it has left undone is for the next turn
            await asyncio.sleep(_AFTER_A_BUG_S)
            return None

    async def _carry_out(self, output: ServiceOutput) -> None:
        try:
            match output:
                case Emit(socket, payload):
                    self._guards.metrics.sent(socket, payload, time.monotonic())
                    await self._send(socket, payload)
                case Close(socket, reason):
                    self._drop(socket, reason, grace_s=_GOODBYE_S)
                case Departed():
                    self._spectating.departed(output)
        except Exception:  # noqa: BLE001  # one socket's trouble must not stop the others
            _LOG.exception("sending")

    async def _send(self, sid: str, payload: Event) -> None:
        if sid not in self._connections:
            return
        if self._queued_packets(sid) > _MAX_QUEUED_PACKETS:
            self._drop(sid, "it does not read", grace_s=0.0)
            return
        await self._sio.emit(payload.event, encode(payload), to=sid)

    def _queued_packets(self, sid: str) -> int:
        transport_sid = self._sio.manager.eio_sid_from_sid(sid, _NAMESPACE)
        transport = self._sio.eio.sockets.get(transport_sid)
        return 0 if transport is None else int(transport.queue.qsize())

    # ---- limits and goodbyes

    def _refuse_flood(self, sid: str) -> Refused | None:
        connection = self._connections.get(sid)
        if connection is None:
            return Refused(Code.UNAUTHENTICATED, "not connected")
        if connection.limits.take(time.monotonic()):
            return None
        self._drop_if_exhausted(sid, connection)
        message = f"at most {self._events_per_s:g} events a second"
        retry_after_ms = math.ceil(connection.limits.wait_s * 1000)
        return Refused(Code.RATE_LIMITED, message, retry_after_ms=retry_after_ms)

    def _drop_if_exhausted(self, sid: str, connection: _Connection) -> None:
        if connection.limits.exhausted:
            _LOG.warning("socket %s dropped: too many events, or malformed ones", sid)
            self._drop(sid, "limits exceeded", grace_s=0.0)

    def _drop(self, sid: str, reason: str, *, grace_s: float) -> None:
        """Forget a socket at once, and close it as soon as it has had the time to read its goodbye."""
        connection = self._connections.get(sid)
        if connection is None:
            return
        _LOG.debug("socket %s: closing: %s", sid, reason)
        self._close_soon(connection.guard, grace_s, sid=sid)
        self._on_disconnect(sid, reason)

    def _close_soon(self, guard: ConnectionGuard | None, grace_s: float, *, sid: str | None = None) -> None:
        task = asyncio.create_task(self._close(sid, guard, grace_s))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, sid: str | None, guard: ConnectionGuard | None, grace_s: float) -> None:
        if sid is not None:  # otherwise the library has refused it, and said so
            goodbye: Awaitable[None] = self._sio.disconnect(sid)
            await goodbye
        if guard is not None:
            await asyncio.sleep(grace_s)
            await guard.close()


async def _call_host(handler: _HostHandler, *arguments: Any) -> object:
    """Call a host's handler with as many arguments as it takes: newer libraries hand over more."""
    parameters = inspect.signature(handler).parameters.values()
    takes_all = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    answer = handler(*(arguments if takes_all else arguments[: len(parameters)]))
    return await answer if inspect.isawaitable(answer) else answer


def _acknowledge(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Refused):
        return {"ok": False, "error": _error(answer)}
    return {"ok": True, **encode(answer.value)}


def _error(refused: Refused) -> dict[str, Any]:
    error: dict[str, Any] = {"code": str(refused.code), "message": refused.message}
    if refused.retry_after_ms is not None:
        error["retry_after_ms"] = refused.retry_after_ms
    return error
