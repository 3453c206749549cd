"""What the service announces to those who watch a match, and to those who are watched.

Who may watch whom is :mod:`gym_p2p.core.service.spectators`'s to decide.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from gym_p2p.config import IceServer
from gym_p2p.core.api.payloads import Text, check_seat, check_seats
from gym_p2p.core.wire.seats import SeatId

__all__ = ["SpectatorJoined", "SpectatorLeft", "WatchOver", "WatchedMatch", "WatchedPlayer"]


@attrs.frozen(kw_only=True)
class WatchedPlayer:
    """One player of a match, as spectators learn of them: their subject is left out."""

    player_id: SeatId = attrs.field(validator=check_seat)
    seats: tuple[SeatId, ...] = attrs.field(validator=check_seats)


@attrs.frozen(kw_only=True)
class WatchedMatch:
    """The service's answer to wanting to watch a match.

    Attributes:
        spectator_id: this spectator, to the player who shows the match; no seat's name.
        source: the player who shows it.
    """

    match_id: Text
    spectator_id: Text
    source: SeatId = attrs.field(validator=check_seat)
    players: tuple[WatchedPlayer, ...]
    ice_servers: tuple[IceServer, ...]
    relay_only: bool


@attrs.frozen
class SpectatorJoined:
    """Sent to a player: show the match to this spectator, who is going to make an offer.

    Attributes:
        ice_servers: with credentials that are good now; those of the match may have expired.
    """

    event: ClassVar[str] = "spectator_joined"

    match_id: Text
    spectator_id: Text
    ice_servers: tuple[IceServer, ...] = ()


@attrs.frozen
class SpectatorLeft:
    """Sent to a player: this spectator watches no more."""

    event: ClassVar[str] = "spectator_left"

    match_id: Text
    spectator_id: Text


@attrs.frozen
class WatchOver:
    """Sent to a spectator: the player shows them the match no more; another one may.

    Attributes:
        reason: ``left`` (the player has left the match, or its service), or ``dropped`` (the player wanted
            this spectator no more).
    """

    event: ClassVar[str] = "watch_over"

    match_id: Text
    reason: Text
