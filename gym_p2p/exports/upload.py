"""One document to the service over HTTP: sent, and taken for stored only when the service confirms it.

It knows the address of a document at the service and what its answers mean; it refuses to know files.
Proxies of the environment are not used: signalling does not use them either, and they would see the token.
"""

from __future__ import annotations

import enum
import gzip
import http.client
import json
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable

import attrs
import msgspec

from gym_p2p.config import Secret

__all__ = ["Reply", "Upload", "UploadOutcome", "upload"]

_ATTEMPT_TIMEOUT_S = 5.0
"""The longest wait for one connect, one write or one read."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0

_MAX_ANSWER_BYTES = 65_536

_REFUSALS = frozenset({400, 401, 403, 409, 410, 411, 413, 414, 415, 422, 431})
"""The document, the address or the token is at fault, so that repeating cannot help (RFC 9110, 15.5).
Not 404: a service that is just starting behind its load balancer answers so."""


class UploadOutcome(enum.Enum):
    """What became of an upload."""

    STORED = "stored"
    """The service has it on its disk."""
    REFUSED = "refused"
    """The service does not want it, and will not later."""
    UNREACHABLE = "unreachable"
    """It could not be delivered now."""


@attrs.frozen
class Reply:
    """What became of an upload, and why."""

    outcome: UploadOutcome
    detail: str = ""


def _without_slash(url: str) -> str:
    return url.rstrip("/")


def _secret(token: str | Secret) -> Secret:
    return Secret(token) if isinstance(token, str) else token


@attrs.frozen
class Upload:
    """Where one document goes, and with which right."""

    server_url: str = attrs.field(converter=_without_slash)
    path: str
    token: Secret = attrs.field(converter=_secret, repr=False)

    @classmethod
    def of_document(
        cls, *, server_url: str, match_id: str, player_id: str | int, kind: str, token: str
    ) -> Upload:
        """Address a player's document of a match. The player's id travels as JSON: 1 and "1" are two."""
        player = _quoted(json.dumps(player_id))
        path = f"/v1/matches/{_quoted(match_id)}/players/{player}/{_quoted(kind)}"
        return cls(server_url, path, token)


def upload(
    target: Upload, body: Iterable[bytes], *, deadline_s: float, give_up: Callable[[], bool] = lambda: False
) -> Reply:
    """Send a document; repeat with growing pauses until it is stored, refused, or the time is up.

    It is sent once even if there is no time. Sending a document again that is already stored is harmless:
    the service replaces it by itself.

    Args:
        target: where to.
        body: the JSON, in pieces.
        deadline_s: seconds from now in which a further attempt may begin; no read or write outlasts it.
        give_up: called after an attempt that failed; True ends it.
    """
    packed = gzip.compress(b"".join(body), compresslevel=5, mtime=0)
    ends_at = time.monotonic() + deadline_s
    pause_s = _FIRST_PAUSE_S
    while True:
        left_s = ends_at - time.monotonic()
        reply = _attempt(target, packed, timeout_s=min(_ATTEMPT_TIMEOUT_S, max(left_s, _FIRST_PAUSE_S)))
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
            outcome = UploadOutcome.REFUSED if error.code in _REFUSALS else UploadOutcome.UNREACHABLE
            return Reply(outcome, f"HTTP {error.code} {error.reason}")
    except ValueError as error:  # a malformed URL or token
        return Reply(UploadOutcome.REFUSED, str(error))
    except (OSError, http.client.HTTPException) as error:
        return Reply(UploadOutcome.UNREACHABLE, str(error) or type(error).__name__)


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
    except msgspec.DecodeError:
        content = None
    if isinstance(content, dict) and content.get("ok") is True and content.get("stored") is True:
        return Reply(UploadOutcome.STORED)
    return Reply(UploadOutcome.UNREACHABLE, "the answer does not say that it was stored")


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="", errors="surrogatepass")


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
