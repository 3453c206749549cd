"""One document to the service over HTTP: sent, and taken for stored only when the service confirms it.

It knows the address of a document at the service and what its answers mean; it refuses to know files.
Proxies of the environment are not used: signalling does not use them either, and they would see the token.
"""

from __future__ import annotations

import enum
import gzip
import hashlib
import http
import http.client
import json
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import msgspec

from gym_p2p.config.secret import Secret, secret
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.exports.unreachable import NO_SERVICE, status_in_words, why_unreachable

__all__ = ["PART_BYTES", "Reply", "Upload", "UploadOutcome", "upload"]

_ATTEMPT_TIMEOUT_S = 5.0
"""The longest wait for one connect, one write or one read."""
_LARGE_BYTES = 512 * 1024
_LARGE_TIMEOUT_S = 75.0
"""The same of a document of more than this: the service reads it for up to a minute before it answers."""

PART_BYTES = 512 * 1024
"""A document of more than this, compressed, goes in parts: below what a proxy lets through by default (nginx:
1 MB), and what is lost when a line breaks."""
_WITHOUT_PARTS = frozenset({404, 405, 501})

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0

_MAX_ANSWER_BYTES = 65_536

_REFUSALS = frozenset({400, 403, 409, 410, 411, 414, 415, 422, 431})
"""The document, the address or the token is at fault, so that repeating cannot help (RFC 9110, 15.5): where
the service itself says so. A proxy in front of it may have another opinion tomorrow."""
_DEFERRALS = _REFUSALS | {413, 507}
"""Whoever runs the service can change that: a limit, a full disk. Asking at once again cannot.
Not 404: a service that is just starting behind its load balancer answers so."""


class UploadOutcome(enum.Enum):
    """What became of an upload."""

    STORED = "stored"
    """The service has it on its disk."""
    REFUSED = "refused"
    """The service does not want it, and will not later."""
    DEFERRED = "deferred"
    """It was not taken, and may be later, when somebody has changed something there."""
    UNAUTHENTICATED = "unauthenticated"
    """The token is not valid there: it has expired, or a clock or the service's secret is another one."""
    UNREACHABLE = "unreachable"
    """It could not be delivered now, or not all of it."""
    WITHOUT_PARTS = "without parts"
    """The service, an older one, takes no parts; never what :func:`upload` returns."""


@attrs.frozen
class Reply:
    """What became of an upload, and why."""

    outcome: UploadOutcome
    detail: str = ""
    received: int | None = None
    """How many bytes of a document in parts the service has; ``None`` where it does not say."""
    timed_out: bool = False
    """Whether that is all that is known: nothing came in the time that the attempt had."""


class _Error(msgspec.Struct, frozen=True):
    """Why the service's answer is no."""

    message: str = ""


class _Refusal(msgspec.Struct, frozen=True):
    """What the service answers where it does not take a document."""

    ok: bool
    error: _Error | None = None


_REFUSAL = msgspec.json.Decoder(_Refusal)
"""Made on import, for exporters' threads: see :func:`gym_p2p.core.api.payloads.prepare`."""


def _without_slash(url: str) -> str:
    return url.rstrip("/")


@attrs.frozen
class Upload:
    """Where one document goes, and with which right."""

    server_url: str = attrs.field(converter=_without_slash)
    path: str
    token: Secret = attrs.field(converter=secret, repr=False)

    @classmethod
    def of_document(
        cls, *, server_url: str, match_id: str, player_id: str | int, kind: str, token: str | Secret
    ) -> Upload:
        """Address a player's document of a match. The player's id travels as JSON: 1 and "1" are two."""
        player = _quoted(json.dumps(player_id))
        path = f"/v1/matches/{_quoted(match_id)}/players/{player}/{_quoted(kind)}"
        return cls(server_url, path, token)


