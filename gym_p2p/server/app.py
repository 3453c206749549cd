"""The service as a whole: one port with Socket.IO, health and uploads behind it.

:class:`Service` runs on the caller's event loop; :func:`serve_in_thread` gives it a loop and a thread of its
own. Both leave nothing running once stopped. State is in memory; documents and the token secret are in the
data directory, so that a restarted service still accepts what an earlier one gave out tokens for.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import logging
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import socketio

from gym_p2p.config import ServiceConfig
from gym_p2p.config.event_names import EventNames
from gym_p2p.core.api.relaying import MESSAGES_BURST, MESSAGES_PER_S
from gym_p2p.core.matchmaking.report import QueueReport
from gym_p2p.core.matchmaking.strategy import Matchmaker, require_matchmaker
from gym_p2p.core.matchmaking.widening import WideningMatchmaker
from gym_p2p.core.presence.connects import Connects
from gym_p2p.core.presence.rate_limits import RateLimit
from gym_p2p.core.probing.outcome import ProbeOutcome
from gym_p2p.core.service.machines import Machines
from gym_p2p.errors import UsageError
from gym_p2p.processes.threads import OwnThread
from gym_p2p.server.asgi import asgi_app, under_any_path
from gym_p2p.server.delivery import AsyncDelivery
from gym_p2p.server.documents import Documents
from gym_p2p.server.factory import assemble, open_secret
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.doorkeeper import Doorkeeper, room_for_sockets
from gym_p2p.server.guard.frames import FrameGuard, StrictPacket
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.guard.protocols import FrameRate
from gym_p2p.server.handlers.hooks import PreMatchHook
from gym_p2p.server.hosts.async_host import AsyncService
from gym_p2p.server.hosts.callbacks import Callbacks
from gym_p2p.server.listener import MAX_FRAME_BYTES, listen, serving
from gym_p2p.server.outbox import OnDocument, Outbox
from gym_p2p.server.storage import HostStorage, Storage
from gym_p2p.server.web import queue_report

__all__ = ["Service", "new_event_loop", "serve_in_thread"]

_LOG = client_log(__name__)
_LIBRARY_LOG = client_log("gym_p2p.server.library")
_LIBRARY_LOG.setLevel(logging.ERROR)
"""Below WARNING the Socket.IO library writes whole packets (SDP, addresses), and its one warning is that a
client is gone by the time something is sent to it, which is nothing to warn of."""

_PING_INTERVAL_S = 10
_PING_TIMEOUT_S = 5
"""A dead socket is noticed within 15 s instead of the library's 45 s."""
_FRAMES_OF_AN_EVENT = 8
"""So much beyond the limit on events a client is told so; who sends still more is not read any further."""
_THREAD_DEADLINE_S = 30.0


