"""What a player asks of the service to get a match: seats in a room, or a place in a queue.

Values that can be asked for again after a broken line. Knows their wire form, and no line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.net.client.service_connection import CLIENT

__all__ = ["QueueSeating", "RoomSeating", "Seating"]


@attrs.frozen
class RoomSeating:
    """Seats in a room; ``take=None`` takes any free one."""

    room: str
    seats: tuple[SeatId, ...]
    take: tuple[SeatId, ...] | None
    spectators: int = 0

    join_event = "join_room"
    leave_event = "leave_room"

    @property
    def where(self) -> str:
        """The place, in words."""
        return f"room {self.room!r}"

    def to_join(self) -> dict[str, Any]:
        """Return the payload of joining."""
        take = None if self.take is None else list(self.take)
        return {
            "room": self.room,
            "seats": list(self.seats),
            "take": take,
            "client": CLIENT,
            "spectators": self.spectators,
        }

    def to_leave(self) -> Mapping[str, Any]:
        """Return the payload of leaving."""
        return {"room": self.room}


@attrs.frozen
class QueueSeating:
    """A place in a queue."""

    ticket: QueueTicket

    join_event = "join_queue"
    leave_event = "leave_queue"

    @property
    def where(self) -> str:
        """The place, in words."""
        return f"queue {self.ticket.queue!r}"

    def to_join(self) -> dict[str, Any]:
        """Return the payload of joining."""
        ticket = self.ticket
        history = ticket.group_history
        return {
            "queue": ticket.queue,
            "seats": list(ticket.seats),
            "take": ticket.take,
            "client": CLIENT,
            "asks": ticket.asks,
            "rtt_ms": ticket.rtt_ms,
            "plays": ticket.plays,
            "previous_partners": [] if history is None else list(history.previous_partners),
            "group_id": None if history is None else history.group_id,
            "spectators": ticket.spectators,
        }

    def to_leave(self) -> Mapping[str, Any]:
        """Return the payload of leaving."""
        return {"queue": self.ticket.queue}


Seating = RoomSeating | QueueSeating
