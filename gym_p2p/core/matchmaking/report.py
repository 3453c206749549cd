"""What a service shows its operator of its queues at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Self

import attrs

from gym_p2p.core.api.payloads import Count, Number
from gym_p2p.core.matchmaking.commands import TicketRow

__all__ = ["QueueReport", "QueueTotals"]


@attrs.frozen(kw_only=True)
class QueueTotals:
    """Over all queues.

    Attributes:
        queues: in which somebody waits.
        tickets: who waits.
        states: how many are in each state (``waiting``, ``probing``, ``asking``).
        longest_wait_s: how long the one has waited who has waited longest; 0.0 where nobody waits.
        matches: matches under way.
        connections: sockets connected.
    """

    queues: Count
    tickets: Count
    states: Mapping[str, Count]
    longest_wait_s: Number
    matches: Count
    connections: Count


@attrs.frozen(kw_only=True)
class QueueReport:
    """Every queue that somebody waits in, and what else goes on.

    Attributes:
        queues: a row for each who waits, the longest wait first, by the queue's name.
        totals: for whoever does not want to add them up.
    """

    queues: Mapping[str, tuple[TicketRow, ...]]
    totals: QueueTotals

    @classmethod
    def of(cls, queues: Mapping[str, tuple[TicketRow, ...]], *, matches: int, connections: int) -> Self:
        """Return the report of these queues, with the totals."""
        rows = [row for rows in queues.values() for row in rows]
        totals = QueueTotals(
            queues=len(queues),
            tickets=len(rows),
            states=dict(Counter(row.state for row in rows)),
            longest_wait_s=max((row.wait_s for row in rows), default=0.0),
            matches=matches,
            connections=connections,
        )
        return cls(queues=queues, totals=totals)
