"""What stands between a socket and the machines: who comes in, how often he may join, and what is counted.

Knows the events by which somebody asks for a place. What each guard does is in its own module.
"""

from __future__ import annotations

import math
import time

import attrs

from gym_p2p.core.api.replies import Answer, Code, Refused
from gym_p2p.server.guard.admission import Admission
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.guard.rate_limits import KeyedLimits

__all__ = ["Guards"]

_JOINS = frozenset({"join_room", "join_queue"})
_LEAVES = frozenset({"leave_room", "leave_queue"})
_PLACES = _JOINS | {"watch"}


def _default_joins() -> KeyedLimits:
    return KeyedLimits(per_s=1.0, burst=3)


@attrs.frozen(kw_only=True)
class Guards:
    """The guards of one service; by default those of a laboratory.

    Attributes:
        admission: the door.
        joins: joins of rooms and queues, and wishes to watch, by subject.
        metrics: where everything is counted.
    """

    admission: Admission = attrs.field(factory=Admission)
    joins: KeyedLimits = attrs.field(factory=_default_joins)
    metrics: ServiceMetrics = attrs.field(factory=ServiceMetrics)

    def admit(self, socket: str, auth: object) -> Refused | None:
        """Let a socket in, or say why not."""
        refused = self.admission.admit(socket, auth)
        if refused is not None:
            self.metrics.refused(refused.code)
        return refused

    def refuse_join(self, event: str, subject_id: str | None) -> Refused | None:
        """Say that a subject joins too often; ``None`` if it does not, or this event is no joining."""
        if event not in _PLACES or subject_id is None:
            return None
        wait_s = self.joins.take(subject_id, time.monotonic())
        if wait_s is None:
            return None
        message = f"at most {self.joins.per_s:g} joins a second"
        return Refused(Code.RATE_LIMITED, message, retry_after_ms=math.ceil(wait_s * 1000))

    def answered(self, socket: str, event: str, answer: Answer) -> None:
        """Count an answer to a client."""
        if isinstance(answer, Refused):
            self.metrics.refused(answer.code)
        elif event in _JOINS:
            self.metrics.joined(socket, time.monotonic())
        elif event in _LEAVES:
            self.metrics.left(socket)

    def left(self, socket: str) -> None:
        """Forget a socket. Idempotent."""
        self.admission.left(socket)
        self.metrics.left(socket)
