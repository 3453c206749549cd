"""The framework's requests: who sends the event that is being handled, and a request for what has none.

Its callbacks join rooms, which Flask-SocketIO does through Flask's request alone. A deadline has no request,
so one is made of a connected socket's. It knows Flask, imported where it is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

__all__ = ["NAMESPACE", "Requests"]

NAMESPACE = "/"


class Requests:
    """The requests of one Flask-SocketIO server.

    Args:
        socketio: the ``flask_socketio.SocketIO``, made with its application.
    """

    def __init__(self, socketio: Any) -> None:
        self._socketio = socketio

    def sender(self) -> str | None:
        """Return the socket whose event is being handled; ``None`` outside of one."""
        import flask  # noqa: PLC0415 - this package is importable without it

        sid = getattr(flask.request, "sid", None) if flask.has_request_context() else None
        return sid if isinstance(sid, str) else None

    def of(self, sockets: Iterable[str | None]) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which the first of these sockets that is connected has sent an event.

        Where none is, the request is one of nobody: rooms cannot be joined in it, for there is nobody to.
        """
        app = self._socketio.sockio_mw.flask_app
        for sid in sockets:
            environ = None if sid is None else self._environ(sid)
            if environ:
                return self._within(app.request_context(environ), sid)
        return self._within(app.test_request_context("/"), None)

    def _environ(self, sid: str) -> Any:
        try:
            return self._socketio.server.get_environ(sid, NAMESPACE)
        except (KeyError, AttributeError):  # gone while it was looked up
            return None

    @contextlib.contextmanager
    def _within(self, context: contextlib.AbstractContextManager[Any], sid: str | None) -> Any:
        import flask  # noqa: PLC0415 - this package is importable without it

        with context:
            # As Flask-SocketIO does; Flask's own types know of neither.
            request: Any = flask.request
            request.sid, request.namespace = sid or "", NAMESPACE
            yield
