"""Which ways messages between the players took where not simply the direct one: parts of the documents.

An instance is JSON-ready by ``msgspec``, and an attribute's docstring is the description of its key in the
schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta

from gym_p2p.core.latency.statistics import Count, Milliseconds
from gym_p2p.core.record.parts import DocumentPart
from gym_p2p.core.wire.seats import SeatId

__all__ = ["WAYS_KEPT", "PassedOn", "WayTaken", "first_fallback"]

WAYS_KEPT = 1000
"""A path that is bad now and then must not fill the documents."""


class WayTaken(DocumentPart, frozen=True, kw_only=True):
    """Another way that messages to a player took."""

    timestamp: int
    """When both had agreed on it, in Unix milliseconds."""
    frame: Count | None
    """The frame of the running episode; null before the first."""
    other_peer: SeatId
    """The id of the player at the other end."""
    way: Literal["direct", "service", "player"]
    """direct: a connection between the two; service: the service passes them on; player: another player."""
    via_player_id: SeatId | None
    """The id of the player who passes them on; null if none does."""
    reason: str
    """no_direct_path, lost, bad, carries, good_again, or other_player: the one at the other end took it."""
    loss: Annotated[float, Meta(ge=0, le=1)] | None
    """How many of the messages the way before lost, as a share of 1; null where that is not the reason."""
    rtt_ms: Milliseconds | None
    """The median round trip of the way before, in milliseconds; null where that is not the reason."""


class PassedOn(DocumentPart, frozen=True):
    """That this player passed messages on between two others."""

    from_player_id: SeatId
    """The id of the player who they came from."""
    to_player_id: SeatId
    """The id of the player who they went to."""
    timestamp: int
    """When that began, in Unix milliseconds; again after ten seconds without any."""


def first_fallback(ways: Iterable[WayTaken]) -> WayTaken | None:
    """Return when the service first passed messages on; ``None`` if it never did."""
    return next((way for way in ways if way.way == "service"), None)
