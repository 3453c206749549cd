"""What the service tells those who watch a match, and those who are watched.

Knows the wire form of these announcements and validates what arrives. Who may watch whom is
:mod:`gym_p2p.core.service.spectators`'s to say.
"""

from __future__ import annotations

from typing import Any

import attrs

from gym_p2p.config import IceServer
from gym_p2p.core.api.rooms import ice_from_wire, ice_to_wire
from gym_p2p.core.wire.json_values import read_flag, read_list, read_object, read_seat, read_seats, read_text
from gym_p2p.core.wire.seats import SeatId

__all__ = ["SpectatorJoined", "SpectatorLeft", "WatchOver", "WatchedMatch", "WatchedPlayer"]


@attrs.frozen(kw_only=True)
class WatchedPlayer:
    """One player of a match, as spectators learn of him: without a word on who he is."""

    player_id: SeatId
    seats: tuple[SeatId, ...]

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {"player_id": self.player_id, "seats": list(self.seats)}

    @classmethod
    def from_wire(cls, data: object) -> WatchedPlayer:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "watch's players")
        return cls(player_id=read_seat(fields, "player_id"), seats=read_seats(fields, "seats"))


@attrs.frozen(kw_only=True)
class WatchedMatch:
    """The service's answer to wanting to watch a match.

    Attributes:
        spectator_id: this spectator, to the player who shows him the match; no seat's name.
        source: the player who shows it.
    """

    match_id: str
    spectator_id: str
    source: SeatId
    players: tuple[WatchedPlayer, ...]
    ice_servers: tuple[IceServer, ...]
    relay_only: bool

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "match_id": self.match_id,
            "spectator_id": self.spectator_id,
            "source": self.source,
            "players": [player.to_wire() for player in self.players],
            "ice_servers": [ice_to_wire(server) for server in self.ice_servers],
            "relay_only": self.relay_only,
        }

    @classmethod
    def from_wire(cls, data: object) -> WatchedMatch:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "watch's answer")
        return cls(
            match_id=read_text(fields, "match_id"),
            spectator_id=read_text(fields, "spectator_id"),
            source=read_seat(fields, "source"),
            players=tuple(WatchedPlayer.from_wire(item) for item in read_list(fields, "players")),
            ice_servers=tuple(ice_from_wire(item) for item in read_list(fields, "ice_servers")),
            relay_only=read_flag(fields, "relay_only"),
        )


@attrs.frozen
class SpectatorJoined:
    """Told to a player: show the match to this spectator, who is going to make an offer."""

    match_id: str
    spectator_id: str

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return attrs.asdict(self)

    @classmethod
    def from_wire(cls, data: object) -> SpectatorJoined:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "spectator_joined")
        return cls(read_text(fields, "match_id"), read_text(fields, "spectator_id"))


@attrs.frozen
class SpectatorLeft:
    """Told to a player: this spectator watches no more."""

    match_id: str
    spectator_id: str

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return attrs.asdict(self)

    @classmethod
    def from_wire(cls, data: object) -> SpectatorLeft:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "spectator_left")
        return cls(read_text(fields, "match_id"), read_text(fields, "spectator_id"))


@attrs.frozen
class WatchOver:
    """Told to a spectator: the player shows him the match no more; another one may.

    Attributes:
        reason: ``left`` (the player has left the match, or its service), or ``dropped`` (he wanted this
            spectator no more).
    """

    match_id: str
    reason: str

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return attrs.asdict(self)

    @classmethod
    def from_wire(cls, data: object) -> WatchOver:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "watch_over")
        return cls(read_text(fields, "match_id"), read_text(fields, "reason"))
