"""The service on an asynchronous Socket.IO server, our own or a host application's.

:class:`AsyncService` registers itself on an ``AsyncServer``, with ``async_handlers`` either way: its handlers
never wait, so they end in the order in which they begin, which is that of the events. Each hands its event to
the switchboard and returns the acknowledgement; whatever else is to be done is done, in order, by one call of
the event loop's. It knows websockets, the event loop and the clock; who may do what is for the machines to
decide. Session descriptions and credentials never reach the log.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import socketio

from gym_p2p.config.event_names import EventNames
from gym_p2p.core.api.replies import Code
from gym_p2p.core.matchmaking.commands import ProposedMatch
from gym_p2p.core.probing.outcome import ProbeOutcome
from gym_p2p.core.service.machines import Machines
from gym_p2p.processes.tasks import note_failure
from gym_p2p.server.delivery import AsyncDelivery
from gym_p2p.server.documents import Documents
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.frames import GUARD_KEY, VIOLATION
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.handlers.hooks import HookCaller
from gym_p2p.server.hosts.async_sockets import AsyncSockets
from gym_p2p.server.hosts.callbacks import Callbacks
from gym_p2p.server.hosts.registration import Registration, arguments_for
from gym_p2p.server.hosts.taken_over import LOOK_AGAIN_S, TakenOver
from gym_p2p.server.switchboard import OnOutcome, Switchboard, error_of

__all__ = ["AsyncService"]

_LOG = client_log(__name__)

_GOODBYE_S = 1.0
"""From a client's goodbye to closing its websocket under it."""


