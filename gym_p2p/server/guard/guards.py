"""What stands between a socket and the machines: who comes in, how much one may do, and what is counted.

Knows the events that request a place. It keeps no clock.
"""

from __future__ import annotations

import attrs

from gym_p2p.core.api.replies import Answer, Refused
from gym_p2p.core.presence.rate_limits import RateLimit, SlidingWindow, too_often
from gym_p2p.server.guard.admission import Admission
from gym_p2p.server.guard.metrics import ServiceMetrics

__all__ = ["Guards"]

_JOINS = frozenset({"join_room", "join_queue"})
_LEAVES = frozenset({"leave_room", "leave_queue"})
_PLACES = _JOINS | {"watch"}


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
    _violations: SlidingWindow = attrs.field(init=False, factory=lambda: SlidingWindow(9, window_s=10.0))

    def struck_out(self, socket: str, now: float) -> bool:
        """Count an event over the limit; return whether the socket is to be closed for that."""
        return self._bursts.take(socket, now) is None and self._strikes.take(socket, now) is not None

    def violated(self, socket: str, now: float) -> bool:
        """Count something that no honest client sends; return whether the socket is to be closed for that."""
        self.metrics.refused("violation")
        return self._violations.take(socket, now) is not None

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
