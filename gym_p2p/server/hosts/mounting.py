"""Puts a service on a Socket.IO server of a host's own, whatever kind of server that is.

What a host is, is seen by what it has: nobody needs Flask for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

import attrs

from gym_p2p.config import ServiceConfig
from gym_p2p.config.event_names import EventNames
from gym_p2p.core.matchmaking.strategy import Matchmaker
from gym_p2p.errors import UsageError
from gym_p2p.server.delivery import AsyncDelivery, SyncDelivery
from gym_p2p.server.documents import Documents
from gym_p2p.server.factory import assemble, open_secret
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.handlers.dispatcher import PARTS, Part
from gym_p2p.server.handlers.hooks import PreMatchHook, is_async
from gym_p2p.server.hosts.callbacks import Callbacks, SubjectOf
from gym_p2p.server.outbox import OnDocument, Outbox
from gym_p2p.server.storage import HostStorage, Storage

if TYPE_CHECKING:
    from gym_p2p.server.hosts.async_host import AsyncService
    from gym_p2p.server.hosts.sync_host import SyncService

__all__ = ["mount"]


class _AsyncServer(Protocol):
    async def call(self, event: str) -> Any: ...


class _SyncServer(Protocol):
    def call(self, event: str) -> Any: ...


@overload
def mount(
    host: _AsyncServer,
    config: ServiceConfig | None = None,
    *,
    parts: Collection[Part] = ...,
    prefix: str = ...,
    namespace: str = ...,
    subject_of: SubjectOf | None = ...,
    matchmaker: Matchmaker | None = ...,
    pre_match: PreMatchHook | None = ...,
    on_document: OnDocument | None = ...,
    storage: Storage | None = ...,
) -> AsyncService: ...


@overload
def mount(
    host: _SyncServer,
    config: ServiceConfig | None = None,
    *,
    parts: Collection[Part] = ...,
    prefix: str = ...,
    namespace: str = ...,
    subject_of: SubjectOf | None = ...,
    matchmaker: Matchmaker | None = ...,
    pre_match: PreMatchHook | None = ...,
    on_document: OnDocument | None = ...,
    storage: Storage | None = ...,
) -> SyncService: ...


def mount(
    host: Any,
    config: ServiceConfig | None = None,
    *,
    parts: Collection[Part] = PARTS,
    prefix: str = "",
    namespace: str = "/",
    subject_of: SubjectOf | None = None,
    matchmaker: Matchmaker | None = None,
    pre_match: PreMatchHook | None = None,
    on_document: OnDocument | None = None,
    storage: Storage | None = None,
) -> AsyncService | SyncService:
    """Put rooms, probes and queues on a Socket.IO server of a host's own.

    The host keeps its events: its ``connect`` and ``disconnect`` handlers are called after ours, and what
    ``connect`` refuses is refused. Its port, its limits on frames and its clients that have nothing to do
    with us stay its own. A mount that fails leaves nothing on the host.

    Args:
        host: a ``socketio.AsyncServer`` (called on its running event loop), a ``socketio.Server`` in any
            mode, or a ``flask_socketio.SocketIO`` after ``init_app``.
        config: everything that is plain data. What is about a port of its own does not count here: ``host``,
            ``port``, ``open``, ``cors_origins``, ``connects_per_s``, ``connect_burst`` and
            ``register_timeout_s``. With a ``join_secret`` nobody connects in our namespace without a token,
            the host's own clients neither: take a ``namespace`` for us, or ``subject_of``.
        parts: which of "probes", "queues", "rooms" and "spectators"; events of others are the host's to use.
        prefix: stands before the names of all our events, in both directions.
        namespace: Socket.IO's, in which our events are.
        subject_of: says whose a socket is (its id, its environment), ``None`` if that is nobody yet: asked
            when it has connected, and again at its events until it says who. What clients say about
            themselves does not count then, and ``register_subject`` is not needed.
        matchmaker: the strategy of the queues; ``None`` is a ``WideningMatchmaker``.
        pre_match: asked before a queue's match is made.
        on_document: called with the match, the player, the kind and the document (what its JSON says) of
            every one that is stored, once; awaited if it is a coroutine function, otherwise on a thread or
            greenlet of its own. One that raises, or takes more than 30 s, is called again, also after a
            restart. Documents arrive where :func:`~gym_p2p.server.asgi_app` or
            :func:`~gym_p2p.server.wsgi_app` is served.
        storage: where the documents go, the host's own; ``None`` is the data directory. The quota of uploads
            does not count there.

    Returns:
        What to ask for probes: ``await service.probe(a, b)`` on an ``AsyncServer``,
        ``service.probe(a, b, timeout_s=...)`` on the others; the caller must ``stop()`` it when done.

    Raises:
        UsageError: this is no such host, or not yet; it has events of the same names; or options contradict
            each other.
        ConfigurationError: the data directory cannot be written.
        TypeError: ``matchmaker`` is none.
    """
    server = _server_of(host)
    asynchronous = server.is_asyncio_based()
    if asynchronous:
        _require_loop()
    names = EventNames(prefix, namespace)
    _require_functions(subject_of=subject_of, pre_match=pre_match, on_document=on_document)
    if not isinstance(config, ServiceConfig | None):
        raise UsageError(f"config: wanted a ServiceConfig, got {type(config).__name__}")
    # The host's sockets are its own: of those that have nothing to do with us none is ever closed.
    config = attrs.evolve(ServiceConfig() if config is None else config, register_timeout_s=None)
    parts = _checked(parts, config)
    if subject_of is not None and config.join_secret is not None:
        raise UsageError("subject_of, or join tokens: either the host says whose a socket is, or they do")
    directory = Path(config.data_dir)
    secret = open_secret(directory)
    own = None if storage is None else HostStorage(storage, directory)
    delivery = None if on_document is None else _delivery(server, Outbox(directory, own), on_document)
    documents = Documents(config, secret, delivery, own)
    switchboard = assemble(
        config,
        secret,
        metrics=ServiceMetrics(),
        matchmaker=matchmaker,
        asks_hook=pre_match is not None,
        parts=parts,
        host_identifies=subject_of is not None,
    )
    switchboard.machines.rooms.takes_documents = False  # until there is a web application that takes them
    callbacks = Callbacks(
        subject_of=subject_of, pre_match=pre_match, hook_timeout_s=config.matchmaking.hook_timeout_s
    )
    service = _shell(asynchronous=asynchronous)(
        server, switchboard, names=names, callbacks=callbacks, documents=documents
    )
    service.start()
    return service


def _shell(*, asynchronous: bool) -> type[AsyncService | SyncService]:
    """Return the shell for one kind of host, which brings its own libraries and not the other's."""
    if asynchronous:
        from gym_p2p.server.hosts.async_host import AsyncService  # noqa: PLC0415  # only where it is needed

        return AsyncService
    from gym_p2p.server.hosts.sync_host import SyncService  # noqa: PLC0415  # only where it is needed

    return SyncService