class AsyncService:
    """Meeting, signalling and probing, on an ``AsyncServer``.

    Args:
        sio: the server.
        switchboard: decides.
        names: what our events are called there.
        callbacks: the host's.
        documents: the players', which :func:`~gym_p2p.server.asgi_app` takes.

    Call :meth:`start` on the server's event loop, and :meth:`stop` there when done.
    """

    def __init__(
        self,
        sio: socketio.AsyncServer,
        switchboard: Switchboard,
        *,
        names: EventNames,
        callbacks: Callbacks,
        documents: Documents,
    ) -> None:
        self.documents = documents
        self._sio = sio
        self._switchboard = switchboard
        self._namespace = names.namespace
        self._names = names
        self._registration = Registration(sio, names)
        self._callbacks = callbacks
        hook = callbacks.pre_match
        self._hook = None if hook is None else HookCaller(hook, callbacks.hook_timeout_s)
        self._sockets = AsyncSockets(sio, names.namespace)
        self._taken_over = TakenOver(sio, names.namespace)
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: float | None = None
        self._running = self._awake = False
        self._own_tasks: set[asyncio.Task[None]] = set()

    @property
    def machines(self) -> Machines:
        """What goes on; to be looked at on the event loop."""
        return self._switchboard.machines

    @property
    def metrics(self) -> ServiceMetrics:
        """What is counted."""
        return self._switchboard.metrics

    def look(self, at: Callable[[Machines], Any]) -> Any:
        """Return what a function finds in the machines."""
        return at(self._switchboard.machines)

    @property
    def connection_count(self) -> int:
        """Sockets connected at present."""
        return self._switchboard.connection_count

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
        ended: asyncio.Future[ProbeOutcome] = asyncio.get_running_loop().create_future()

        def settle(outcome: ProbeOutcome) -> None:
            if not ended.done():
                ended.set_result(outcome)

        probe_id = self._switchboard.probe(one, other, time.monotonic(), settle, threshold_ms=threshold_ms)
        self._wake()
        try:
            return await ended
        finally:
            self._switchboard.cancel_probe(probe_id, time.monotonic())
            self._wake()

    def on_probe_outcome(self, listener: OnOutcome) -> None:
        """Call a listener with the outcome of every probe, whoever requested it."""
        self._switchboard.on_probe_outcome(listener)

    def start(self, *, catch_unknown: bool = False) -> None:
        """Register the handlers and begin to send.

        Args:
            catch_unknown: also answer and count events that nobody handles (on a server of our own).

        Raises:
            UsageError: as :meth:`~gym_p2p.server.hosts.registration.Registration.register`; nothing is
                registered then.
        """
        events = {event: functools.partial(self._on_event, event) for event in self._switchboard.events}
        unknown = None
        if catch_unknown:
            events[VIOLATION] = functools.partial(self._on_event, VIOLATION)
            unknown = self._on_event
        self._registration.register(
            connect=self._connect, disconnect=self._disconnect, events=events, unknown=unknown
        )
        self._running = True
        self._take_over(self._taken_over.begin())
        self._own(self._watch_taken_over())
        self._own(self._switchboard.metrics.watch_loop())
        delivery = self.documents.delivery
        if isinstance(delivery, AsyncDelivery):
            delivery.start()
        self._wake()

    async def stop(self) -> None:
        """Stop sending, end the probes, and leave the server as it would be without us. Idempotent."""
        self._running = False
        self._registration.remove()
        tasks = tuple(self._own_tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(self.documents.delivery, AsyncDelivery):
            await self.documents.delivery.stop()
        self._set_alarm(None)
        self._switchboard.end(time.monotonic())

    # ---- what the Socket.IO library calls

    async def _connect(self, sid: str, *arguments: Any) -> object:
        """Let a socket in, and ask the host's own handler, which may refuse it."""
        auth = arguments[1] if len(arguments) > 1 else None
        if sid in self._switchboard:  # an event of that name, which a client may send
            return None
        # Not what was handed over, for a client might have made that up.
        environ = self._sio.get_environ(sid, self._namespace) or {}
        self._let_in(sid, environ, auth)
        host = self._registration.hosts_handler("connect")
        answer: object = None
        if host is not None:
            accepted = False
            try:
                answer = await _call_host(host, sid, environ, auth)
                accepted = answer is not False
            finally:
                if not accepted:
                    self._forget(sid, "refused by the host")
        if answer is not False:
            self._identify(sid, environ)
        return answer

    async def _disconnect(self, sid: str, *arguments: Any) -> None:
        reason = str(arguments[0]) if arguments else ""
        if not self._sio.manager.is_connected(sid, self._namespace):  # otherwise a client's own event
            # What came before it may not have begun yet: each such event is a task.
            await asyncio.sleep(0)
            self._forget(sid, reason)
        host = self._registration.hosts_handler("disconnect")
        if host is not None:
            await _call_host(host, sid, reason)

    def _let_in(self, sid: str, environ: Mapping[str, Any], auth: object) -> None:
        guard = environ.get("asgi.scope", {}).get(GUARD_KEY)
        refused = self._switchboard.let_in(sid, auth, time.monotonic())
        self._wake()
        if guard is not None:
            guard.admitted = self._switchboard.is_identified(sid)
            # Coming back all the same is what holds the address back.
            guard.violated |= refused is not None and refused.code is Code.RATE_LIMITED
        if refused is not None:
            self._own(self._sockets.close(None, guard, _GOODBYE_S))
            raise socketio.exceptions.ConnectionRefusedError(refused.message, error_of(refused))
        self._sockets.add(sid, guard)
        self._sockets.take_events(sid, functools.partial(self._take, sid))

    def _take_over(self, sids: Iterable[str]) -> None:
        """Let in who is connected to the host already."""
        for sid in sids:
            environ = self._sio.get_environ(sid, self._namespace) or {}
            if sid in self._switchboard:
                continue
            if self._switchboard.let_in(sid, None, time.monotonic()) is None:
                self._sockets.add(sid, None)
                self._identify(sid, environ)

    async def _watch_taken_over(self) -> None:
        """Let in, and forget, as the host has answered who was connecting when we came."""
        while self._taken_over:
            await asyncio.sleep(LOOK_AGAIN_S)
            self._look_at_taken_over()

    def _look_at_taken_over(self) -> None:
        come, gone = self._taken_over.look()
        self._take_over(come)
        for sid in gone:
            self._forget(sid, "refused by the host")

    def _identify(self, sid: str, environ: Mapping[str, Any]) -> None:
        """Ask the host whose a socket is, if it says so and has not yet."""
        if self._switchboard.is_identified(sid):
            return
        subject_id = self._callbacks.ask_subject(sid, environ)
        if subject_id is not None:
            self._switchboard.identify(sid, subject_id, time.monotonic())
            self._wake()

    def _on_event(self, event: str, sid: str, *arguments: Any) -> dict[str, Any]:
        if self._taken_over and sid not in self._switchboard:
            self._look_at_taken_over()
        if self._callbacks.subject_of is not None:
            self._identify(sid, self._sio.get_environ(sid, self._namespace) or {})
        answer = self._switchboard.receive(event, arguments, sid, time.monotonic())
        self._wake()
        return answer

    def _take(self, sid: str, text: str) -> None:
        """Handle an event that the library has not seen, as it would have it handled; acknowledge it."""
        try:
            packet = self._sio.packet_class(encoded_packet=text[1:])
            event, *arguments = packet.data
            answer = self._on_event(event, sid, *arguments)
            if packet.id is not None:
                self._sockets.put(sid, socketio.packet.ACK, [answer], packet.id)
        except Exception:  # noqa: BLE001  # a bug of ours must not end a client's connection
            _LOG.exception("taking an event")

    def _forget(self, sid: str, reason: str) -> None:
        misbehaved = self._sockets.forget(sid)
        self._switchboard.forget(sid, reason, time.monotonic(), misbehaved=misbehaved)
        self._wake()

    # ---- what the switchboard wants done

    def _wake(self) -> None:
        """Have done what the switchboard wants, after what is under way and its acknowledgement."""
        if not self._awake and self._running:
            self._awake = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Carry out what the switchboard wants, in order, and call it when its time has come."""
        self._awake = False
        if not self._running:
            return
        now = time.monotonic()
        while True:
            while (output := self._switchboard.poll()) is not None:
                self._switchboard.carry_out(output, self, now)
            due = self._switchboard.next_timeout()
            if due is None or due > now:
                break
            self._switchboard.handle_timeout(now)
        self._set_alarm(due)

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

    def emit(self, socket: str, event: str, payload: dict[str, Any]) -> None:
        """Send an event to a socket; one that does not read is dropped."""
        if not self._sockets.put(socket, socketio.packet.EVENT, [self._names.of(event), payload]):
            self.close(socket, "it does not read", at_once=True)

    def consult(self, proposed: ProposedMatch) -> None:
        """Ask the pre-match hook."""
        if self._hook is not None:
            self._own(self._consult(self._hook, proposed))

    async def _consult(self, hook: HookCaller, proposed: ProposedMatch) -> None:
        verdict, reason = await hook.decide(proposed)
        self._switchboard.hook_decided(proposed, verdict, reason, time.monotonic())
        self._wake()

    # ---- goodbyes

    def close(self, socket: str, reason: str, *, at_once: bool) -> None:
        """Forget a socket at once, and close it as soon as it has had the time to read its goodbye."""
        guard = self._sockets.guard_of(socket)
        self._own(self._sockets.close(socket, guard, 0.0 if at_once else _GOODBYE_S))
        self._forget(socket, reason)

    def _own(self, work: Any) -> None:
        """Run a coroutine until it ends, or :meth:`stop` does."""
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._own_tasks.add(task)
        task.add_done_callback(self._own_tasks.discard)
        task.add_done_callback(note_failure)


async def _call_host(handler: Callable[..., object], *arguments: Any) -> object:
    answer = handler(*arguments_for(handler, arguments))
    return await answer if inspect.isawaitable(answer) else answer
