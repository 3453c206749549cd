"""Status updates: what everybody in a queue is sent of where they stand, and how often.

Knows what each was sent last. It refuses to know why somebody stands where they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from gym_p2p.core.api.queues import QueueStatus
from gym_p2p.core.api.replies import Notify
from gym_p2p.core.matchmaking.commands import TicketRow

__all__ = ["STATUS_ANYWAY_S", "STATUS_EVERY_S", "StatusUpdates"]

STATUS_EVERY_S = 1.0
"""Nobody is sent changes more often."""
STATUS_ANYWAY_S = 5.0
"""And everybody is sent one this often, for thresholds widen during the wait."""


@attrs.frozen
class _Sent:
    state: str
    waiting: int
    at: float


class StatusUpdates:
    """The status updates of one queue.

    Attributes:
        due: when :meth:`updates` should be called again, if anybody is in the queue.
    """

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._sent: dict[str, _Sent] = {}
        self.due = 0.0

    def updates(self, rows: Iterable[TicketRow], waiting: int, now: float) -> Iterator[Notify]:
        """Return an update for each of those whose state, or the number of those who wait, has changed.

        Everybody gets one now and then, changed or not.
        """
        self.due = now + STATUS_EVERY_S
        for row in rows:
            last = self._sent.get(row.subject_id)
            stands = (row.state, waiting)
            if last is not None and (last.state, last.waiting) == stands and now < last.at + STATUS_ANYWAY_S:
                continue
            self._sent[row.subject_id] = _Sent(row.state, waiting, now)
            status = QueueStatus(
                queue=self._queue,
                state=row.state,
                waiting=waiting,
                wait_s=row.wait_s,
                threshold_ms=row.threshold_ms,
                probes=row.probes,
            )
            yield Notify(row.subject_id, status)

    def forget(self, subject_id: str) -> None:
        """Forget what somebody was sent who has left the queue. Idempotent."""
        self._sent.pop(subject_id, None)
