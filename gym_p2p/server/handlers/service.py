"""The Socket.IO side of the service, around its dispatcher and its machines.

:class:`SignalingService` registers itself on a given ``AsyncServer``, our own or a host application's. Its
handlers never wait: each hands its event to the dispatcher and returns the acknowledgement; whatever else the
machines want done is done, in order, by one task. It knows websockets, the event loop and the clock; who may
do what is for them to decide. Session descriptions and credentials never reach the log.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Callable, Mapping
from typing import Any

import engineio
import socketio

from gym_p2p.core.api.matches import MakeMatch
from gym_p2p.core.api.payloads import encode
from gym_p2p.core.api.replies import Answer, Close, Code, Emit, Refused
from gym_p2p.core.api.rooms import CUT_OFF, DISCONNECTED, TIMED_OUT
from gym_p2p.core.matchmaking.commands import LogDecision, ProposedMatch
from gym_p2p.core.presence.pseudonyms import Assigned
from gym_p2p.core.probing.outcome import ProbeOutcome
from gym_p2p.core.probing.registry import ProbeEnded
from gym_p2p.core.service.machines import MachineFailed, Machines, ServiceOutput
from gym_p2p.processes.tasks import note_failure
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.frames import GUARD_KEY, VIOLATION, ConnectionGuard
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.handlers.decision_log import DecisionLog
from gym_p2p.server.handlers.dispatcher import Dispatcher
from gym_p2p.server.handlers.hooks import HookCaller
from gym_p2p.server.subjects import SubjectsFile

__all__ = ["SignalingService"]

_LOG = client_log(__name__)

_HOW = {
    socketio.AsyncServer.reason.PING_TIMEOUT: TIMED_OUT,
    socketio.AsyncServer.reason.TRANSPORT_CLOSE: CUT_OFF,
    socketio.AsyncServer.reason.TRANSPORT_ERROR: CUT_OFF,
}
"""How a socket went, by Socket.IO's reason for it."""

_NAMESPACE = "/"
_MAX_QUEUED_PACKETS = 64
"""A reader this far behind is dropped (Nakama's outgoing_queue_size)."""
_GOODBYE_S = 1.0
"""From a client's goodbye to closing its websocket under it."""

_HostHandler = Callable[..., object]
OnOutcome = Callable[[ProbeOutcome], None]


