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
        socketio: the ``flask_socketio.SocketIO``.
    """

    def __init__(self, socketio: Any) -> None:
        self._socketio = socketio
        self._app: Any = None

    def sender(self) -> str | None:
        """Return the socket whose event is being handled; ``None`` outside of one."""
        import flask  # noqa: PLC0415 - this package is importable without it

        if not flask.has_request_context():
            return None
        self._remember(flask.request.environ)
        sid = getattr(flask.request, "sid", None)
        return sid if isinstance(sid, str) else None

    def of(self, sockets: Iterable[str | None]) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which the first of these sockets that is connected has sent an event.

        Where none is, the request is one of nobody: rooms cannot be joined in it, for there is nobody to.
        """
        sids = [sid for sid in sockets if sid is not None]
        for sid in sids:
            environ = self._environ(sid)
            if environ is not None:
                return self._within(environ["flask.app"].request_context(environ), sid)
        if self._app is None:
            return contextlib.nullcontext()
        return self._within(self._app.test_request_context("/"), sids[0] if sids else "")

    def _environ(self, sid: str) -> Any:
        try:
            environ = self._socketio.server.get_environ(sid, NAMESPACE)
        except (KeyError, AttributeError):  # gone while it was looked up
            return None
        if not environ or "flask.app" not in environ:
            return None
        self._remember(environ)
        return environ

    def _remember(self, environ: Any) -> None:
        self._app = environ.get("flask.app", self._app)

    @contextlib.contextmanager
    def _within(self, context: contextlib.AbstractContextManager[Any], sid: str) -> Any:
        import flask  # noqa: PLC0415 - this package is importable without it

        with context:
            # As Flask-SocketIO does; Flask's own types know of neither.
            request: Any = flask.request
            request.sid, request.namespace = sid, NAMESPACE
            yield