def upload(
    target: Upload, body: Iterable[bytes], *, deadline_s: float, give_up: Callable[[], bool] = lambda: False
) -> Reply:
    """Send a document; repeat with growing pauses until it is stored, refused, put off, or the time is up.

    It is sent once even if there is no time. Sending a document again that is already stored is harmless:
    the service replaces it by itself. The last attempt may have little time left: where that runs out, the
    reply is the one before, which says more.

    Args:
        target: where to.
        body: the JSON, in pieces.
        deadline_s: seconds from now in which a further attempt may begin; no read or write outlasts it.
        give_up: called after an attempt that failed; True ends it.
    """
    sending = _Sending.of(body)
    ends_at = time.monotonic() + deadline_s
    pause_s = _FIRST_PAUSE_S
    before: Reply | None = None
    while True:
        left_s = ends_at - time.monotonic()
        asks = sending.asks
        timeout_s = min(sending.longest_s, max(left_s, _FIRST_PAUSE_S))
        cut_short = timeout_s < sending.longest_s
        reply = _attempt(target, sending, timeout_s=timeout_s)
        if sending.goes_on(reply):
            before = None
            if asks or time.monotonic() < ends_at:
                continue
            return Reply(UploadOutcome.UNREACHABLE, sending.state)
        if reply.timed_out and cut_short and before is not None:
            reply = before
        before = reply
        if reply.outcome is not UploadOutcome.UNREACHABLE or give_up():
            return reply
        # Between half the pause and the whole of it, so that the players of a match do not come together.
        wait_s = pause_s * random.uniform(0.5, 1.0)
        if ends_at <= time.monotonic() + wait_s:
            return reply
        time.sleep(wait_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


@attrs.define(eq=False)
class _Sending:
    """A document on its way: whole where it is small, else in parts, each where the one before ended."""

    packed: bytes
    large: bool
    in_parts: bool
    asks: bool
    """Whether nothing is sent yet, but it is asked how much of it the service has from an earlier attempt."""
    offset: int = 0
    """How much of it the service has."""

    @classmethod
    def of(cls, body: Iterable[bytes]) -> _Sending:
        """Compress a document; always to the same bytes, for another process may go on with it."""
        document = b"".join(body)
        packed = gzip.compress(document, compresslevel=5, mtime=0)
        in_parts = len(packed) > PART_BYTES
        return cls(packed, len(document) > _LARGE_BYTES, in_parts, asks=in_parts)

    @property
    def piece(self) -> bytes:
        """What is to be sent next."""
        if self.asks:
            return b""
        return self.packed[self.offset : self.offset + PART_BYTES] if self.in_parts else self.packed

    @property
    def headers(self) -> dict[str, str]:
        """What the service has to know of it."""
        if not self.in_parts:
            return {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return {
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(self.offset),
            "Upload-Length": str(len(self.packed)),
            "Upload-Digest": hashlib.sha256(self.packed).hexdigest(),
        }

    @property
    def longest_s(self) -> float:
        """The longest wait for an answer: with its last byte a large document is read before there is one."""
        last = not self.in_parts or self.offset + PART_BYTES >= len(self.packed)
        return _LARGE_TIMEOUT_S if self.large and last else _ATTEMPT_TIMEOUT_S

    @property
    def state(self) -> str:
        """How far it is, in words."""
        return f"{self.offset} of {len(self.packed)} bytes are there, the rest follows at the next chance"

    def goes_on(self, reply: Reply) -> bool:
        """Take note of what the service has; return whether the next piece can be sent at once."""
        if reply.outcome is UploadOutcome.WITHOUT_PARTS and self.in_parts:
            self.in_parts = self.asks = False
            return True
        if reply.received is None or reply.outcome is UploadOutcome.STORED:
            return False
        before, self.offset = self.offset, min(reply.received, len(self.packed) - 1)
        asked, self.asks = self.asks, False
        return asked or self.offset > before


def _attempt(target: Upload, sending: _Sending, *, timeout_s: float) -> Reply:
    try:
        request = _request(target, sending)
        with _OPENER.open(request, timeout=timeout_s) as response:
            return _read_answer(response.read(_MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return _read_refusal(error, in_parts=sending.in_parts)
    except ValueError as error:  # a malformed URL or token
        return Reply(UploadOutcome.REFUSED, str(error))
    except OSError as error:
        return _unreached(error)
    except http.client.HTTPException as error:
        return Reply(UploadOutcome.UNREACHABLE, f"{NO_SERVICE} ({type(error).__name__})")


def _unreached(error: OSError) -> Reply:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if not isinstance(cause, OSError):
        return Reply(UploadOutcome.UNREACHABLE, str(cause))
    timed_out = isinstance(cause, TimeoutError)
    return Reply(UploadOutcome.UNREACHABLE, why_unreachable(cause), timed_out=timed_out)


def _read_refusal(error: urllib.error.HTTPError, *, in_parts: bool) -> Reply:
    """Read any other answer than 200: a no is final only where it is the service's own."""
    if in_parts and error.code in _WITHOUT_PARTS:
        return Reply(UploadOutcome.WITHOUT_PARTS, status_in_words(error.code))
    try:
        content = _REFUSAL.decode(error.read(_MAX_ANSWER_BYTES))
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        content = None
    told = f"HTTP {error.code} {error.reason}"
    if content is None or content.ok:
        told = status_in_words(error.code)
    elif content.error is not None:
        told = f"{told}: {content.error.message}"
    told = printable(told)
    if error.code == http.HTTPStatus.UNAUTHORIZED:
        return Reply(UploadOutcome.UNAUTHENTICATED, told)
    if error.code in _REFUSALS and content is not None and not content.ok:
        return Reply(UploadOutcome.REFUSED, told)
    return Reply(UploadOutcome.DEFERRED if error.code in _DEFERRALS else UploadOutcome.UNREACHABLE, told)


def _request(target: Upload, sending: _Sending) -> urllib.request.Request:
    url = target.server_url + target.path
    if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError(f"wanted an http or https URL, got {target.server_url!r}")
    headers = {"Authorization": f"Bearer {target.token.reveal()}", **sending.headers}
    method = "PATCH" if sending.in_parts else "PUT"
    return urllib.request.Request(url, data=sending.piece, headers=headers, method=method)  # noqa: S310 - checked above


def _read_answer(answer: bytes) -> Reply:
    """Read a 200: stored only if it confirms that, for anything might answer at an address."""
    try:
        content = msgspec.json.decode(answer)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict) and content.get("ok") is True:
        received = content.get("received")
        if content.get("stored") is True:
            return Reply(UploadOutcome.STORED)
        if isinstance(received, int) and not isinstance(received, bool) and received >= 0:
            return Reply(UploadOutcome.UNREACHABLE, "it did not arrive whole", received)
    return Reply(UploadOutcome.UNREACHABLE, "the answer does not say that it was stored")


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="", errors="surrogatepass")


class _WithinTheHost(urllib.request.HTTPRedirectHandler):
    """Follows a redirection, to TLS above all, where nobody else learns the token by it."""

    def redirect_request(  # noqa: PLR0917  # the library's signature
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if new.hostname != old.hostname or new.scheme not in {"https", old.scheme}:
            return super().redirect_request(req, fp, code, msg, headers, newurl)
        return urllib.request.Request(newurl, data=req.data, headers=dict(req.headers), method=req.method)  # noqa: S310 - its scheme is http or https


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _WithinTheHost)
