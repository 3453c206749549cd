"""The service's plain HTTP as a WSGI application, for hosts with threads or greenlets.

The same as :mod:`gym_p2p.server.asgi`, whose questions and answers are :mod:`gym_p2p.server.web`'s too. How
long a client may take for a body is the host's server's to bound.
"""

from __future__ import annotations

import http
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import IO, Any

import attrs

from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.parts import Part
from gym_p2p.server.reading import SOON_AGAIN, late, told_to_client, too_large, too_many
from gym_p2p.server.web import Answer, Arriving, Mounted, RefusalError, Request, WebParts, is_ours

__all__ = ["wsgi_app"]

_LOG = client_log(__name__)

_PIECE_BYTES = 2**16

Environ = Mapping[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Any, Any], Iterable[bytes]]


def wsgi_app(service: Mounted, other: WsgiApp | None = None) -> WsgiApp:
    """Return a service's web application: uploads, stored documents, health, metrics, modules for web pages.

    From now on its players are told to upload their documents: it has to be served where they find the
    Socket.IO server, below the same address.

    Args:
        service: what ``mount`` has returned.
        other: answers whatever is not ours; ``None``: that is not found.
    """
    parts = WebParts(service)
    uploads = _Uploads(parts)

    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
        if other is not None and not is_ours(path):
            return other(environ, start_response)
        request = Request(environ["REQUEST_METHOD"], path, _headers(environ))
        try:
            began = parts.begin(request)
            answer = began if isinstance(began, Answer) else uploads.take(began, environ)
        except RefusalError as refusal:
            answer = Answer.refusing(refusal)
        except Exception:  # noqa: BLE001  # never an exception's text to a client
            _LOG.exception("answering %s", request.method)
            answer = Answer.of_bug()
        phrase = http.HTTPStatus(answer.status).phrase
        headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body)))]
        start_response(f"{answer.status} {phrase}", headers)
        if answer.afterwards is not None:
            return _Body(answer.body, answer.afterwards)
        return [] if request.method == "HEAD" else [answer.body]

    return serve


class _Uploads:
    """Takes documents on threads, or greenlets."""

    def __init__(self, parts: WebParts) -> None:
        self._documents = parts.documents
        self._of_part: weakref.WeakValueDictionary[str, threading.Lock] = weakref.WeakValueDictionary()

    def take(self, arriving: Arriving, environ: Environ) -> Answer:
        """Read a body and store it; raises ``RefusalError``."""
        try:
            with self._documents.arrival(arriving.claims) as body:
                if body is None:
                    raise too_many()
                with told_to_client(arriving.claims, arriving.kind):
                    size_bytes = _read(environ, body, arriving.limit_bytes)
                    if arriving.part is not None:
                        return self._take_part(arriving, arriving.part, body, size_bytes)
                    left = self._documents.intake.take_now(
                        arriving.claims, arriving.kind, body, gzipped=arriving.gzipped
                    )
                    self._documents.stored()
                    return self._afterwards(arriving, arriving.stored(), left=left)
        except RefusalError as refusal:
            arriving.refused(refusal)
            raise

    def _take_part(self, arriving: Arriving, part: Part, body: IO[bytes], size_bytes: int) -> Answer:
        if part.offset + size_bytes > part.length:
            raise RefusalError(400, "bad_request", "the part ends after the whole")
        with self._of_part.setdefault(part.key, threading.Lock()):
            if part.offset == 0:  # before all of it has been sent for nothing
                self._documents.intake.require_room(part.claims, part.kind, part.length)
            received = self._documents.parts.add(part, body)
            if received < part.length:
                return Answer.of({"ok": True, "stored": False, "received": received})
            if not self._documents.parts.is_whole(part):
                return Answer.of({"ok": True, "stored": False, "received": 0})
            try:
                with self._documents.parts.path(part).open("rb") as whole:
                    left = self._documents.intake.take_now(part.claims, part.kind, whole, gzipped=True)
            except SOON_AGAIN:  # its parts are kept
                raise
            except Exception:
                self._documents.parts.remove(part)
                raise
            self._documents.parts.remove(part)
        self._documents.stored()
        return self._afterwards(arriving, arriving.stored(received), left=left)

    def _afterwards(self, arriving: Arriving, answer: Answer, *, left: bool) -> Answer:
        if not left:
            return answer
        return attrs.evolve(answer, afterwards=partial(self._documents.intake.aggregate_now, arriving.claims))


class _Body:
    """The body of an answer, and what is done once it has been sent: a server closes it then (PEP 3333)."""

    def __init__(self, body: bytes, afterwards: Callable[[], None]) -> None:
        self._body = body
        self._afterwards = afterwards

    def __iter__(self) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        self._afterwards()


def _headers(environ: Environ) -> dict[str, str]:
    return {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }


def _read(environ: Environ, body: IO[bytes], limit_bytes: int) -> int:
    """Read the body, return its size; what is beyond the limit is read on for a while, to say why."""
    source = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH") or ""
    left = int(length) if length.isdecimal() else None
    if left is None and not environ.get("wsgi.input_terminated"):
        left = 0
    size_bytes = 0
    while size_bytes <= 2 * limit_bytes and left != 0:
        try:
            chunk = source.read(_PIECE_BYTES if left is None else min(left, _PIECE_BYTES))
        except OSError:
            raise late() from None
        if not chunk:
            break
        size_bytes += len(chunk)
        left = None if left is None else left - len(chunk)
        if size_bytes <= limit_bytes:
            body.write(chunk)
    if size_bytes > limit_bytes:
        raise too_large(limit_bytes)
    if left:
        raise late()
    return size_bytes