class SignalingService:
    """Meeting, signalling and probing, on a Socket.IO server.

    Args:
        sio: an ``AsyncServer`` with ``async_handlers=False``, so that one client's events keep their order.
        machines: what wants something done; to be looked at by the host, too.
        dispatcher: what is done with every event.
        metrics: what is sent is counted there.
        hook: asked before a queue's match is made; ``None`` where the queues were made without one.
        decision_log: where the queues' decisions go.
        subjects: where it is kept who is behind which pseudonym.

    Call :meth:`start` on the server's event loop, and :meth:`stop` there when done.
    """

    def __init__(
        self,
        sio: socketio.AsyncServer,
        machines: Machines,
        dispatcher: Dispatcher,
        *,
        metrics: ServiceMetrics,
        hook: HookCaller | None,
        decision_log: DecisionLog,
        subjects: SubjectsFile,
    ) -> None:
        self._sio = sio
        self.machines = machines
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._hook = hook
        self._decision_log = decision_log
        self._subjects = subjects
        self._guards: dict[str, ConnectionGuard | None] = {}
        """By socket; ``None`` where a host's application has no ``FrameGuard`` around it."""
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: float | None = None
        self._calls: dict[str, asyncio.Future[ProbeOutcome]] = {}
        """Those who wait for the outcome of a probe, by its id."""
        self._listeners: list[OnOutcome] = [metrics.probe_ended]
        self._running = self._awake = False
        self._own_tasks: set[asyncio.Task[None]] = set()

    @property
    def connection_count(self) -> int:
        """Sockets connected at present."""
        return len(self._guards)

    async def probe(self, one: str, other: str, *, threshold_ms: float | None = None) -> ProbeOutcome:
        """Measure the latency between two subjects; takes 18 s at most.

        Being cancelled ends the probe and frees both.

        Args:
            one: a registered subject.
            other: another one.
            threshold_ms: what the result will be compared with: so the two know how exact it has to be.

        Raises:
            UsageError: both are the same subject.
        """
        probe_id = self.machines.probe(one, other, time.monotonic(), threshold_ms=threshold_ms)
        self._wake()
        ended: asyncio.Future[ProbeOutcome] = asyncio.get_running_loop().create_future()
        self._calls[probe_id] = ended
        try:
            return await ended
        finally:
            del self._calls[probe_id]
            self.machines.cancel_probe(probe_id, time.monotonic())
            self._wake()

    def on_probe_outcome(self, listener: OnOutcome) -> None:
        """Call a listener with the outcome of every probe, whoever requested it."""
        self._listeners.append(listener)

    def start(self, *, catch_unknown: bool = False) -> None:
        """Register the handlers and begin to send.

        Args:
            catch_unknown: also answer and count events that nobody handles (on a server of our own).
        """
        hosts = dict(self._sio.handlers.get(_NAMESPACE, {}))
        self._sio.on("connect", functools.partial(self._connect, hosts.get("connect")))
        self._sio.on("disconnect", functools.partial(self._disconnect, hosts.get("disconnect")))
        for event in [*self._dispatcher.events, *([VIOLATION] if catch_unknown else [])]:
            self._sio.on(event, functools.partial(self._on_event, event))
        if catch_unknown:
            self._sio.on("*", self._on_event)
        self._running = True
        self._own(self._metrics.watch_loop())
        self._wake()

    async def stop(self) -> None:
        """Stop sending, and end the probes. Idempotent."""
        self._running = False
        tasks = tuple(self._own_tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._set_alarm(None)
        self._decision_log.close()
        for probe_id in tuple(self._calls):
            self.machines.cancel_probe(probe_id, time.monotonic())
        while (output := self.machines.poll()) is not None:
            if isinstance(output, ProbeEnded):
                self._announce(output)

    # ---- what the Socket.IO library calls

    async def _connect(
        self, host: _HostHandler | None, sid: str, environ: Mapping[str, Any], auth: object = None
    ) -> object:
        """Let a socket in, and ask the host's own handler, which may refuse it."""
        self._let_in(sid, environ, auth)
        if host is None:
            return None
        accepted = False
        try:
            answer = await _call_host(host, sid, environ, auth)
            accepted = answer is not False
        finally:
            if not accepted:
                self._forget(sid, "refused by the host")
        return answer

    async def _disconnect(self, host: _HostHandler | None, sid: str, reason: str = "") -> None:
        self._forget(sid, reason)
        if host is not None:
            await _call_host(host, sid, reason)

    def _let_in(self, sid: str, environ: Mapping[str, Any], auth: object) -> None:
        guard = environ.get("asgi.scope", {}).get(GUARD_KEY)
        refused = self._dispatcher.connected(sid, auth, time.monotonic())
        if guard is not None:
            guard.admitted = self.machines.presence.admitted_on(sid) is not None
            # Coming back all the same is what holds the address back.
            guard.violated |= refused is not None and refused.code is Code.RATE_LIMITED
        if refused is not None:
            _LOG.debug("socket %s refused: %s", sid, refused.code)
            self._own(self._close(None, guard, _GOODBYE_S))
            self._wake()
            raise socketio.exceptions.ConnectionRefusedError(refused.message, _error(refused))
        self._guards[sid] = guard
        self._wake()
        _LOG.debug("socket %s connected", sid)

    def _on_event(self, event: str, sid: str, *arguments: Any) -> dict[str, Any]:
        payload = arguments[0] if arguments else None
        answer = self._dispatcher.receive(event, payload, sid, time.monotonic())
        self._wake()
        if isinstance(answer, Refused):
            _LOG.debug("socket %s: %s refused: %s", sid, event, answer.code)
        return _acknowledge(answer)

    def _forget(self, sid: str, reason: str) -> None:
        guard = self._guards.pop(sid, None)
        how = _HOW.get(reason, DISCONNECTED)
        misbehaved = guard is not None and guard.violated
        now = time.monotonic()
        self._dispatcher.disconnected(sid, now, how=how, misbehaved=misbehaved)
        self._wake()
        _LOG.debug("socket %s disconnected: %s", sid, reason)

    # ---- what the dispatcher wants done

    def _wake(self) -> None:
        """Have done what the dispatcher wants, after what is under way and its acknowledgement."""
        if not self._awake and self._running:
            self._awake = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Carry out what the dispatcher wants, in order, and call it when its time has come."""
        self._awake = False
        if not self._running:
            return
        if self._alarm_at is not None and self._alarm_at <= (now := time.monotonic()):
            self.machines.handle_timeout(now)
        while (output := self.machines.poll()) is not None:
            try:
                self._carry_out(output)
            except Exception:  # noqa: BLE001  # one socket's trouble must not stop the others
                _LOG.exception("sending")
        self._set_alarm(self.machines.next_timeout())

    def _set_alarm(self, due: float | None) -> None:
        """Wake at this time and no other; mostly it is the one before."""
        if due == self._alarm_at and (due is None or self._alarm is not None):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at, self._alarm = due, None
        if due is not None:
            delay_s = max(0.0, due - time.monotonic())
            self._alarm = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._wake()

    def _carry_out(self, output: ServiceOutput) -> None:
        match output:
            case Emit():
                self._metrics.sent(output.socket, output.payload, time.monotonic())
                self._emit(output)
            case Close(socket, reason, at_once):
                self._drop(socket, reason, grace_s=0.0 if at_once else _GOODBYE_S)
            case ProbeEnded():
                self._announce(output)
            case ProposedMatch() if self._hook is not None:
                self._own(self._consult(self._hook, output))
            case Assigned():
                self._subjects.keep(output)
            case LogDecision(record):
                self._decision_log.append(record)
            case MakeMatch(queue, _, players):
                _LOG.info("queue %s: a match of %d", queue, len(players))
            case MachineFailed(error):
                _LOG.error("in the service", exc_info=error)

    def _announce(self, ended: ProbeEnded) -> None:
        """Hand an outcome to those who wait for it."""
        _LOG.info("probe %s ended: %s", ended.probe_id, ended.outcome.reason)
        call = self._calls.get(ended.probe_id)
        if call is not None and not call.done():
            call.set_result(ended.outcome)
        for listener in tuple(self._listeners):
            try:
                listener(ended.outcome)
            except Exception:  # noqa: BLE001  # the host's bug must not stop the others' probes
                _LOG.exception("in a listener of probe outcomes")

    def _emit(self, output: Emit) -> None:
        """Queue an event for a socket, without the library's own way to do that: a task for every one."""
        sid = output.socket
        if sid not in self._guards:
            return
        transport = self._sio.eio.sockets.get(self._sio.manager.eio_sid_from_sid(sid, _NAMESPACE))
        if transport is None or transport.closed:
            return
        if transport.queue.qsize() > _MAX_QUEUED_PACKETS:
            self._drop(sid, "it does not read", grace_s=0.0)
            return
        packet = self._sio.packet_class(
            socketio.packet.EVENT, data=[output.payload.event, encode(output.payload)], namespace=_NAMESPACE
        )
        transport.queue.put_nowait(engineio.packet.Packet(engineio.packet.MESSAGE, packet.encode()))

    async def _consult(self, hook: HookCaller, proposed: ProposedMatch) -> None:
        verdict, reason = await hook.decide(self.machines.named_for_hook(proposed))
        self.machines.hook_decided(proposed, verdict, reason, time.monotonic())
        self._wake()

    # ---- goodbyes

    def _drop(self, sid: str, reason: str, *, grace_s: float) -> None:
        """Forget a socket at once, and close it as soon as it has had the time to read its goodbye."""
        if sid in self._guards:
            self._own(self._close(sid, self._guards[sid], grace_s))
            self._forget(sid, reason)

    async def _close(self, sid: str | None, guard: ConnectionGuard | None, grace_s: float) -> None:
        if sid is not None:  # otherwise the library has refused it, and said so
            await self._sio.disconnect(sid)
        if guard is not None:
            await asyncio.sleep(grace_s)
            await guard.close()

    def _own(self, work: Any) -> None:
        """Run a coroutine until it ends, or :meth:`stop` does."""
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._own_tasks.add(task)
        task.add_done_callback(self._own_tasks.discard)
        task.add_done_callback(note_failure)


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
