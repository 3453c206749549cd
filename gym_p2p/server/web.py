"""The service's plain HTTP: its health, the upload of documents, and the operator's view of the queues.

An upload is answered 200 only when the document is on the disk; everything heavy happens in worker
threads, or apart (:mod:`gym_p2p.server.intake`), so that signals keep flowing. It knows HTTP's status codes;
what a document is, is the store's.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import re
import tempfile
import time
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import IO, Any

import msgspec
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gym_p2p.core.api.payloads import encode
from gym_p2p.core.matchmaking.report import QueueReport
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.exports.documents import KINDS, Kind
from gym_p2p.files.problems import disk_problem
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.frames import App, Receive, Scope, SendMessage
from gym_p2p.server.guard.tokens import OperatorClaims, TokenSigner, UploadClaims
from gym_p2p.server.intake import Intake, NotNowError, TooLargeError
from gym_p2p.server.parts import LENGTH_BYTES, PART_BYTES, Part, Parts, PartsFullError
from gym_p2p.server.quota import QuotaFullError
from gym_p2p.server.store import DocumentError, ForeignDocumentError

__all__ = ["Uploads", "make_web_app", "under_any_path"]

_LOG = client_log(__name__)

_READ_DEADLINE_S = 120.0
"""For the whole body: 64 MiB at 5 Mbit/s."""
_SILENCE_S = 15.0
"""Between two pieces of a body: a line that is gone for a moment comes back within it."""
_ARRIVING = 64
_ARRIVING_OF_ONE = 6
"""Bodies at once, in all and of one player: a document of each kind, and each a second time after a break."""
_IN_MEMORY_BYTES = 2**18
"""Of a body that arrives; what is more of it is on the disk."""


_DIGEST = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[0-9]{1,12}")
_OWN_PATH = re.compile(r"/(?:socket\.io|healthz|v1/(?:matches|queues))(?=/|$)")


class _RefusalError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.wire = {"code": code, "message": message}


class Uploads:
    """Takes players' documents.

    Args:
        intake: takes their bodies.
        tokens: who may store what.
    """

    def __init__(self, intake: Intake, tokens: TokenSigner[UploadClaims]) -> None:
        self._intake = intake
        self._tokens = tokens
        self._arriving: Counter[UploadClaims] = Counter()
        self._parts = Parts(intake.store.directory)
        self._parts.sweep()
        self._of_part: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def put(self, request: Request) -> Response:
        """Answer ``PUT /v1/matches/{match_id}/players/{player_id}/{kind}``."""
        claims = self._authorize(request)
        try:
            return await self._take(claims, request)
        except _RefusalError as refusal:
            _refused(claims, refusal)
            raise

    async def _take(self, claims: UploadClaims, request: Request) -> Response:
        kind = _kind(request.path_params["kind"])
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "gzip"}:
            raise _RefusalError(415, "bad_request", "content-encoding: wanted gzip or none")
        async with self._arrival(claims) as body:
            with _told_to_client(claims, kind):
                await self._read(request, body, self._intake.max_bytes)
                await self._intake.take(claims, kind, body, gzipped=encoding == "gzip")
        _LOG.debug("match %s: stored a %s document", claims.match_id, kind)
        return JSONResponse({"ok": True, "stored": True})

    async def patch(self, request: Request) -> Response:
        """Answer ``PATCH`` of the same: a part of a long document, which is stored once all of it is here."""
        claims = self._authorize(request)
        try:
            return await self._take_part(claims, request)
        except _RefusalError as refusal:
            _refused(claims, refusal)
            raise

    async def _take_part(self, claims: UploadClaims, request: Request) -> Response:
        part = _part(claims, _kind(request.path_params["kind"]), request)
        async with self._arrival(claims) as body, self._of_part.setdefault(part.key, asyncio.Lock()):
            with _told_to_client(claims, part.kind):
                size_bytes = await self._read(request, body, PART_BYTES)
                if part.offset + size_bytes > part.length:
                    raise _RefusalError(400, "bad_request", "the part ends after the whole")
                if part.offset == 0:  # before all of it has been sent for nothing
                    await asyncio.to_thread(self._intake.require_room, claims, part.kind, part.length)
                received = await asyncio.to_thread(self._parts.add, part, body)
                if received < part.length:
                    return JSONResponse({"ok": True, "stored": False, "received": received})
                if not await asyncio.to_thread(self._parts.is_whole, part):
                    return JSONResponse({"ok": True, "stored": False, "received": 0})
                await self._take_whole(part)
        _LOG.debug("match %s: stored a %s document that came in parts", claims.match_id, part.kind)
        return JSONResponse({"ok": True, "stored": True, "received": received})

    async def _take_whole(self, part: Part) -> None:
        """Take a document whose parts are all here; they are kept only where it can be tried again soon."""
        keep = False
        try:
            with self._parts.path(part).open("rb") as whole:
                await self._intake.take(part.claims, part.kind, whole, gzipped=True)
        except (NotNowError, asyncio.CancelledError):
            keep = True
            raise
        finally:
            if not keep:
                await asyncio.to_thread(self._parts.remove, part)

    def _authorize(self, request: Request) -> UploadClaims:
        claims = self._tokens.verify(_bearer(request, "match token"), now=-math.inf)
        if claims is None:  # also one of before the secret changed: a new one helps, so it is not for good
            raise _RefusalError(401, "unauthenticated", "this token is none that this service has given")
        match_id, player_id = request.path_params["match_id"], request.path_params["player_id"]
        if claims.match_id != match_id or not _names(player_id, claims.player_id):
            raise _RefusalError(403, "unauthenticated", "this token does not allow this upload")
        if claims.expires_at <= time.time():
            expired = _RefusalError(401, "unauthenticated", "this token has expired")
            _refused(claims, expired)
            raise expired
        return claims

    @contextlib.asynccontextmanager
    async def _arrival(self, claims: UploadClaims) -> AsyncIterator[IO[bytes]]:
        """Hold the place of a body that arrives; those of many clients at once are few, and on the disk."""
        if self._arriving.total() >= _ARRIVING or self._arriving[claims] >= _ARRIVING_OF_ONE:
            raise _RefusalError(503, "unavailable", "too many documents arrive at once; try again later")
        self._arriving[claims] += 1
        try:
            folder = str(self._intake.store.directory)
            with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=folder) as body:
                yield body
        finally:
            self._arriving[claims] -= 1
            self._arriving += Counter()  # forgets those with none

    async def _read(self, request: Request, body: IO[bytes], limit_bytes: int) -> int:
        """Read the body, return its size; what is beyond the limit is read on for a while, to say why."""
        size_bytes = 0
        chunks = request.stream()
        try:
            async with asyncio.timeout(_READ_DEADLINE_S):
                while size_bytes <= 2 * limit_bytes:
                    async with asyncio.timeout(_SILENCE_S):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        break
                    size_bytes += len(chunk)
                    if size_bytes <= limit_bytes:
                        body.write(chunk)
        except (TimeoutError, ClientDisconnect):
            raise _RefusalError(408, "bad_request", "the document did not arrive in time") from None
        if size_bytes > limit_bytes:
            raise _RefusalError(
                413, "too_large", f"a document, or a part, has at most {limit_bytes} bytes here"
            )
        return size_bytes


@contextlib.contextmanager
def _told_to_client(claims: UploadClaims, kind: Kind) -> Iterator[None]:
    """Turn what can go wrong with a document into an answer."""
    try:
        yield
    except asyncio.CancelledError:  # the server ends what has not ended in time
        raise _RefusalError(503, "unavailable", "the service stops; try again later") from None
    except ForeignDocumentError as error:
        raise _RefusalError(403, "unauthenticated", str(error)) from None
    except (NotNowError, PartsFullError) as error:
        raise _RefusalError(503, "unavailable", str(error)) from None
    except QuotaFullError as error:
        raise _RefusalError(507, "unavailable", str(error)) from None
    except TooLargeError as error:
        raise _RefusalError(413, "too_large", str(error)) from None
    except DocumentError as error:
        raise _RefusalError(400, "bad_request", str(error)) from None
    except OSError as error:
        problem = disk_problem(error)
        _LOG.error(
            "match %s: the %s document of %s could not be stored: %s",
            *(claims.match_id, kind, claims.player_id, problem),
        )
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _RefusalError(507, "unavailable", f"the service: {problem}") from None
        raise _RefusalError(503, "unavailable", "could not be stored; try again later") from None


def _part(claims: UploadClaims, kind: Kind, request: Request) -> Part:
    """Return where a part belongs, by its headers."""
    digest = request.headers.get("upload-digest", "")
    numbers = [request.headers.get(name, "") for name in ("upload-offset", "upload-length")]
    if not _DIGEST.fullmatch(digest) or not all(map(_NUMBER.fullmatch, numbers)):
        message = "wanted Upload-Digest (SHA-256 in hexadecimal), Upload-Offset and Upload-Length"
        raise _RefusalError(400, "bad_request", message)
    offset, length = map(int, numbers)
    if not 0 < length <= LENGTH_BYTES:
        raise _RefusalError(413, "too_large", f"a document in parts has at most {LENGTH_BYTES} bytes")
    return Part(claims, kind, digest, offset, length)


def make_web_app(
    *,
    uploads: Uploads,
    health: Callable[[], Mapping[str, Any]],
    metrics: Callable[[], bytes],
    operators: TokenSigner[OperatorClaims],
    queues: Callable[[], QueueReport],
) -> Starlette:
    """Return the ASGI application of the plain HTTP part.

    Args:
        uploads: takes the documents.
        health: what ``GET /healthz`` answers, beside ``ok``.
        metrics: what ``GET /metrics`` answers, in Prometheus' text format.
        operators: who may see the queues.
        queues: what ``GET /v1/queues`` answers them.
    """

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"ok": True, **health()})

    async def scrape(_request: Request) -> Response:
        return Response(metrics(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def show_queues(request: Request) -> Response:
        if operators.verify(_bearer(request, "operator token"), now=time.time()) is None:
            raise _RefusalError(403, "unauthenticated", "this token does not show the queues")
        return JSONResponse({"ok": True, **encode(queues())})

    put = "/v1/matches/{match_id}/players/{player_id:path}/{kind}"  # a seat's id may have slashes in it
    return Starlette(
        routes=[
            Route("/healthz", healthz, methods=["GET"]),
            Route("/metrics", scrape, methods=["GET"]),
            Route("/v1/queues", show_queues, methods=["GET"]),
            Route(put, uploads.put, methods=["PUT"]),
            Route(put, uploads.patch, methods=["PATCH"]),
        ],
        exception_handlers={_RefusalError: _answer_refusal, Exception: _answer_bug},
    )


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


def _refused(claims: UploadClaims, refusal: _RefusalError) -> None:
    """Tell the operator of a document that its player may keep for ever."""
    # Only whoever has a token of ours can cause such a line, and fill a disk with them.
    _LOG.warning(
        "match %s: a document of player %r was refused (HTTP %d): %s",
        claims.match_id,
        claims.player_id,
        refusal.status,
        refusal,
    )


def _bearer(request: Request, what: str) -> str:
    """Return the token that a request shows."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _RefusalError(401, "unauthenticated", f"wanted 'Authorization: Bearer <{what}>'")
    return token.strip()


def _names(text: str, player_id: SeatId) -> bool:
    """Return whether a path's part names this player: the id as JSON, or simply as text."""
    try:
        named = msgspec.json.decode(text, type=int | str)
    except ValueError:
        named = text
    return text == str(player_id) or (type(named) is type(player_id) and named == player_id)


def _kind(text: str) -> Kind:
    for kind in KINDS:
        if text == kind:
            return kind
    raise _RefusalError(404, "bad_request", f"kind: wanted one of {', '.join(KINDS)}")


async def _answer_refusal(_request: Request, error: Exception) -> Response:
    if not isinstance(error, _RefusalError):  # the signature that Starlette asks for is wider
        raise error
    return JSONResponse({"ok": False, "error": error.wire}, status_code=error.status)


async def _answer_bug(_request: Request, _error: Exception) -> Response:
    error = {"code": "unavailable", "message": "the service failed; its log says why"}
    return JSONResponse({"ok": False, "error": error}, status_code=500)