def _delivery(server: Any, outbox: Outbox, on_document: OnDocument) -> AsyncDelivery | SyncDelivery:
    if server.is_asyncio_based():
        return AsyncDelivery(outbox, on_document)
    if is_async(on_document):
        raise UsageError("on_document: no event loop runs on this host, so it cannot be a coroutine function")
    return SyncDelivery(
        outbox,
        on_document,
        start_background_task=server.start_background_task,
        create_event=server.eio.create_event,
    )


def _server_of(host: Any) -> Any:
    """Return the python-socketio server that a host is, or has."""
    if hasattr(host, "init_app") and hasattr(host, "server"):  # Flask-SocketIO
        host = host.server
        if host is None:
            raise UsageError(
                "this SocketIO has no server before it has an app: mount() comes after SocketIO(app), or "
                "after socketio.init_app(app)"
            )
    if not all(hasattr(host, name) for name in ("is_asyncio_based", "handlers", "manager", "eio")):
        raise UsageError(
            "wanted a socketio.AsyncServer, a socketio.Server or a flask_socketio.SocketIO, got "
            f"{type(host).__module__}.{type(host).__qualname__}"
        )
    return host


def _require_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            "mount() runs the service's clocks on the running event loop, and none runs here: call it from a "
            "coroutine, such as the host's startup"
        ) from None


def _require_functions(**functions: object) -> None:
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise UsageError(f"{name}: wanted a function, got {function!r}")
    if is_async(functions["subject_of"]):
        raise UsageError(
            "subject_of: it is asked where an event is handled, which waits for nothing, so it cannot be a "
            "coroutine function"
        )


def _checked(parts: Collection[Part], config: ServiceConfig) -> frozenset[Part]:
    """Return the parts, if there can be these together."""
    if isinstance(parts, str) or not isinstance(parts, Collection) or not parts or not set(parts) <= PARTS:
        raise UsageError(f"parts: wanted some of {', '.join(sorted(PARTS))}, got {parts!r}")
    if "queues" in parts and "probes" not in parts and config.matchmaking.probe != "never":
        raise UsageError(
            "parts: queues have their pairs probed, so they want 'probes' beside them, or "
            "MatchmakingConfig(probe='never')"
        )
    if "spectators" in parts and not {"rooms", "queues"} & set(parts):
        raise UsageError("parts: spectators watch matches, so they want 'rooms' or 'queues' beside them")
    return frozenset(parts)
