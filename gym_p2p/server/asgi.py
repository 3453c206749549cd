"""The service's plain HTTP as an ASGI application.

An upload is answered 200 only when the document is on the disk; everything heavy happens in worker threads,
or apart (:mod:`gym_p2p.server.apart`), so that signals keep flowing.
"""

from __future__ import annotations

import asyncio
import re
import weakref
from typing import IO, Any

from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.frames import App, Receive, Scope, SendMessage
from gym_p2p.server.parts import Part
from gym_p2p.server.reading import SOON_AGAIN, late, told_to_client, too_large, too_many
from gym_p2p.server.web import Answer, Arriving, Mounted, RefusalError, Request, WebParts, is_ours

__all__ = ["asgi_app", "under_any_path"]

_LOG = client_log(__name__)

_READ_DEADLINE_S = 120.0
"""For the whole body: 64 MiB at 5 Mbit/s."""
_SILENCE_S = 15.0
"""Between two pieces of a body: a line that is gone for a moment comes back within it."""

_OWN_PATH = re.compile(r"/(?:socket\.io|healthz|gym_p2p|v1/(?:matches|queues))(?=/|$)")


def asgi_app(service: Mounted, other: App | None = None) -> App:
    """Return a service's web application: uploads, stored documents, health, metrics, modules for web pages.

    From now on its players are told to upload their documents: it has to be served where they find the
    Socket.IO server, below the same address.

    Args:
        service: what ``mount`` has returned.
        other: answers whatever is not ours; ``None``: that is not found.
    """
    parts = WebParts(service)
    uploads = _Uploads(parts)

    async def serve(scope: Scope, receive: Receive, send: SendMessage) -> None:
        path = _path_below(scope)
        if other is not None and (scope["type"] != "http" or not is_ours(path)):
            await other(scope, receive, send)
            return
        if scope["type"] != "http":
            await _decline(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request = Request(scope["method"], path, headers)
        answer: Answer
        try:
            # What reads files does so on a thread; what looks into the machines, here.
            reads = request.method in {"GET", "HEAD"} and path.startswith("/v1/matches")
            began = await asyncio.to_thread(parts.begin, request) if reads else parts.begin(request)
            answer = began if isinstance(began, Answer) else await uploads.take(began, receive)
        except RefusalError as refusal:
            answer = Answer.refusing(refusal)
        except Exception:  # noqa: BLE001  # never an exception's text to a client
            _LOG.exception("answering %s", request.method)
            answer = Answer.of_bug()
        await _send(send, answer, empty=request.method == "HEAD")

    return serve


def under_any_path(app: App) -> App:
    """Serve an ASGI application under whatever path a proxy in front passes on: ``/lab/socket.io/``, say.

    Not its metrics: who keeps ``/metrics`` of the proxy to themselves keeps all of them.
    """

    async def serve(scope: Scope, receive: Receive, send: SendMessage) -> None:
        found = _OWN_PATH.search(scope.get("path", ""))
        if found is not None and found.start() > 0:
            scope = {**scope, "path": scope["path"][found.start() :]}
        await app(scope, receive, send)

    return serve


class _Uploads:
    """Takes documents on an event loop."""

    def __init__(self, parts: WebParts) -> None:
        self._documents = parts.documents
        self._of_part: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def take(self, arriving: Arriving, receive: Receive) -> Answer:
        """Read a body and store it; raises ``RefusalError``."""
        try:
            with self._documents.arrival(arriving.claims) as body:
                if body is None:
                    raise too_many()
                with told_to_client(arriving.claims, arriving.kind):
                    if arriving.part is None:
                        return await self._take(arriving, body, receive)
                    return await self._take_part(arriving, arriving.part, body, receive)
        except RefusalError as refusal:
            arriving.refused(refusal)
            raise

    async def _take(self, arriving: Arriving, body: IO[bytes], receive: Receive) -> Answer:
        await _read(receive, body, arriving.limit_bytes)
        await self._documents.intake.take(arriving.claims, arriving.kind, body, gzipped=arriving.gzipped)
        self._documents.stored()
        return arriving.stored()

    async def _take_part(self, arriving: Arriving, part: Part, body: IO[bytes], receive: Receive) -> Answer:
        async with self._of_part.setdefault(part.key, asyncio.Lock()):
            size_bytes = await _read(receive, body, arriving.limit_bytes)
            if part.offset + size_bytes > part.length:
                raise RefusalError(400, "bad_request", "the part ends after the whole")
            if part.offset == 0:  # before all of it has been sent for nothing
                await asyncio.to_thread(
                    self._documents.intake.require_room, part.claims, part.kind, part.length
                )
            received = await asyncio.to_thread(self._documents.parts.add, part, body)
            if received < part.length:
                return Answer.of({"ok": True, "stored": False, "received": received})
            if not await asyncio.to_thread(self._documents.parts.is_whole, part):
                return Answer.of({"ok": True, "stored": False, "received": 0})
            await self._take_whole(part)
        self._documents.stored()
        return arriving.stored(received)

    async def _take_whole(self, part: Part) -> None:
        """Take a document whose parts are all here; they are kept only where it can be tried again soon."""
        keep = False
        try:
            with self._documents.parts.path(part).open("rb") as whole:
                await self._documents.intake.take(part.claims, part.kind, whole, gzipped=True)
        except (*SOON_AGAIN, asyncio.CancelledError):
            keep = True
            raise
        finally:
            if not keep:
                await asyncio.to_thread(self._documents.parts.remove, part)


async def _read(receive: Receive, body: IO[bytes], limit_bytes: int) -> int:
    """Read the body, return its size; what is beyond the limit is read on for a while, to say why."""
    size_bytes = 0
    more = True
    try:
        async with asyncio.timeout(_READ_DEADLINE_S):
            while more and size_bytes <= 2 * limit_bytes:
                async with asyncio.timeout(_SILENCE_S):
                    message = await receive()
                if message["type"] == "http.disconnect":
                    raise late()
                chunk = message.get("body", b"")
                more = message.get("more_body", False)
                size_bytes += len(chunk)
                if size_bytes <= limit_bytes:
                    body.write(chunk)
    except TimeoutError:
        raise late() from None
    if size_bytes > limit_bytes:
        raise too_large(limit_bytes)
    return size_bytes


def _path_below(scope: Scope) -> str:
    """Return the path below the place where a host has mounted this."""
    path, root = str(scope.get("path", "")), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root + "/") else path


async def _send(send: SendMessage, answer: Answer, *, empty: bool) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if empty else answer.body})


async def _decline(scope: Scope, receive: Receive, send: SendMessage) -> None:
    """Answer what is no HTTP request: nobody opens a websocket here, and nothing has to be started."""
    message: Any = await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
    while scope["type"] == "lifespan":
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
        message = await receive()
