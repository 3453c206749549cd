"""Who comes in: what a socket shows when it connects, and who it is by that.

In a laboratory (no join tokens) everybody comes in, and says when registering who it is. With join tokens the
token says so, for good (:class:`~gym_p2p.core.presence.presence.Presence` holds on to it).

It knows tokens and the wall clock (tokens' expiry alone depends on it). It refuses to know what is played.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import attrs

from gym_p2p.core.api.replies import Code, Refused
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner

__all__ = ["Admission", "Identity"]


@attrs.frozen
class Identity:
    """Who a socket is by its token.

    Attributes:
        subject_id: ``None`` where it has yet to say so itself.
        resume_token: what it showed as such, as it came.
    """

    subject_id: str | None = None
    resume_token: object = attrs.field(default=None, repr=False)


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

    def identify(self, auth: object) -> Identity | Refused:
        """Return who it is that comes in, or say why it does not.

        Args:
            auth: what it showed: ``{"token": ..., "resume_token": ...}``.
        """
        if self._tokens is None:
            return Identity()
        shown = auth if isinstance(auth, Mapping) else {}
        token = shown.get("token")
        if not isinstance(token, str):
            return Refused(Code.UNAUTHENTICATED, "a join token is required")
        claims = self._tokens.verify(token, now=self._now())
        if claims is None or claims.experiment != self._experiment:
            return Refused(Code.UNAUTHENTICATED, "the join token is not valid, or not any more")
        return Identity(claims.subject_id, shown.get("resume_token"))
