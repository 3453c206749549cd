"""The service's plain HTTP: health, metrics, the operator's view, documents, and the browser's modules.

What is answered is decided here, whatever server asks (:mod:`gym_p2p.server.asgi`,
:mod:`gym_p2p.server.wsgi`): a request comes in without its body, and goes out as an answer, or as a document
that is to be read first. It knows HTTP's status codes and no server; what a document is, is the store's.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from typing import Any, Protocol

import attrs
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from gym_p2p.core.api.payloads import encode
from gym_p2p.core.matchmaking.report import QueueReport
from gym_p2p.core.service.machines import Machines
from gym_p2p.errors import UsageError
from gym_p2p.exports.documents import KINDS, Kind
from gym_p2p.server.documents import Documents
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.guard.tokens import UploadClaims
from gym_p2p.server.parts import LENGTH_BYTES, PART_BYTES, Part
from gym_p2p.server.storage import StorageError
from gym_p2p.server.store import ids_of
from gym_p2p.version import __version__

__all__ = ["Answer", "Arriving", "Mounted", "RefusalError", "Request", "WebParts", "is_ours", "queue_report"]

_LOG = client_log(__name__)

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[0-9]{1,12}")
_DOCUMENT = re.compile(r"/v1/matches/(?P<match>[^/]+)/players/(?P<player>.+)/(?P<kind>[^/]+)")
"""A seat's id may have slashes in it."""
_MODULE = re.compile(r"/gym_p2p/(?P<name>[a-z0-9_]+\.js)")
_OURS = re.compile(r"/(?:healthz|metrics|gym_p2p/[a-z0-9_]+\.js|v1/(?:matches|queues)(?:/.*)?)")


