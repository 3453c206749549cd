"""What it means that a STUN or TURN server gave nothing, in words for people.

It knows aioice's errors, the codes of RFC 8656 and RFC 8489, and that user names of the TURN REST API begin
with the time at which they expire. What is to be done is said by whoever knows what a server was needed for.
"""

from __future__ import annotations

import re
import socket
import ssl
import time

import aioice.stun

from gym_p2p.config import IceServer
from gym_p2p.core.wire.foreign_text import printable

__all__ = ["in_words"]

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
        case aioice.stun.TransactionTimeout() | TimeoutError():
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