class Service:
    """One running service, on the event loop that calls :meth:`start`.

    After a failed :meth:`start` nothing is left running; :meth:`stop` may be called at any time.

    Args:
        config: everything that is plain data.
        matchmaker: the strategy of the queues; ``None`` is a ``WideningMatchmaker``.
        pre_match: asked about every match that a queue proposes, with what was measured; it returns (or
            awaits) a ``Verdict``, or True or False. One that raises or takes too long has rejected. A
            coroutine function runs on this event loop, any other callable on a thread of its own.
        on_document: called with every document that is stored; see :func:`~gym_p2p.server.mount`.
        storage: where the documents go; ``None`` is the data directory. See there, too.

    Raises:
        TypeError: ``matchmaker`` is none.
    """

    def __init__(
        self,
        config: ServiceConfig | None = None,
        *,
        matchmaker: Matchmaker | None = None,
        pre_match: PreMatchHook | None = None,
        on_document: OnDocument | None = None,
        storage: Storage | None = None,
    ) -> None:
        self.config = config if config is not None else ServiceConfig()
        self._matchmaker = require_matchmaker(WideningMatchmaker() if matchmaker is None else matchmaker)
        self._pre_match = pre_match
        self._on_document = on_document
        self._storage = storage
        self._listening: tuple[tuple[str, int], ...] = ()
        self._signaling: AsyncService | None = None
        self._metrics = ServiceMetrics()
        self._stack = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        """Where clients on this machine find it. Only after :meth:`start`."""
        if not self._listening:
            raise RuntimeError("the service has not been started")
        host, (_, port) = self.config.host, self._listening[0]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # where it may listen
        return f"http://{_with_port(host, port)}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens, each an address and the port. Only after :meth:`start`."""
        return tuple(_with_port(host, port) for host, port in self._listening)

    async def start(self) -> None:
        """Listen, and serve until :meth:`stop`.

        Raises:
            ConfigurationError: the port is in use, the host is not this machine's, or the data directory
                cannot be written.
        """
        async with contextlib.AsyncExitStack() as stack:
            listeners = listen(self.config.host, self.config.port)
            for listener in listeners:
                stack.enter_context(listener)
            directory = Path(self.config.data_dir)
            secret = open_secret(directory)
            documents = self._documents(directory, secret)
            sio = self._make_sio()
            switchboard = assemble(
                self.config,
                secret,
                metrics=self._metrics,
                matchmaker=self._matchmaker,
                asks_hook=self._pre_match is not None,
            )
            callbacks = Callbacks(
                pre_match=self._pre_match, hook_timeout_s=self.config.matchmaking.hook_timeout_s
            )
            self._signaling = signaling = AsyncService(
                sio, switchboard, names=EventNames(), callbacks=callbacks, documents=documents
            )
            signaling.start(catch_unknown=True)
            stack.push_async_callback(signaling.stop)
            stack.push_async_callback(sio.shutdown)
            web = asgi_app(signaling)
            guarded = FrameGuard(
                under_any_path(socketio.ASGIApp(sio, other_asgi_app=web)),
                requests=RateLimit(self.config.connects_per_s, self.config.connect_burst),
                connects=Connects(RateLimit(self.config.connects_per_s, self.config.connect_burst)),
                events=RateLimit(self.config.events_per_s, self.config.event_burst),
                on_refusal=self._metrics.refused,
            )
            door = Doorkeeper(room_for_sockets(), self._metrics.refused)
            frames = FrameRate(
                _FRAMES_OF_AN_EVENT * self.config.events_per_s + MESSAGES_PER_S,
                _FRAMES_OF_AN_EVENT * self.config.event_burst + MESSAGES_BURST,
            )
            await stack.enter_async_context(serving(guarded, listeners, door, frames))
            self._listening = tuple(listener.getsockname()[:2] for listener in listeners)
            self._stack = stack.pop_all()
        _LOG.info("serving on %s", " and ".join(self.addresses))

    async def probe(self, one: str, other: str, *, threshold_ms: float | None = None) -> ProbeOutcome:
        """Measure the latency between two registered subjects, on the service's event loop.

        See :meth:`~gym_p2p.server.hosts.async_host.AsyncService.probe`.

        Raises:
            UsageError: both are the same subject, or the service does not run.
        """
        if self._signaling is None:
            raise UsageError("start() comes first")
        return await self._signaling.probe(one, other, threshold_ms=threshold_ms)

    def queue_report(self) -> QueueReport:
        """Return who waits in which queue, and what else goes on. To be called on the service's event loop.

        Raises:
            UsageError: the service does not run.
        """
        return queue_report(self._machines)

    async def stop(self) -> None:
        """Close every connection and stop listening. Idempotent."""
        await self._stack.aclose()

    @property
    def _machines(self) -> Machines:
        if self._signaling is None:
            raise UsageError("start() comes first")
        return self._signaling.machines

    def _documents(self, directory: Path, secret: bytes) -> Documents:
        delivery = None
        storage = None if self._storage is None else HostStorage(self._storage, directory)
        if self._on_document is not None:
            delivery = AsyncDelivery(Outbox(directory, storage), self._on_document)
        return Documents(self.config, secret, delivery, storage)

    def _make_sio(self) -> socketio.AsyncServer:
        return socketio.AsyncServer(
            async_mode="asgi",
            transports=["websocket"],
            async_handlers=False,
            # Not the empty list, which would switch the check of origins off.
            cors_allowed_origins=list(self.config.cors_origins) or None,
            max_http_buffer_size=MAX_FRAME_BYTES,
            ping_interval=_PING_INTERVAL_S,
            ping_timeout=_PING_TIMEOUT_S,
            serializer=StrictPacket,
            logger=_LIBRARY_LOG,
            engineio_logger=_LIBRARY_LOG,
        )


def _with_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.contextmanager
def serve_in_thread(
    config: ServiceConfig | None = None,
    *,
    matchmaker: Matchmaker | None = None,
    pre_match: PreMatchHook | None = None,
    on_document: OnDocument | None = None,
    storage: Storage | None = None,
) -> Iterator[Service]:
    """Run a :class:`Service` on a thread of its own for the length of a ``with`` block.

    Raises:
        ConfigurationError: as :meth:`Service.start`.
        UsageError: eventlet or gevent has replaced this process's threads.
    """
    _require_real_threads()
    service = Service(
        config, matchmaker=matchmaker, pre_match=pre_match, on_document=on_document, storage=storage
    )
    started: list[BaseException | None] = []
    ready, done = threading.Event(), asyncio.Event()
    loop = new_event_loop()

    async def main() -> None:
        try:
            await service.start()
        except BaseException as error:  # noqa: BLE001  # handed to the caller's thread
            started.append(error)
            return
        finally:
            ready.set()
        try:
            await done.wait()
        finally:
            await service.stop()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(main())

    thread = OwnThread(target=run, name="gym_p2p service", daemon=True)
    thread.start()
    try:
        if not ready.wait(_THREAD_DEADLINE_S):
            raise RuntimeError("the service did not start in time")
        if started and started[0] is not None:
            raise started[0]
        yield service
    finally:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the thread has ended by itself
            loop.call_soon_threadsafe(done.set)
        thread.join(_THREAD_DEADLINE_S)


def _require_real_threads() -> None:
    """Raise ``UsageError`` where threads are greenlets: an event loop on one would stop all of them."""
    start = _thread.start_new_thread
    if not isinstance(start, types.BuiltinFunctionType):
        raise UsageError(
            f"{start.__module__.partition('.')[0]} has made greenlets of this process's threads, and the "
            "service's event loop would stop all of them: run `gym-p2p serve` beside it, or mount() the "
            "service on your own Socket.IO server"
        )


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return the fastest event loop at hand (uvloop where it exists)."""
    try:
        import uvloop  # noqa: PLC0415  # not on every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