class RefusalError(Exception):
    """A request that is not granted: the status, a code, a sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.wire = {"code": code, "message": message}


@attrs.frozen
class Request:
    """What is asked for.

    Attributes:
        method: in capitals.
        path: below the place of the web application, decoded.
        headers: by their names in small letters.
    """

    method: str
    path: str
    headers: Mapping[str, str]


@attrs.frozen
class Answer:
    """What is answered.

    Attributes:
        afterwards: what a synchronous server does once it is sent; ``None``: nothing.
    """

    status: int
    body: bytes
    content_type: str = "application/json"
    afterwards: Callable[[], None] | None = None

    @classmethod
    def of(cls, value: Mapping[str, Any], status: int = 200) -> Answer:
        """Return it as JSON."""
        return cls(status, json.dumps(value, separators=(",", ":")).encode())

    @classmethod
    def refusing(cls, refusal: RefusalError) -> Answer:
        """Return why not."""
        return cls.of({"ok": False, "error": refusal.wire}, refusal.status)

    @classmethod
    def of_bug(cls) -> Answer:
        """Return that the service has failed."""
        error = {"code": "unavailable", "message": "the service failed; its log says why"}
        return cls.of({"ok": False, "error": error}, 500)


@attrs.frozen
class Arriving:
    """A document whose body is to be read, and taken.

    Attributes:
        part: where it belongs, if it is a part of one.
        limit_bytes: of the body.
    """

    claims: UploadClaims
    kind: Kind
    part: Part | None
    gzipped: bool
    limit_bytes: int

    def stored(self, received: int | None = None) -> Answer:
        """Answer that all of it is on the disk."""
        came = "" if self.part is None else " that came in parts"
        _LOG.debug("match %s: stored a %s document%s", self.claims.match_id, self.kind, came)
        more = {} if received is None else {"received": received}
        return Answer.of({"ok": True, "stored": True, **more})

    def refused(self, refusal: RefusalError) -> None:
        """Note why it was not taken."""
        _refused(self.claims, refusal)


class Mounted(Protocol):
    """A service, of whichever kind its host is."""

    @property
    def documents(self) -> Documents:
        """Where documents go."""

    @property
    def metrics(self) -> ServiceMetrics:
        """What is counted."""

    def look(self, at: Callable[[Machines], Any]) -> Any:
        """Return what a function finds in the machines."""


class WebParts:
    """Answers the requests to one service.

    From now on its players are told that it takes documents.

    Args:
        service: whose it is.

    Raises:
        UsageError: this is no service.
    """

    def __init__(self, service: Mounted) -> None:
        if not hasattr(service, "documents") or not hasattr(service, "look"):
            raise UsageError(
                "wanted what mount() has returned, before the application that answers the rest, got "
                f"{type(service).__module__}.{type(service).__qualname__}"
            )
        self.documents = service.documents
        self._service = service
        service.look(_take_documents)

    def begin(self, request: Request) -> Answer | Arriving:
        """Answer a request, or say what is to be read first.

        Raises:
            RefusalError: it is not granted.
        """
        document = _DOCUMENT.fullmatch(request.path)
        if document is not None:
            match request.method:
                case "PUT" | "PATCH":
                    return self._arriving(request, document)
                case "GET" | "HEAD":
                    return self._document(request, document)
        module = _MODULE.fullmatch(request.path)
        known: dict[str, Callable[[Request], Answer]] = {
            "/healthz": self._health,
            "/metrics": self._metrics,
            "/v1/queues": self._queues,
            "/v1/matches": self._matches,
        }
        show = known.get(request.path)
        if show is None and module is None and document is None:
            return Answer(404, b"Not Found", "text/plain; charset=utf-8")
        if document is not None or request.method not in {"GET", "HEAD"}:
            raise RefusalError(405, "bad_request", f"{request.method} means nothing here")
        if show is not None:
            return show(request)
        if module is not None:
            return _module(module["name"])
        raise AssertionError("one of them is not None")

    # ---- what is shown

    def _health(self, _request: Request) -> Answer:
        return Answer.of({"ok": True, **self._service.look(_health)})

    def _metrics(self, _request: Request) -> Answer:
        text = self._service.look(lambda _machines: self._service.metrics.exposition())
        return Answer(200, text, CONTENT_TYPE_PLAIN_0_0_4)

    def _queues(self, request: Request) -> Answer:
        self._require_operator(request, "the queues")
        return Answer.of({"ok": True, **encode(self._service.look(queue_report))})

    def _matches(self, request: Request) -> Answer:
        self._require_operator(request, "the matches")
        with _storage_told():
            return Answer.of({"ok": True, "documents": self.documents.listed()})

    def _document(self, request: Request, named: re.Match[str]) -> Answer:
        self._require_operator(request, "documents")
        kind = _kind(named["kind"])
        with _storage_told():
            document = self.documents.read(named["match"], named["player"], kind)
        if document is None:
            raise RefusalError(404, "no_such_match", "there is no such document here")
        return Answer(200, document)

    def _require_operator(self, request: Request, what: str) -> None:
        if self.documents.operators.verify(_bearer(request, "operator token"), now=time.time()) is None:
            raise RefusalError(403, "unauthenticated", f"this token does not show {what}")

    # ---- what comes in

    def _arriving(self, request: Request, named: re.Match[str]) -> Arriving:
        claims = self._authorize(request, named["match"], named["player"])
        try:
            return self._described(request, claims, named["kind"])
        except RefusalError as refusal:
            _refused(claims, refusal)
            raise

    def _described(self, request: Request, claims: UploadClaims, kind_name: str) -> Arriving:
        kind = _kind(kind_name)
        if request.method == "PATCH":
            part = _part(claims, kind, request)
            return Arriving(claims, kind, part, gzipped=True, limit_bytes=PART_BYTES)
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "gzip"}:
            raise RefusalError(415, "bad_request", "content-encoding: wanted gzip or none")
        limit_bytes = self.documents.max_bytes
        return Arriving(claims, kind, None, gzipped=encoding == "gzip", limit_bytes=limit_bytes)

    def _authorize(self, request: Request, match_id: str, player: str) -> UploadClaims:
        claims = self.documents.tokens.verify(_bearer(request, "match token"), now=-math.inf)
        if claims is None:  # also one of before the secret changed: a new one helps, so it is not for good
            raise RefusalError(401, "unauthenticated", "this token is none that this service has given")
        if claims.match_id != match_id or claims.player_id not in ids_of(player):
            raise RefusalError(403, "unauthenticated", "this token does not allow this upload")
        if claims.expires_at <= time.time():
            expired = RefusalError(401, "unauthenticated", "this token has expired")
            _refused(claims, expired)
            raise expired
        return claims


def _refused(claims: UploadClaims, refusal: RefusalError) -> None:
    """Tell the operator of a document that its player may keep for ever."""
    # Only whoever has a token of ours can cause such a line, and fill a disk with them.
    _LOG.warning(
        "match %s: a document of player %r was refused (HTTP %d): %s",
        *(claims.match_id, claims.player_id, refusal.status, refusal),
    )


def is_ours(path: str) -> bool:
    """Return whether a path is one of those that are answered here."""
    return _OURS.fullmatch(path) is not None


def queue_report(machines: Machines) -> QueueReport:
    """Return who waits in which queue, and what else goes on."""
    own_id, tables = machines.presence.own_id, machines.queues.tables(time.monotonic())
    return QueueReport.of(
        {
            name: tuple(attrs.evolve(row, subject_id=own_id(row.subject_id)) for row in rows)
            for name, rows in tables.items()
        },
        matches=machines.rooms.match_count,
        connections=machines.presence.socket_count,
    )


def _take_documents(machines: Machines) -> None:
    machines.rooms.takes_documents = True


def _health(machines: Machines) -> dict[str, Any]:
    return {
        "version": __version__,
        "rooms": machines.rooms.room_count,
        "matches": machines.rooms.match_count,
        "connections": machines.presence.socket_count,
    }


@contextlib.contextmanager
def _storage_told() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise RefusalError(503, "unavailable", str(error)) from None


def _module(name: str) -> Answer:
    """Return one of the modules for web pages."""
    try:
        text = resources.files("gym_p2p").joinpath("static", name).read_bytes()
    except OSError:
        raise RefusalError(404, "bad_request", "there is no such module") from None
    return Answer(200, text, "text/javascript; charset=utf-8")


def _part(claims: UploadClaims, kind: Kind, request: Request) -> Part:
    """Return where a part belongs, by its headers."""
    digest = request.headers.get("upload-digest", "")
    numbers = [request.headers.get(name, "") for name in ("upload-offset", "upload-length")]
    if not _DIGEST.fullmatch(digest) or not all(map(_NUMBER.fullmatch, numbers)):
        message = "wanted Upload-Digest (SHA-256 in hexadecimal), Upload-Offset and Upload-Length"
        raise RefusalError(400, "bad_request", message)
    offset, length = map(int, numbers)
    if not 0 < length <= LENGTH_BYTES:
        raise RefusalError(413, "too_large", f"a document in parts has at most {LENGTH_BYTES} bytes")
    return Part(claims, kind, digest, offset, length)


def _bearer(request: Request, what: str) -> str:
    """Return the token that a request shows."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise RefusalError(401, "unauthenticated", f"wanted 'Authorization: Bearer <{what}>'")
    return token.strip()


def _kind(text: str) -> Kind:
    for kind in KINDS:
        if text == kind:
            return kind
    raise RefusalError(404, "bad_request", f"kind: wanted one of {', '.join(KINDS)}")
