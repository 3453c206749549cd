"""What a service tells its operator about its queues at one moment, and the wire form of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.core.matchmaking.commands import TicketRow
from gym_p2p.core.wire.json_values import read_list, read_number, read_object, read_optional_number, read_text

__all__ = ["QueueReport"]


@attrs.frozen(kw_only=True)
class QueueReport:
    """Every queue that somebody waits in, and what else goes on.

    Attributes:
        queues: a row for each who waits, the longest wait first, by the queue's name.
        matches: matches under way.
        connections: sockets connected.
    """

    queues: Mapping[str, tuple[TicketRow, ...]]
    matches: int
    connections: int

    @property
    def states(self) -> Counter[str]:
        """How many are in each state (``waiting``, ``probing``, ``asking``), over all queues."""
        return Counter(row.state for rows in self.queues.values() for row in rows)

    @property
    def longest_wait_s(self) -> float:
        """How long the one has waited who has waited longest; 0.0 where nobody waits."""
        return max((row.wait_s for rows in self.queues.values() for row in rows), default=0.0)

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form, with totals for whoever reads it without this module."""
        return {
            "queues": {name: [attrs.asdict(row) for row in rows] for name, rows in self.queues.items()},
            "totals": {
                "queues": len(self.queues),
                "tickets": self.states.total(),
                "states": dict(self.states),
                "longest_wait_s": self.longest_wait_s,
                "matches": self.matches,
                "connections": self.connections,
            },
        }

    @classmethod
    def from_wire(cls, data: object) -> QueueReport:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "answer")
        totals = read_object(fields.get("totals"), "totals")
        queues = read_object(fields.get("queues"), "queues")
        return cls(
            queues={name: tuple(map(_row, read_list(queues, name))) for name in queues},
            matches=int(read_number(totals, "matches")),
            connections=int(read_number(totals, "connections")),
        )


def _row(data: object) -> TicketRow:
    fields = read_object(data, "ticket")
    return TicketRow(
        subject_id=read_text(fields, "subject_id"),
        state=read_text(fields, "state"),
        wait_s=read_number(fields, "wait_s"),
        threshold_ms=read_optional_number(fields, "threshold_ms"),
        best_estimate_ms=read_optional_number(fields, "best_estimate_ms"),
        probes=int(read_number(fields, "probes")),
        rejections=int(read_number(fields, "rejections")),
    )
