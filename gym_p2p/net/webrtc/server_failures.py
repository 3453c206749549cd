"""What it means that a STUN or TURN server gave nothing, in words for people.

It knows aioice's errors, the codes of RFC 8656 and RFC 8489, and that user names of the TURN REST API begin
with the time at which they expire. What is to be done is said by whoever knows what a server was needed for.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterable

import aioice.stun
import attrs

from gym_p2p.config import IceServer
from gym_p2p.core.wire.foreign_text import printable

__all__ = ["ServerFailures", "in_words", "is_timeout"]

_EXPIRY = re.compile(r"([0-9]{9,11})(?::|$)")
_UNAUTHORIZED = 401  # RFC 8489, section 14.8
_MEANINGS = {
    403: "it does not relay for us: forbidden, by its list of peers or its access control",
    437: "it still has an allocation of ours from before; try again",
    438: "it wanted a new nonce again and again",
    441: "it does not take the credentials: the allocation is another user's",
    442: "it does not relay UDP",
    486: "its quota of allocations is reached: by this subject, or by all",
    508: "it has no room for another allocation",
}


@attrs.define(eq=False)
class ServerFailures:
    """What became of the queries of all servers, told alike in whichever order they end.

    A server is queried from each of this machine's addresses; a URL may be named with several credentials.
    """

    _gave: set[tuple[IceServer, str]] = attrs.field(factory=set)
    _failed: dict[tuple[IceServer, str], list[tuple[bool, int, str]]] = attrs.field(factory=dict)
    """Whether it was but a time-out, the rank of our address, and the words: the least is told."""

    def note_answer(self, server: IceServer, url: str) -> None:
        """Note that a server gave what it was asked for: it has not failed, whatever other queries say."""
        self._gave.add((server, url))

    def note_failure(self, server: IceServer, url: str, error: BaseException, *, rank: int) -> str:
        """Note why one query gave nothing; return it in words.

        Args:
            server: with the credentials that it was shown.
            url: which of its URLs.
            error: what the query raised.
            rank: of the address from which it was queried, the best being 0.
        """
        words = in_words(error, server)
        self._failed.setdefault((server, url), []).append((is_timeout(error), rank, words))
        return words

    def told(self, servers: Iterable[IceServer]) -> str:
        """Return which of these gave nothing at all, in their order; empty where there is none.

        What an answer or the system says comes before a time-out, and then the best address's failure.
        """
        named = [(server, url) for server in servers for url in server.urls]
        failed = [key for key in named if key in self._failed and key not in self._gave]
        return "; ".join(dict.fromkeys(f"{key[1]}: {min(self._failed[key])[2]}" for key in failed))


def in_words(error: BaseException, server: IceServer, *, now: float | None = None) -> str:
    """Return why a server gave no candidate.

    Args:
        error: what the query raised.
        server: which one, with the credentials that it was shown; they do not stand in the words.
        now: Unix seconds; ``None`` asks the clock.
    """
    told = f"{type(error).__name__}: {printable(str(error))}" if str(error) else type(error).__name__
    match error:
        case aioice.stun.TransactionFailed():
            told = _refusal(error, server, time.time() if now is None else now)
        case _ if is_timeout(error):
            told = "no answer: nothing runs there, or a firewall is between"
        case ConnectionRefusedError():
            told = "connection refused: nothing listens there"
        case socket.gaierror():
            told = "no such host"
        case ssl.SSLError():
            told = f"TLS failed: {printable(error.reason or type(error).__name__)}"
        case ConnectionError():
            told = "it hung up"
        case OSError(strerror=str() as strerror):
            told = printable(strerror)
    return told


def is_timeout(error: BaseException) -> bool:
    """Return whether nothing else is known than that nothing came."""
    return isinstance(error, aioice.stun.TransactionTimeout | TimeoutError)


def _refusal(error: aioice.stun.TransactionFailed, server: IceServer, now: float) -> str:
    code, reason = error.response.attributes.get("ERROR-CODE", (0, ""))
    if code != _UNAUTHORIZED:
        return _MEANINGS.get(code, f"it refused, with {code} {printable(reason)}".rstrip())
    if server.username is None:
        return "it wants credentials, and there are none"
    expiry = _EXPIRY.match(server.username)
    if expiry is not None and int(expiry[1]) <= now:
        return f"the credentials expired {now - int(expiry[1]):.0f} s ago (or a clock is wrong)"
    return "it does not take the credentials: another secret than the service's, a wrong password or clock"
