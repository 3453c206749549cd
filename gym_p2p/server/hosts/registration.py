"""Our events among a host's own, on a python-socketio server of either kind.

A host's ``connect`` and ``disconnect`` are asked as before, whether they are functions, methods of a
class-based namespace, or registered later: the library keeps one function for each event, and ours would be
replaced without a word. So the table of functions of our namespace is one of ours as long as the service is
mounted, which notices what the host puts into it. It knows names and functions, and calls none of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from gym_p2p.config.event_names import EventNames
from gym_p2p.errors import UsageError
from gym_p2p.server.guard.client_log import client_log

__all__ = ["Registration", "arguments_for"]

_LOG = client_log(__name__)

Handler = Callable[..., Any]
_CONNECT, _DISCONNECT, _ANY = "connect", "disconnect", "*"


class Registration:
    """What a service has registered on one server; nothing yet.

    Args:
        sio: the host's server, of either kind.
        names: what our events are called there.
    """

    def __init__(self, sio: Any, names: EventNames) -> None:
        self.names = names
        self._sio = sio
        self._table: _Table | None = None

    def register(
        self,
        *,
        connect: Handler,
        disconnect: Handler,
        events: Mapping[str, Handler],
        unknown: Handler | None = None,
    ) -> None:
        """Put handlers on the server.

        Args:
            connect: called with the socket, its environment and what it showed.
            disconnect: called with the socket and the library's reason.
            events: by our own names; called with the socket and what came.
            unknown: takes all others, on a server of our own.

        Raises:
            UsageError: the host, or another service of ours, has an event of that name. Nothing is registered
                then.
        """
        namespace = self.names.namespace
        ours = {self.names.of(event): handler for event, handler in events.items()}
        existing = self._sio.handlers.get(namespace, {})
        if isinstance(existing, _Table):
            raise UsageError(
                f"a service of ours is mounted in the namespace {namespace!r} already: stop() it first, or "
                "take another namespace"
            )
        taken = sorted(name for name in ours if self._is_hosts(name, existing))
        if taken:
            raise UsageError(
                f"{', '.join(taken)}: what this server has already would be replaced; mount(..., "
                f"prefix='{self.names.another_prefix}') gives our events other names, and namespace='/p2p' a "
                "place of their own (the clients take the same prefix, and namespace)"
            )
        if unknown is not None:
            ours[_ANY] = unknown
        self._table = self._sio.handlers[namespace] = _Table(
            existing, {_CONNECT: connect, _DISCONNECT: disconnect, **ours}, self.names.another_prefix
        )

    def remove(self) -> None:
        """Take our handlers off, and leave the host's as they would be without us. Idempotent."""
        table, self._table = self._table, None
        if table is not None and self._sio.handlers.get(self.names.namespace) is table:
            if table.hosts:
                self._sio.handlers[self.names.namespace] = table.hosts
            else:
                del self._sio.handlers[self.names.namespace]

    def hosts_handler(self, event: str) -> Handler | None:
        """Return what the host itself wants called at ``connect`` or ``disconnect`` by now, if anything.

        It takes the arguments that the library hands over, as :func:`arguments_for` cuts them.
        """
        namespace = self.names.namespace
        own: Handler | None = None if self._table is None else self._table.hosts.get(event)
        if own is not None:
            return own
        everywhere: Handler | None = self._sio.handlers.get(_ANY, {}).get(event)
        if everywhere is not None:
            return lambda *arguments: everywhere(*arguments_for(everywhere, (namespace, *arguments)))
        instance = self._sio.namespace_handlers.get(namespace)
        if instance is not None:
            return _method_of(instance, event)
        instance = self._sio.namespace_handlers.get(_ANY)
        return None if instance is None else _method_of(instance, event, namespace)

    def _is_hosts(self, name: str, existing: Mapping[str, Handler]) -> bool:
        """Return whether the host has an event of that name, as a function or as a method."""
        instances = self._sio.namespace_handlers
        instance = instances.get(self.names.namespace, instances.get(_ANY))
        return name in existing or name in self._sio.handlers.get(_ANY, {}) or hasattr(instance, f"on_{name}")


class _Table(dict[str, Handler]):
    """The functions of a namespace with ours among them: what the host puts in never replaces one of ours.

    Attributes:
        hosts: the host's functions, as the table would be without us.
    """

    def __init__(
        self, hosts: Mapping[str, Handler], ours: Mapping[str, Handler], another_prefix: str
    ) -> None:
        super().__init__({**hosts, **ours})
        self._another_prefix = another_prefix
        self.hosts = dict(hosts)
        self._ours = frozenset(ours)

    def __setitem__(self, event: str, handler: Handler) -> None:
        if event not in self._ours:
            super().__setitem__(event, handler)
        elif event in {_CONNECT, _DISCONNECT}:
            _LOG.warning(
                "the host has registered a %r handler after mount(), by which the service's own would be "
                "lost: both are called; register it before mount() to be without this line",
                event,
            )
        else:
            raise UsageError(
                f"{event}: the service that is mounted on this server has an event of that name; mount(..., "
                f"prefix='{self._another_prefix}') gives its events other names"
            )
        self.hosts[event] = handler


def arguments_for(handler: Handler, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return as many arguments as a host's handler takes: newer libraries hand over more."""
    # Not those of what it wraps: Flask-SocketIO's wrappers look like the functions in them.
    parameters = inspect.signature(handler, follow_wrapped=False).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return arguments
    takes = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    return arguments[: sum(parameter.kind in takes for parameter in parameters)]


def _method_of(instance: Any, event: str, *before: str) -> Handler:
    """Return what triggers an event of a class-based namespace."""
    method = getattr(instance, f"on_{event}", None)

    def trigger(*arguments: Any) -> Any:
        arguments = (*before, *arguments)
        if event == _CONNECT and method is not None:
            takes = arguments_for(method, arguments)
            # One that takes less is not called so, but by a class between: Flask-SocketIO's, say.
            arguments = arguments if len(takes) < len(before) + 2 else takes
        return instance.trigger_event(event, *arguments)

    return trigger
