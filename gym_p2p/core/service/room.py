"""One room: its seats, who has taken them, and the match that is played in it once none is free.

It knows the rules of taking seats. Who is notified of what is for
:mod:`gym_p2p.core.service.rooms` to decide.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from gym_p2p.config.public_ids import PUBLIC_ID, is_public_id
from gym_p2p.core.api.matches import spectators_problem
from gym_p2p.core.api.queues import MatchProbe
from gym_p2p.core.api.replies import Accepted, Code, Refused
from gym_p2p.core.api.requests import JoinRoom
from gym_p2p.core.api.rooms import MAX_PLAYERS, JoinAck
from gym_p2p.core.signaling.relay import Relay
from gym_p2p.core.wire.seats import MAX_SEATS, SeatId, is_seat_id

__all__ = ["Member", "Room", "join_problem", "joined"]

_MAX_CLIENT_CHARS = 64


@attrs.frozen(kw_only=True)
class Member:
    """Somebody with seats in a room.

    Attributes:
        seats: in the order of the room's seat list.
        client: the player's software, by their own account.
        probe: what was measured before the match; ``None`` unless it comes out of a queue.
        spectators: to how many the player shows the match.
    """

    subject_id: str
    seats: tuple[SeatId, ...]
    client: str | None
    probe: MatchProbe | None = None
    spectators: int = 0

    @property
    def player_id(self) -> SeatId:
        """Under which the others know the player: the first of the seats."""
        return self.seats[0]


@attrs.define(eq=False, kw_only=True)
class Room:
    """A room, waiting for players or with a match in it.

    Attributes:
        relay: of the members' signals.
        relay_only: no other way between the players than over a relay will do.
        members: by subject.
        away: by subject, who was a member of its match when their socket went, and may come back.
        match_id: of the match that runs in it; ``None`` while it waits.
        queue: out of which its match came.
    """

    room_id: str
    seats: tuple[SeatId, ...]
    relay: Relay
    relay_only: bool
    members: dict[str, Member] = attrs.field(factory=dict)
    away: dict[str, Member] = attrs.field(factory=dict)
    match_id: str | None = None
    queue: str | None = None

    @property
    def seats_free(self) -> tuple[SeatId, ...]:
        """The seats that nobody has taken."""
        taken = {seat for member in self.members.values() for seat in member.seats}
        return tuple(seat for seat in self.seats if seat not in taken)

    @property
    def in_order(self) -> list[Member]:
        """The members in the order of the seats."""
        return sorted(self.members.values(), key=lambda member: self.seats.index(member.player_id))

    def member_on(self, player_id: SeatId) -> Member | None:
        """Return the member whom the others know under this id."""
        for member in self.members.values():
            if member.player_id == player_id:
                return member
        return None

    def repeats(self, member: Member, request: JoinRoom) -> bool:
        """Return whether a member who waits requests the seats that they have."""
        same = request.take is None or set(request.take) == set(member.seats)
        return self.match_id is None and self.room_id == request.room and same

    def choose(self, take: Sequence[SeatId] | None) -> tuple[SeatId, ...] | Refused:
        """Return the seats that a newcomer gets, in seat-list order."""
        free = self.seats_free
        if self.match_id is not None or not free:
            return Refused(Code.ROOM_FULL, self._match_in_words(free))
        wanted = free[:1] if take is None else tuple(seat for seat in self.seats if seat in take)
        if take is not None and (not wanted or len(wanted) != len(take)):
            return Refused(Code.BAD_REQUEST, f"cannot take {list(take)}: the seats are {list(self.seats)}")
        taken = [seat for seat in wanted if seat not in free]
        if taken:
            message = f"taken already in room {self.room_id!r}: {taken}; still free: {list(free)}"
            return Refused(Code.SEAT_TAKEN, message)
        return self._within_player_count(wanted, completes=len(wanted) == len(free))

    def _match_in_words(self, free: tuple[SeatId, ...]) -> str:
        """Say what runs here, and what to do about it; ``free`` are the seats of who is away."""
        told = f"room {self.room_id!r} is full: a match runs in it"
        if not free:
            return f"{told}; join when it is over, or another room"
        left = ", ".join(map(repr, free))
        return (
            f"{told}, and {left} is kept for who played there: as long as the others wait, they come back by "
            "starting the same program again without --no-rejoin (rejoin=False); or join another room"
        )

    def _within_player_count(
        self, wanted: tuple[SeatId, ...], *, completes: bool
    ) -> tuple[SeatId, ...] | Refused:
        """Keep a match at 2 to ``MAX_PLAYERS`` players: the first leaves a seat, the last takes them all."""
        if completes and not self.members:
            return Refused(Code.BAD_REQUEST, "leave a seat to another player: a match has at least 2")
        if not completes and len(self.members) == MAX_PLAYERS - 1:
            message = f"a match has at most {MAX_PLAYERS} players: the last one takes {list(self.seats_free)}"
            return Refused(Code.ROOM_FULL, message)
        return wanted


def joined(room: Room, subject_id: str) -> Accepted:
    """Return the answer to a member who has joined."""
    member = room.members[subject_id]
    return Accepted(
        JoinAck(
            room=room.room_id,
            player_id=member.player_id,
            seats_taken=member.seats,
            seats_free=room.seats_free,
        )
    )


def join_problem(request: JoinRoom) -> str | None:
    """Say what is wrong with a join, whatever the room; ``None`` if nothing is."""
    seats, take, client = request.seats, request.take, request.client
    if not is_public_id(request.room):
        return f"room: wanted {PUBLIC_ID}"
    if not 2 <= len(seats) <= MAX_SEATS or not all(map(is_seat_id, seats)):
        return f"seats: wanted 2 to {MAX_SEATS} seat ids, each a whole number or a printable text"
    if len(set(seats)) != len(seats):
        return "seats: the same seat is listed twice"
    if take is not None and not (take and all(map(is_seat_id, take)) and len(set(take)) == len(take)):
        return "take: wanted null, or a list of different seat ids"
    if client is not None and not (0 < len(client) <= _MAX_CLIENT_CHARS and client.isprintable()):
        return f"client: wanted 1 to {_MAX_CLIENT_CHARS} printable characters"
    return spectators_problem(request.spectators)
