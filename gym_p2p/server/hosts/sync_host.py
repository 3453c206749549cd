"""The service on a synchronous Socket.IO server: threads, or eventlet's or gevent's greenlets.

:class:`SyncService` is the same switchboard in another shell. No event loop runs: what the clients send is
handled where it is received, under one lock, and acknowledged before anything that follows from it is sent.
Whatever else is to be done is done by one task, in order, which sleeps until something has happened or is
due. The host's own functions are called outside the lock, each on a task of its own: they may take their
time, and ask for probes.

It knows the server's tasks, events and sockets, and the clock; who may do what is for the machines to decide.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import socketio

from gym_p2p.config.event_names import EventNames
from gym_p2p.core.api.replies import Code
from gym_p2p.core.matchmaking.commands import ProposedMatch
from gym_p2p.core.presence.rate_limits import SlidingWindow, too_often
from gym_p2p.core.probing.outcome import ProbeOutcome
from gym_p2p.core.service.machines import Machines, ServiceOutput
from gym_p2p.errors import UsageError
from gym_p2p.server.delivery import SyncDelivery
from gym_p2p.server.documents import Documents
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.hosts.callbacks import Callbacks
from gym_p2p.server.hosts.receiving import Receiving
from gym_p2p.server.hosts.registration import Registration, arguments_for
from gym_p2p.server.hosts.sync_calls import HostCalls, SyncHook
from gym_p2p.server.hosts.sync_sockets import SyncSockets
from gym_p2p.server.hosts.taken_over import LOOK_AGAIN_S, TakenOver
from gym_p2p.server.switchboard import OnOutcome, Switchboard, error_of

__all__ = ["SyncService"]

_LOG = client_log(__name__)

_CONNECTS = 8
_CONNECTS_WITHIN_S = 10.0
"""Of one connection: to leave the namespace and come back is otherwise a way around a socket's limits."""
_END_TIMEOUT_S = 10.0


