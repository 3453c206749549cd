"""What stands between a socket and the machines: who comes in, how much one may do, and what is counted.

In a laboratory (no join tokens) everybody comes in, and says when registering who it is. With join tokens the
token says so, for good (:class:`~gym_p2p.core.presence.presence.Presence` holds on to it).

Knows tokens, the wall clock (tokens' expiry alone depends on it), and the events that request a place. It
refuses to know what is played.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import attrs

from gym_p2p.core.api.replies import Answer, Code, Refused
from gym_p2p.core.presence.penalties import Penalties
from gym_p2p.core.presence.rate_limits import RateLimit, SlidingWindow, too_often
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner

__all__ = ["Admission", "Guards", "Identity"]

_JOINS = frozenset({"join_room", "join_queue"})
_LEAVES = frozenset({"leave_room", "leave_queue"})
_PLACES = _JOINS | {"watch"}


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


@attrs.frozen(kw_only=True)
class Guards:
    """The guards of one service.

    Attributes:
        admission: the door.
        events: of each socket.
        joins: joins of rooms and queues, and wishes to watch, by subject.
        metrics: where everything is counted.
    """

    admission: Admission
    events: RateLimit
    joins: RateLimit
    metrics: ServiceMetrics
    _strikes: SlidingWindow = attrs.field(init=False, factory=lambda: SlidingWindow(2, window_s=10.0))
    _bursts: SlidingWindow = attrs.field(init=False, factory=lambda: SlidingWindow(1, window_s=1.0))
    """One burst over the limit is one strike, however many events it had."""
    _penalties: Penalties = attrs.field(init=False, factory=lambda: Penalties(forgiven=1, first_s=5.0))
    """Of those who have a join token: in a laboratory one could make another be held back by their name."""
    _violations: SlidingWindow = attrs.field(init=False, factory=lambda: SlidingWindow(9, window_s=10.0))

    def struck_out(self, socket: str, now: float) -> bool:
        """Count an event over the limit; return whether the socket is to be closed for that."""
        return self._bursts.take(socket, now) is None and self._strikes.take(socket, now) is not None

    def violated(self, socket: str, now: float) -> bool:
        """Count something that no honest client sends; return whether the socket is to be closed for that."""
        self.metrics.refused("violation")
        return self._violations.take(socket, now) is not None

    def misbehaved(self, subject_id: str, now: float) -> None:
        """Note that a subject with a join token had to be dropped for what it sent."""
        self._penalties.count(subject_id, now)

    def refuse_again(self, subject_id: str | None, now: float) -> Refused | None:
        """Say that a subject has misbehaved and is held back for a while; ``None`` if not, or unknown."""
        wait_s = None if subject_id is None else self._penalties.wait_s(subject_id, now)
        return None if wait_s is None else too_often(wait_s, "dropped for what it sent; let in again later")

    def refuse_join(self, event: str, subject_id: str | None, now: float) -> Refused | None:
        """Say that a subject joins too often; ``None`` if it does not, or this event is no joining."""
        if event not in _PLACES or subject_id is None:
            return None
        wait_s = self.joins.take(subject_id, now)
        if wait_s is None:
            return None
        return too_often(wait_s, f"at most {self.joins.per_s:g} joins a second")

    def answered(self, socket: str, event: str, answer: Answer, now: float) -> None:
        """Count an answer to a client."""
        if isinstance(answer, Refused):
            self.metrics.refused(answer.code)
        elif event in _JOINS:
            self.metrics.joined(socket, now)
        elif event in _LEAVES:
            self.metrics.left(socket)
