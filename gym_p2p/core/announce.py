"""What the service tells the players: who sits where, who plays, under which seed.

Knows the wire form of these announcements and validates what arrives, so that the rest of a client deals
with values. It knows no socket, and not how a match comes about (that is :mod:`gym_p2p.core.rooms`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.config import IceServer
from gym_p2p.errors import ConfigurationError, ProtocolError

__all__ = [
    "MAX_ID_CHARS",
    "MAX_PLAYERS",
    "MAX_SEATS",
    "JoinAck",
    "MatchFound",
    "MatchPlayer",
    "PeerLeft",
    "RoomStatus",
    "SeatId",
    "ice_from_wire",
    "ice_to_wire",
    "is_seat_id",
]

SeatId = int | str
"""A seat as its environment names it. ``1`` and ``"1"`` are different seats; a bool is none."""

MAX_ID_CHARS = 128
MAX_SEATS = 64
MAX_PLAYERS = 8
_MAX_SAFE_INTEGER = 2**53 - 1
"""Beyond it a browser (ECMAScript ``Number.MAX_SAFE_INTEGER``) would read another number."""
_UINT32 = 2**32


def is_seat_id(value: object) -> bool:
    """Tell whether this can be a seat's id: a safe whole number, or 1 to 128 printable characters."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return abs(value) <= _MAX_SAFE_INTEGER
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable()


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
        fields = _object(data, "match_found.players")
        player = cls(
            player_id=_seat(fields, "player_id"),
            subject_id=_text(fields, "subject_id"),
            seats=_seats(fields, "seats"),
            client=_optional_text(fields, "client"),
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
        fields = _object(data, "join_room's answer")
        return cls(
            room=_text(fields, "room"),
            player_id=_seat(fields, "player_id"),
            seats_taken=_seats(fields, "seats_taken"),
            seats_free=_seats(fields, "seats_free"),
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
        fields = _object(data, "room_status")
        return cls(room=_text(fields, "room"), seats_free=_seats(fields, "seats_free"))


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
        fields = _object(data, "peer_left")
        return cls(
            match_id=_text(fields, "match_id"),
            player_id=_seat(fields, "player_id"),
            reason=_text(fields, "reason"),
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
        }

    @classmethod
    def from_wire(cls, data: object) -> MatchFound:
        """Validate and build; raises :class:`ProtocolError`."""
        fields = _object(data, "match_found")
        found = cls(
            match_id=_text(fields, "match_id"),
            room=_text(fields, "room"),
            player_id=_seat(fields, "player_id"),
            seats_taken=_seats(fields, "seats_taken"),
            players=tuple(MatchPlayer.from_wire(item) for item in _list(fields, "players")),
            seed=_seed(fields, "seed"),
            ice_servers=tuple(ice_from_wire(item) for item in _list(fields, "ice_servers")),
            relay_only=_flag(fields, "relay_only"),
            token=_text(fields, "token"),
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
    fields = _object(data, "ice_servers")
    urls = fields.get("urls")
    try:
        return IceServer(
            urls=urls if isinstance(urls, str) else tuple(_list(fields, "urls")),
            username=_optional_text(fields, "username"),
            credential=_optional_text(fields, "credential"),
        )
    except ConfigurationError:
        raise ProtocolError("malformed ice_servers") from None


def _object(data: object, what: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ProtocolError(f"malformed {what}")
    return data


def _list(fields: Mapping[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    if not isinstance(value, list):
        raise ProtocolError(f"malformed {name}")
    return value


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ProtocolError(f"malformed {name}")
    return value


def _optional_text(fields: Mapping[str, Any], name: str) -> str | None:
    return None if fields.get(name) is None else _text(fields, name)


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool):
        raise ProtocolError(f"malformed {name}")
    return value


def _seed(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _UINT32:
        raise ProtocolError(f"malformed {name}")
    return value


def _seat(fields: Mapping[str, Any], name: str) -> SeatId:
    value = fields.get(name)
    if not isinstance(value, int | str) or not is_seat_id(value):
        raise ProtocolError(f"malformed {name}")
    return value


def _seats(fields: Mapping[str, Any], name: str) -> tuple[SeatId, ...]:
    value = fields.get(name)
    if not isinstance(value, list) or len(value) > MAX_SEATS or not all(map(is_seat_id, value)):
        raise ProtocolError(f"malformed {name}")
    return tuple(value)
