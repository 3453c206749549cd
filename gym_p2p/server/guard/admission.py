"""Who comes in: what a socket shows when it connects, and who it is from then on.

In a laboratory (no join tokens) everybody comes in, says who he is when he registers, and a newer socket of
a subject takes the older one's place. With join tokens the token says who it is, for good; and a second
socket of the same subject comes in only with the resume token that the first one got when it registered:
a participant who reconnects has it, somebody who has merely seen his link does not.

It knows tokens and the wall clock (tokens' expiry alone depends on it). It refuses to know what is played.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Mapping

import attrs

from gym_p2p.core.api.replies import Code, Refused
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner

__all__ = ["Admission"]

_RESUME_BYTES = 16  # 128 bits


@attrs.define(eq=False)
class _Session:
    subject_id: str
    resume_token: str | None = None
    """``None`` until it has registered."""
    sockets: set[str] = attrs.field(factory=set)


class Admission:
    """The door of one service.

    Args:
        secret: of whoever invites the players; ``None`` is a laboratory.
        experiment: what a join token has to be for.
        now: Unix seconds.
    """

    def __init__(
        self, secret: str | None = None, experiment: str = "", *, now: Callable[[], float] = time.time
    ) -> None:
        self._tokens = None if secret is None else TokenSigner(secret.encode(), JoinClaims)
        self._experiment = experiment
        self._now = now
        self._sessions: dict[str, _Session] = {}  # by subject
        self._by_socket: dict[str, _Session] = {}

    @property
    def session_count(self) -> int:
        """Subjects with a socket that showed a join token."""
        return len(self._sessions)

    def admit(self, socket: str, auth: object) -> Refused | None:
        """Let a socket in, or say why not; a refused one leaves no trace.

        Args:
            socket: the new one.
            auth: what it showed: ``{"token": ..., "resume_token": ...}``.
        """
        if self._tokens is None:
            return None
        shown = auth if isinstance(auth, Mapping) else {}
        token = shown.get("token")
        if not isinstance(token, str):
            return Refused(Code.UNAUTHENTICATED, "a join token is required")
        claims = self._tokens.verify(token, now=self._now())
        if claims is None or claims.experiment != self._experiment:
            return Refused(Code.UNAUTHENTICATED, "the join token is not valid, or not any more")
        session = self._sessions.get(claims.subject_id)
        if session is None:
            session = self._sessions[claims.subject_id] = _Session(claims.subject_id)
        elif not _resumes(session, shown.get("resume_token")):
            return Refused(Code.DUPLICATE_SESSION, "this subject is connected already")
        session.sockets.add(socket)
        self._by_socket[socket] = session
        return None

    def subject_of(self, socket: str) -> str | None:
        """Return who a socket is by its token; ``None`` where it has yet to say so itself."""
        session = self._by_socket.get(socket)
        return None if session is None else session.subject_id

    def registered(self, socket: str) -> str | None:
        """Return the token with which the subject's next socket takes this one's place, if it needs one."""
        session = self._by_socket.get(socket)
        if session is None:
            return None
        session.resume_token = secrets.token_urlsafe(_RESUME_BYTES)
        return session.resume_token

    def left(self, socket: str) -> None:
        """Forget a socket, and with a subject's last one what it takes to take its place. Idempotent."""
        session = self._by_socket.pop(socket, None)
        if session is None:
            return
        session.sockets.discard(socket)
        if not session.sockets:
            del self._sessions[session.subject_id]


def _resumes(session: _Session, resume_token: object) -> bool:
    if session.resume_token is None or not isinstance(resume_token, str):
        return False
    return hmac.compare_digest(session.resume_token.encode(), resume_token.encode(errors="surrogatepass"))
