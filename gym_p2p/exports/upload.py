"""One document to the service over HTTP: sent, and taken for stored only when the service confirms it.

It knows the address of a document at the service and what its answers mean; it refuses to know files.
Proxies of the environment are not used: signalling does not use them either, and they would see the token.
"""

from __future__ import annotations

import enum
import gzip
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

__all__ = ["Reply", "Upload", "UploadOutcome", "upload"]

_ATTEMPT_TIMEOUT_S = 5.0
"""The longest wait for one connect, one write or one read."""
_LARGE_BYTES = 512 * 1024
_LARGE_TIMEOUT_S = 75.0
"""The same of a document of more than this: the service reads it for up to a minute before it answers."""

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
    """It could not be delivered now."""


@attrs.frozen
class Reply:
    """What became of an upload, and why."""

    outcome: UploadOutcome
    detail: str = ""


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
    the service replaces it by itself.

    Args:
        target: where to.
        body: the JSON, in pieces.
        deadline_s: seconds from now in which a further attempt may begin; no read or write outlasts it.
        give_up: called after an attempt that failed; True ends it.
    """
    document = b"".join(body)
    longest_s = _LARGE_TIMEOUT_S if len(document) > _LARGE_BYTES else _ATTEMPT_TIMEOUT_S
    packed = gzip.compress(document, compresslevel=5, mtime=0)
    ends_at = time.monotonic() + deadline_s
    pause_s = _FIRST_PAUSE_S
    while True:
        left_s = ends_at - time.monotonic()
        reply = _attempt(target, packed, timeout_s=min(longest_s, max(left_s, _FIRST_PAUSE_S)))
        if reply.outcome is not UploadOutcome.UNREACHABLE or give_up():
            return reply
        # Between half the pause and the whole of it, so that the players of a match do not come together.
        wait_s = pause_s * random.uniform(0.5, 1.0)
        if ends_at <= time.monotonic() + wait_s:
            return reply
        time.sleep(wait_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _attempt(target: Upload, packed: bytes, *, timeout_s: float) -> Reply:
    try:
        request = _request(target, packed)
        with _OPENER.open(request, timeout=timeout_s) as response:
            return _read_answer(response.read(_MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return _read_refusal(error)
    except ValueError as error:  # a malformed URL or token
        return Reply(UploadOutcome.REFUSED, str(error))
    except urllib.error.URLError as error:
        reason = error.reason
        return Reply(
            UploadOutcome.UNREACHABLE, why_unreachable(reason) if isinstance(reason, OSError) else str(reason)
        )
    except OSError as error:
        return Reply(UploadOutcome.UNREACHABLE, why_unreachable(error))
    except http.client.HTTPException as error:
        return Reply(UploadOutcome.UNREACHABLE, f"{NO_SERVICE} ({type(error).__name__})")


def _read_refusal(error: urllib.error.HTTPError) -> Reply:
    """Read any other answer than 200: a no is final only where it is the service's own."""
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


def _request(target: Upload, packed: bytes) -> urllib.request.Request:
    url = target.server_url + target.path
    if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError(f"wanted an http or https URL, got {target.server_url!r}")
    headers = {
        "Authorization": f"Bearer {target.token.reveal()}",
        "Content-Type": "application/json",
        "Content-Encoding": "gzip",
    }
    return urllib.request.Request(url, data=packed, headers=headers, method="PUT")  # noqa: S310 - checked above


def _read_answer(answer: bytes) -> Reply:
    """Read a 200: stored only if it confirms that, for anything might answer at an address."""
    try:
        content = msgspec.json.decode(answer)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict) and content.get("ok") is True and content.get("stored") is True:
        return Reply(UploadOutcome.STORED)
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