class SyncService:
    """Meeting, signalling and probing, on a ``socketio.Server``.

    Args:
        sio: the server, in whatever ``async_mode``, with ``async_handlers`` either way.
        switchboard: decides.
        names: what our events are called there.
        callbacks: the host's.
        documents: the players', which :func:`~gym_p2p.server.wsgi_app` takes.

    Call :meth:`start` when the process is monkey-patched, if it ever is, and :meth:`stop` when done.

    Raises:
        UsageError: a callback is a coroutine function, or the library is not one that we know.
    """

    def __init__(
        self,
        sio: Any,
        switchboard: Switchboard,
        *,
        names: EventNames,
        callbacks: Callbacks,
        documents: Documents,
    ) -> None:
        self.documents = documents
        self._delivery = documents.delivery if isinstance(documents.delivery, SyncDelivery) else None
        self.metrics = switchboard.metrics
        self.machines: Machines = switchboard.machines  # to be looked at by :meth:`look`
        self._sio = sio
        self._switchboard = switchboard
        self._names = names
        self._namespace = names.namespace
        self._registration = Registration(sio, names)
        self._receiving = Receiving(sio, names.namespace)
        self._sockets = SyncSockets(sio, names.namespace)
        self._taken_over = TakenOver(sio, names.namespace)
        self._callbacks = callbacks
        calls = HostCalls(sio)
        hook = callbacks.pre_match
        self._hook = None if hook is None else SyncHook(hook, callbacks.hook_timeout_s, calls)
        self._connects = SlidingWindow(_CONNECTS, _CONNECTS_WITHIN_S)
        # As the modules are now: monkey-patched, where the process is.
        self._lock = threading.Lock()
        self._holder: int | None = None
        self._wanted: Any = sio.eio.create_event()
        self._ended: Any = sio.eio.create_event()
        self._running = False

    @property
    def connection_count(self) -> int:
        """Sockets connected at present."""
        return self._switchboard.connection_count

    def look(self, at: Callable[[Machines], Any]) -> Any:
        """Return what a function finds in the machines, which stand still meanwhile."""
        with self._locked():
            return at(self._switchboard.machines)

    # ---- what the host asks for

    def probe(
        self, one: str, other: str, *, timeout_s: float = 20.0, threshold_ms: float | None = None
    ) -> ProbeOutcome:
        """Measure the latency between two subjects; waits for that, 18 s at most.

        Args:
            one: a registered subject.
            other: another one.
            timeout_s: after which the probe is cancelled, both are free, and the outcome says ``cancelled``.
            threshold_ms: what the result will be compared with: so the two know how exact it has to be.

        Raises:
            UsageError: both are the same subject, the service is stopped, or the caller is a handler that
                keeps its client's next words from being heard.
        """
        if self._receiving.is_busy_here:
            raise UsageError(
                "probe() would wait for itself: in a connect or disconnect handler, and in any with "
                "async_handlers=False, nothing more is read from that client until it returns; take "
                "start_probe(one, other, on_done), or a background task"
            )
        done = self._sio.eio.create_event()
        outcomes: list[ProbeOutcome] = []

        def settle(outcome: ProbeOutcome) -> None:
            outcomes.append(outcome)
            done.set()

        probe_id = self._begin_probe(one, other, settle, threshold_ms)
        try:
            done.wait(timeout_s)
            if not outcomes:
                with self._working():
                    self._switchboard.machines.cancel_probe(probe_id, time.monotonic())
                done.wait(_END_TIMEOUT_S)
            return outcomes[0]
        finally:
            with self._working():
                self._switchboard.cancel_probe(probe_id, time.monotonic())

    def start_probe(
        self, one: str, other: str, on_done: OnOutcome, *, threshold_ms: float | None = None
    ) -> str:
        """Have the latency between two subjects measured, without waiting for it; return the probe's id.

        Args:
            one: a registered subject.
            other: another one.
            on_done: called once with what became of it, within 18 s, on a task of its own.
            threshold_ms: as in :meth:`probe`.

        Raises:
            UsageError: both are the same subject, or the service is stopped.
        """
        return self._begin_probe(one, other, self._on_own_task(on_done), threshold_ms)

    def on_probe_outcome(self, listener: OnOutcome) -> None:
        """Call a listener with the outcome of every probe, whoever requested it, on a task of its own."""
        self._switchboard.on_probe_outcome(self._on_own_task(listener))

    def start(self) -> None:
        """Register the handlers and begin to send.

        Raises:
            UsageError: as :meth:`~gym_p2p.server.hosts.registration.Registration.register`; nothing is
                registered then.
        """
        events = {event: functools.partial(self._on_event, event) for event in self._switchboard.events}
        self._registration.register(connect=self._connect, disconnect=self._disconnect, events=events)
        takes = {
            self._names.of(event): functools.partial(self._take, event) for event in self._switchboard.events
        }
        self._running = True
        self._receiving.begin(takes)
        self._take_over(self._taken_over.begin())
        self._sio.start_background_task(self._run)
        if self._taken_over:
            self._sio.start_background_task(self._watch_taken_over)
        if self._delivery is not None:
            self._delivery.start()

    def stop(self) -> None:
        """Stop sending, end the probes, and leave the server as it would be without us. Idempotent."""
        with self._locked():
            was_running, self._running = self._running, False
        if not was_running:
            return
        if self._delivery is not None:
            self._delivery.stop()
        self._receiving.end()
        self._registration.remove()
        self._wanted.set()
        self._ended.wait(_END_TIMEOUT_S)
        with self._locked():
            self._switchboard.end(time.monotonic())

    # ---- what the Socket.IO library calls

    def _connect(self, sid: str, *arguments: Any) -> object:
        """Let a socket in, and ask the host's own handler, which may refuse it."""
        auth = arguments[1] if len(arguments) > 1 else None
        environ = self._sio.get_environ(sid, self._namespace) or {}
        self._let_in(sid, auth)
        host = self._registration.hosts_handler("connect")
        answer: object = None
        accepted = False
        try:
            with self._receiving.held_up():
                if host is not None:
                    answer = host(*arguments_for(host, (sid, environ, auth)))
                accepted = answer is not False
                if accepted:
                    self._identify(sid, environ)
        finally:
            if not accepted:
                self._forget(sid, "refused by the host")
        return answer

    def _disconnect(self, sid: str, *arguments: Any) -> None:
        reason = str(arguments[0]) if arguments else ""
        self._forget(sid, reason)
        host = self._registration.hosts_handler("disconnect")
        if host is not None:
            with self._receiving.held_up():
                host(*arguments_for(host, (sid, reason)))

    def _on_event(self, event: str, sid: str, *arguments: Any) -> dict[str, Any]:
        """Handle an event of which the library acknowledges what is returned."""
        self._meet(sid)
        with self._working():
            return self._switchboard.receive(event, arguments, sid, time.monotonic())

    def _take(self, event: str, sid: str, arguments: tuple[Any, ...], ack_id: int | None) -> None:
        """Handle an event, and acknowledge it before anybody can send what follows from it."""
        self._meet(sid)
        with self._working():
            answer = self._switchboard.receive(event, arguments, sid, time.monotonic())
            if ack_id is not None:
                self._sockets.put(sid, socketio.packet.ACK, [answer], ack_id)
        if not answer["ok"] and answer["error"]["code"] == Code.RATE_LIMITED:
            self._sio.sleep(0)  # who floods does not keep a greenlet from letting the others run

    def _let_in(self, sid: str, auth: object) -> None:
        now = time.monotonic()
        connection = self._sio.manager.eio_sid_from_sid(sid, self._namespace)
        with self._working():
            if sid in self._switchboard:  # start() has come between; the host has yet to be asked
                return
            wait_s = self._connects.take(connection, now)
            if wait_s is None:
                refused = self._switchboard.let_in(sid, auth, now)
            else:
                refused = too_often(wait_s, "left and came back too often on one connection")
        if refused is not None:
            raise socketio.exceptions.ConnectionRefusedError(refused.message, error_of(refused))

    def _take_over(self, sids: Iterable[str]) -> None:
        """Let in who is connected to the host already."""
        for sid in sids:
            with self._working():
                if sid in self._switchboard:  # it came meanwhile
                    continue
                refused = self._switchboard.let_in(sid, None, time.monotonic())
            if refused is None:
                self._identify(sid, self._sio.get_environ(sid, self._namespace) or {})

    def _watch_taken_over(self) -> None:
        """Let in, and forget, as the host has answered who was connecting when we came."""
        while self._running and self._taken_over:
            self._sio.sleep(LOOK_AGAIN_S)
            self._look_at_taken_over()

    def _look_at_taken_over(self) -> None:
        with self._locked():
            come, gone = self._taken_over.look()
        self._take_over(come)
        for sid in gone:
            self._forget(sid, "refused by the host")

    def _meet(self, sid: str) -> None:
        """Have a socket let in that the host has answered just now, and have the host say whose it is."""
        if self._taken_over and sid not in self._switchboard:
            self._look_at_taken_over()
        self._ask_identity(sid)

    def _ask_identity(self, sid: str) -> None:
        if self._callbacks.subject_of is not None:
            with self._receiving.held_up():
                self._identify(sid, self._sio.get_environ(sid, self._namespace) or {})

    def _identify(self, sid: str, environ: Mapping[str, Any]) -> None:
        """Ask the host whose a socket is, if it says so and has not yet."""
        if self._callbacks.subject_of is None or self._switchboard.is_identified(sid):
            return
        subject_id = self._callbacks.ask_subject(sid, environ)
        if subject_id is not None:
            with self._working():
                self._switchboard.identify(sid, subject_id, time.monotonic())

    def _forget(self, sid: str, reason: str) -> None:
        with self._working():
            self._sockets.forget(sid)
            self._switchboard.forget(sid, reason, time.monotonic())

    # ---- what the switchboard wants done

    @contextmanager
    def _locked(self) -> Iterator[None]:
        here = threading.get_ident()
        if self._holder == here:
            raise UsageError("a matchmaker decides, and asks nothing of the service that asks it")
        with self._lock:
            self._holder = here
            try:
                yield
            finally:
                self._holder = None

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Change something, and have done what follows from it."""
        with self._locked():
            yield
        self._wanted.set()

    def _run(self) -> None:
        """Carry out what the switchboard wants, in order, and call it when its time has come."""
        try:
            while self._running:
                now = time.monotonic()
                with self._locked():
                    outputs = tuple(self._poll_all())
                    due = self._switchboard.next_timeout()
                    if not outputs and due is not None and due <= now:
                        self._switchboard.handle_timeout(now)
                        continue
                for output in outputs:
                    self._switchboard.carry_out(output, self, time.monotonic())
                if not outputs:
                    self._wanted.wait(None if due is None else max(0.0, due - time.monotonic()))
                    self._wanted.clear()
        finally:
            self._ended.set()

    def _poll_all(self) -> Iterator[ServiceOutput]:
        while (output := self._switchboard.poll()) is not None:
            yield output

    def emit(self, socket: str, event: str, payload: dict[str, Any]) -> None:
        """Queue an event for a socket."""
        if not self._sockets.put(socket, socketio.packet.EVENT, [self._names.of(event), payload]):
            self.close(socket, "it does not read", at_once=True)

    def consult(self, proposed: ProposedMatch) -> None:
        """Ask the pre-match hook."""
        if self._hook is not None:
            self._sio.start_background_task(self._consult, self._hook, proposed)

    def _consult(self, hook: SyncHook, proposed: ProposedMatch) -> None:
        verdict, reason = hook.decide(proposed)
        with self._working():
            self._switchboard.hook_decided(proposed, verdict, reason, time.monotonic())

    def close(self, socket: str, reason: str, *, at_once: bool) -> None:
        """Forget a socket at once, and close it; at once also under the library's feet."""
        self._forget(socket, reason)
        self._sio.start_background_task(self._sockets.close, socket, at_once)

    # ---- the host's functions

    def _begin_probe(self, one: str, other: str, on_done: OnOutcome, threshold_ms: float | None) -> str:
        with self._working():
            if not self._running:
                raise UsageError("the service is stopped")
            return self._switchboard.probe(one, other, time.monotonic(), on_done, threshold_ms=threshold_ms)

    def _on_own_task(self, listener: OnOutcome) -> OnOutcome:
        return lambda outcome: self._sio.start_background_task(self._call_listener, listener, outcome)

    def _call_listener(self, listener: OnOutcome, outcome: ProbeOutcome) -> None:
        try:
            listener(outcome)
        except Exception:  # noqa: BLE001  # the host's bug must not end without a line in its log
            _LOG.exception("in a listener of probe outcomes")
