"""What the service announces to players: who sits where, who plays, under which seed.

It knows no socket, and not how a match comes about (that is :mod:`gym_p2p.core.service.rooms`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from gym_p2p.config import IceServer
from gym_p2p.config.secret import Secret, as_secret, secret
from gym_p2p.core.api.payloads import Seed, Text, check_seat, check_seats
from gym_p2p.core.api.queues import MatchProbe
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.core.wire.seats import SeatId

__all__ = [
    "CUT_OFF",
    "DISCONNECTED",
    "MAX_PLAYERS",
    "MAX_SPECTATORS",
    "TIMED_OUT",
    "IceServers",
    "JoinAck",
    "MatchFound",
    "MatchPlayer",
    "MatchSignal",
    "PeerLeft",
    "PeerReturned",
    "Replaced",
    "RoomStatus",
    "TurnedAway",
]

MAX_PLAYERS = 8
MAX_SPECTATORS = 16
"""Of one player: each costs that player's machine twenty small messages a second in each direction."""


@attrs.frozen(kw_only=True)
class MatchPlayer:
    """One player of a match, as the service announces them to all.

    Attributes:
        player_id: the player's first seat, in the order of the room's seat list.
        client: the software that the player runs by their own account (``"gym_p2p/0.1.0"``), or ``None``.
    """

    player_id: SeatId = attrs.field(validator=check_seat)
    subject_id: Text
    seats: tuple[SeatId, ...] = attrs.field(validator=check_seats)
    client: Text | None

    def __attrs_post_init__(self) -> None:
        if not self.seats or self.seats[0] != self.player_id:
            raise ValueError("player_id: wanted the first of the seats")


@attrs.frozen(kw_only=True)
class JoinAck:
    """The service's answer to joining a room.

    Attributes:
        seats_taken: the seats that this player now holds.
        seats_free: the seats that still wait for someone; empty when the match is made.
    """

    room: Text
    player_id: SeatId = attrs.field(validator=check_seat)
    seats_taken: tuple[SeatId, ...] = attrs.field(validator=check_seats)
    seats_free: tuple[SeatId, ...] = attrs.field(validator=check_seats)


@attrs.frozen(kw_only=True)
class IceServers:
    """The service's answer to who makes another connection within a match: as in :class:`MatchFound`."""

    ice_servers: tuple[IceServer, ...]


@attrs.frozen(kw_only=True)
class RoomStatus:
    """Sent to everyone who waits in a room whenever somebody comes or goes."""

    event: ClassVar[str] = "room_status"

    room: Text
    seats_free: tuple[SeatId, ...] = attrs.field(validator=check_seats)


@attrs.frozen(kw_only=True)
class TurnedAway:
    """Sent to those who wait: somebody wanted to join them and was refused, for a reason that they may know.

    Attributes:
        place: where, as ``room`` or ``queue`` with its name.
        code: of the refusal.
        message: what was wrong, in words for those who wait.
    """

    event: ClassVar[str] = "turned_away"

    place: Text
    code: Text
    message: Text

    def __str__(self) -> str:
        return printable(f"somebody was turned away from {self.place} ({self.code}): {self.message}")


DISCONNECTED = "disconnected"
CUT_OFF = "cut_off"
TIMED_OUT = "timed_out"
"""How a socket went, in :attr:`PeerLeft.reason`."""


@attrs.frozen(kw_only=True)
class PeerLeft:
    """The service lost sight of a player of a running match.

    The players' own channel may well be alive: whether the match goes on is theirs to decide.

    Attributes:
        reason: ``left`` (by the player's own account), or how their socket went: :data:`DISCONNECTED` (they
            or the service closed it), :data:`CUT_OFF` (it was closed without a word, as it is when their
            process ends), or :data:`TIMED_OUT` (nothing came over it any more).
        why: what the player says who left, in words; ``None`` if nothing.
    """

    event: ClassVar[str] = "peer_left"

    match_id: Text
    player_id: SeatId = attrs.field(validator=check_seat)
    reason: Text
    why: str | None = None


@attrs.frozen(kw_only=True)
class PeerReturned:
    """The service sees a player of a running match again, of whom it had lost sight."""

    event: ClassVar[str] = "peer_returned"

    match_id: Text
    player_id: SeatId = attrs.field(validator=check_seat)


@attrs.frozen(kw_only=True)
class Replaced:
    """A newer socket of the same subject takes this one's place, which is closed."""

    event: ClassVar[str] = "replaced"

    subject_id: str


@attrs.frozen(kw_only=True)
class MatchSignal:
    """A connection signal of another player of the match, or between a player and a spectator.

    Attributes:
        type: ``offer``, ``answer`` or ``ice-candidate``.
        from_player_id: who sent it, by what the service knows.
        payload: W3C's ``RTCSessionDescriptionInit`` or ``RTCIceCandidateInit``; ``None`` is the end of
            candidates.
    """

    event: ClassVar[str] = "webrtc_signal"

    type: str
    from_player_id: SeatId = attrs.field(validator=check_seat)
    game_id: str
    payload: Mapping[str, Any] | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class MatchFound:
    """A match as one of its players learns of it.

    Attributes:
        players: everyone, this player included, in the order of the room's seat list.
        seed: the agreed seed, the same for all.
        token: what this player shows when uploading documents.
        queue: the queue that it came out of; ``None`` for a room.
        probe: what was measured before it; ``None`` for a room.
        made_at_ms: when it was made, in Unix milliseconds by the service's clock, the same for all; ``None``
            where an older service does not say.
        uploads: whether the service takes documents; where it does not, they stay with the players.
        relays: whether it passes messages on between players who have no better way to each other.
        match_token: what this player shows whenever they register, so that a service that knows nothing of
            the match any more takes it up again; ``None`` where it cannot.
    """

    event: ClassVar[str] = "match_found"

    match_id: Text
    room: Text
    player_id: SeatId = attrs.field(validator=check_seat)
    seats_taken: tuple[SeatId, ...] = attrs.field(validator=check_seats)
    players: tuple[MatchPlayer, ...]
    seed: Seed
    ice_servers: tuple[IceServer, ...]
    relay_only: bool
    token: Secret = attrs.field(converter=secret, repr=False)
    queue: Text | None = None
    probe: MatchProbe | None = None
    made_at_ms: int | None = None
    uploads: bool = True
    relays: bool = False
    match_token: Secret | None = attrs.field(default=None, converter=as_secret, repr=False)

    def __attrs_post_init__(self) -> None:
        everyone = [seat for player in self.players for seat in player.seats]
        if not 2 <= len(self.players) <= MAX_PLAYERS or len(set(everyone)) != len(everyone):
            raise ValueError(f"players: wanted 2 to {MAX_PLAYERS}, every seat once")
        if (self.player_id, self.seats_taken) not in {(p.player_id, p.seats) for p in self.players}:
            raise ValueError("seats_taken: wanted those of one of the players")
        if not self.token.reveal():
            raise ValueError("token: wanted a text")

    @property
    def peers(self) -> tuple[MatchPlayer, ...]:
        """Everyone else."""
        return tuple(player for player in self.players if player.player_id != self.player_id)
