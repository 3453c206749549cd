"""What the service tells the players: who sits where, who plays, under which seed.

Knows the wire form of these announcements and validates what arrives, so that the rest of a client deals
with values. It knows no socket, and not how a match comes about (that is :mod:`gym_p2p.core.service.rooms`).
"""

from __future__ import annotations

from typing import Any

import attrs

from gym_p2p.config import IceServer
from gym_p2p.core.api.queues import MatchProbe
from gym_p2p.core.wire.json_values import (
    read_flag,
    read_list,
    read_object,
    read_optional_text,
    read_seat,
    read_seats,
    read_seed,
    read_text,
)
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, ProtocolError

__all__ = [
    "MAX_PLAYERS",
    "MAX_SPECTATORS",
    "JoinAck",
    "MatchFound",
    "MatchPlayer",
    "PeerLeft",
    "RoomStatus",
    "ice_from_wire",
    "ice_to_wire",
]

MAX_PLAYERS = 8
MAX_SPECTATORS = 16
"""Of one player: each costs his machine twenty small messages a second in each direction."""


@attrs.frozen(kw_only=True)
class MatchPlayer:
    """One player of a match, as the service announces him to all of them."""

    player_id: SeatId
    """His first seat, in the order of the room's seat list."""
    subject_id: str
    seats: tuple[SeatId, ...]
    client: str | None
    """The software he says he runs (``"gym_p2p/0.1.0"``), or ``None`` when he did not say."""

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "player_id": self.player_id,
            "subject_id": self.subject_id,
            "seats": list(self.seats),
            "client": self.client,
        }

    @classmethod
    def from_wire(cls, data: object) -> MatchPlayer:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "match_found.players")
        player = cls(
            player_id=read_seat(fields, "player_id"),
            subject_id=read_text(fields, "subject_id"),
            seats=read_seats(fields, "seats"),
            client=read_optional_text(fields, "client"),
        )
        if not player.seats or player.seats[0] != player.player_id:
            raise ProtocolError("malformed player_id")
        return player


@attrs.frozen(kw_only=True)
class JoinAck:
    """The service's answer to joining a room."""

    room: str
    player_id: SeatId
    seats_taken: tuple[SeatId, ...]
    """The seats that this player now holds."""
    seats_free: tuple[SeatId, ...]
    """The seats that still wait for someone; empty when the match is made."""

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "room": self.room,
            "player_id": self.player_id,
            "seats_taken": list(self.seats_taken),
            "seats_free": list(self.seats_free),
        }

    @classmethod
    def from_wire(cls, data: object) -> JoinAck:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "join_room's answer")
        return cls(
            room=read_text(fields, "room"),
            player_id=read_seat(fields, "player_id"),
            seats_taken=read_seats(fields, "seats_taken"),
            seats_free=read_seats(fields, "seats_free"),
        )


@attrs.frozen(kw_only=True)
class RoomStatus:
    """Told to everyone who waits in a room whenever somebody comes or goes."""

    room: str
    seats_free: tuple[SeatId, ...]

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {"room": self.room, "seats_free": list(self.seats_free)}

    @classmethod
    def from_wire(cls, data: object) -> RoomStatus:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "room_status")
        return cls(room=read_text(fields, "room"), seats_free=read_seats(fields, "seats_free"))


@attrs.frozen(kw_only=True)
class PeerLeft:
    """The service lost sight of a player of a running match.

    The players' own channel may well be alive: whether the match goes on is theirs to say.
    """

    match_id: str
    player_id: SeatId
    reason: str
    """``"left"`` (he said so), ``"disconnected"`` (his socket is gone)."""

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return attrs.asdict(self)

    @classmethod
    def from_wire(cls, data: object) -> PeerLeft:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "peer_left")
        return cls(
            match_id=read_text(fields, "match_id"),
            player_id=read_seat(fields, "player_id"),
            reason=read_text(fields, "reason"),
        )


@attrs.frozen(kw_only=True)
class MatchFound:
    """A match as one of its players learns of it."""

    match_id: str
    room: str
    player_id: SeatId
    seats_taken: tuple[SeatId, ...]
    players: tuple[MatchPlayer, ...]
    """Everyone, this player included, in the order of the room's seat list."""
    seed: int
    """The agreed seed, an unsigned 32-bit number, the same for all."""
    ice_servers: tuple[IceServer, ...]
    relay_only: bool
    token: str = attrs.field(repr=False)
    """What this player shows when he uploads his documents."""
    queue: str | None = None
    """The queue that it came out of; ``None`` for a room."""
    probe: MatchProbe | None = None
    """What was measured before it; ``None`` for a room."""

    @property
    def peers(self) -> tuple[MatchPlayer, ...]:
        """Everyone else."""
        return tuple(player for player in self.players if player.player_id != self.player_id)

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "match_id": self.match_id,
            "room": self.room,
            "player_id": self.player_id,
            "seats_taken": list(self.seats_taken),
            "players": [player.to_wire() for player in self.players],
            "seed": self.seed,
            "ice_servers": [ice_to_wire(server) for server in self.ice_servers],
            "relay_only": self.relay_only,
            "token": self.token,
            "queue": self.queue,
            "probe": None if self.probe is None else self.probe.to_wire(),
        }

    @classmethod
    def from_wire(cls, data: object) -> MatchFound:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = read_object(data, "match_found")
        found = cls(
            match_id=read_text(fields, "match_id"),
            room=read_text(fields, "room"),
            player_id=read_seat(fields, "player_id"),
            seats_taken=read_seats(fields, "seats_taken"),
            players=tuple(MatchPlayer.from_wire(item) for item in read_list(fields, "players")),
            seed=read_seed(fields, "seed"),
            ice_servers=tuple(ice_from_wire(item) for item in read_list(fields, "ice_servers")),
            relay_only=read_flag(fields, "relay_only"),
            token=read_text(fields, "token"),
            queue=read_optional_text(fields, "queue"),
            probe=None if fields.get("probe") is None else MatchProbe.from_wire(fields["probe"]),
        )
        found._check_seating()
        return found

    def _check_seating(self) -> None:
        everyone = [seat for player in self.players for seat in player.seats]
        if not 2 <= len(self.players) <= MAX_PLAYERS or len(set(everyone)) != len(everyone):
            raise ProtocolError("malformed players")
        if (self.player_id, self.seats_taken) not in {(p.player_id, p.seats) for p in self.players}:
            raise ProtocolError("malformed seats_taken")


def ice_to_wire(server: IceServer) -> dict[str, Any]:
    """Return the JSON-ready form of W3C's ``RTCIceServer``."""
    wire: dict[str, Any] = {"urls": list(server.urls)}
    if server.username is not None:
        wire["username"] = server.username
    if server.credential is not None:
        wire["credential"] = server.credential
    return wire


def ice_from_wire(data: object) -> IceServer:
    """Validate and build; raises :class:`ProtocolError`."""
    fields = read_object(data, "ice_servers")
    urls = fields.get("urls")
    try:
        return IceServer(
            urls=urls if isinstance(urls, str) else tuple(read_list(fields, "urls")),
            username=read_optional_text(fields, "username"),
            credential=read_optional_text(fields, "credential"),
        )
    except ConfigurationError:
        raise ProtocolError("malformed ice_servers") from None
