"""Our events on a synchronous server, taken in the thread that has received them.

python-socketio starts a task for every event (unless ``async_handlers=False``), and nothing keeps these in
order: where they are threads some are overtaken, where they are greenlets all of them are, by the disconnect
behind them. What receives, however, is one thread or greenlet of each connection, and ours never wait: so
they are handled there, before the next one is read, and the disconnect is by itself the last. The host's
events go on as they did.

It knows one method of python-socketio's that is not public, and refuses to know what an event means.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gym_p2p.errors import UsageError

__all__ = ["Receiving", "Take"]

_METHOD = "_handle_event"
_PARAMETERS = ("eio_sid", "namespace", "id", "data")
_RESERVED = frozenset({"connect", "disconnect"})

Take = Callable[[str, tuple[Any, ...], int | None], None]
"""Takes an event: who sent it, what came with it, and the number under which it wants to be acknowledged."""


class Receiving:
    """What one server receives in one namespace; the server is left as it is until :meth:`begin`.

    Args:
        sio: the server.
        namespace: ours.

    Raises:
        UsageError: this python-socketio is not one that we know.
    """

    def __init__(self, sio: Any, namespace: str) -> None:
        method = getattr(sio, _METHOD, None)
        if method is None or tuple(inspect.signature(method).parameters) != _PARAMETERS:
            raise UsageError(
                f"python-socketio: wanted a version whose Server has {_METHOD}({', '.join(_PARAMETERS)}), as "
                "5.18 has: without it one client's events have no order"
            )
        self._sio = sio
        self._namespace = namespace
        self._before: Callable[..., None] = method  # the library's, or of a service in another namespace
        self._events: Mapping[str, Take] = {}
        self._ours = self._handle_event
        self._busy: set[object] = set()
        """The threads, or greenlets, that can receive nothing until they return from the host's handler."""

    @property
    def is_busy_here(self) -> bool:
        """Whether the caller is called by what receives, so that meanwhile one client cannot be heard."""
        return _here() in self._busy

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Note that what is called here keeps this thread, or greenlet, from receiving."""
        here = _here()
        again = here in self._busy
        self._busy.add(here)
        try:
            yield
        finally:
            if not again:
                self._busy.discard(here)

    def begin(self, events: Mapping[str, Take]) -> None:
        """Take these events from now on, by their names on the wire."""
        self._events = events
        setattr(self._sio, _METHOD, self._ours)

    def end(self) -> None:
        """Take no more. Idempotent."""
        self._events = {}
        if vars(self._sio).get(_METHOD) is not self._ours:
            return  # another service of ours has come after this one, and passes on what is not its own
        if inspect.ismethod(self._before) and self._before.__func__ is getattr(
            type(self._sio), _METHOD, None
        ):
            delattr(self._sio, _METHOD)
        else:
            setattr(self._sio, _METHOD, self._before)

    def _handle_event(self, eio_sid: str, namespace: str | None, id: int | None, data: Any) -> None:  # noqa: A002  # the library's own name
        if (namespace or "/") != self._namespace or not self._events:
            self._before(eio_sid, namespace, id, data)
            return
        first = data[0] if isinstance(data, list) and data else None
        name = first if isinstance(first, str) else ""
        take = self._events.get(name)
        if take is not None:
            sid = self._sio.manager.sid_from_eio_sid(eio_sid, self._namespace)
            if sid is not None and self._sio.manager.is_connected(sid, self._namespace):
                take(sid, tuple(data[1:]), id)
        elif name in _RESERVED:
            return  # no client's to send: the library would call the host's handler, and ours, with it
        elif self._sio.async_handlers:
            self._before(eio_sid, namespace, id, data)
        else:
            with self.held_up():
                self._before(eio_sid, namespace, id, data)


def _here() -> object:
    """Return what runs: a greenlet where there are any, or the thread."""
    greenlet = sys.modules.get("greenlet")
    return threading.get_ident() if greenlet is None else greenlet.getcurrent()
