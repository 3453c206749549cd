"""What a player shows of a running match to a service that knows nothing of it.

A service keeps no match on a disk: whoever plays it holds what there is to know, in claims that the service
has signed itself. So one that was restarted, or to which all players of a match had lost their lines at the
same time, learns of the match from its players, each for themselves, and holds nothing for those who never
come back. What it knows by them it knew before; nobody can claim a seat that they were not given, nor for
another subject.
"""

from __future__ import annotations

from typing import Protocol

import attrs

from gym_p2p.core.service.room import Member, Room
from gym_p2p.core.wire.seats import SeatId

__all__ = ["MatchClaims", "MatchTokens", "NoMatchTokens", "claims_of", "member_of"]


@attrs.frozen(kw_only=True)
class MatchClaims:
    """One player's place in a match.

    Attributes:
        room: where it is played.
        queue: out of which it came; ``None`` for a room's own.
        seats: every seat of the match, in order.
        taken: which of them are the player's, by their indices.
        subject_id: who the player is.
        client: their software, by their own account.
        spectators: to how many they show it.
    """

    match_id: str
    room: str
    queue: str | None
    seats: tuple[SeatId, ...]
    taken: tuple[int, ...]
    subject_id: str
    client: str | None
    spectators: int
    relay_only: bool


class MatchTokens(Protocol):
    """Signs such claims, and reads them back."""

    def issue(self, claims: MatchClaims, /) -> str | None:
        """Return them signed; ``None`` where they are too long to be shown."""

    def read(self, token: str, /) -> MatchClaims | None:
        """Return what a token says; ``None`` if it is not one of ours, or has expired."""


class NoMatchTokens:
    """Those of a service that takes no match up again."""

    def issue(self, _claims: MatchClaims, /) -> str | None:
        """Return none."""
        return None

    def read(self, _token: str, /) -> MatchClaims | None:
        """Know none."""
        return None


def claims_of(room: Room, member: Member) -> MatchClaims:
    """Return what a member of a running match can claim."""
    return MatchClaims(
        match_id=str(room.match_id),
        room=room.room_id,
        queue=room.queue,
        seats=room.seats,
        taken=tuple(map(room.seats.index, member.seats)),
        subject_id=member.subject_id,
        client=member.client,
        spectators=member.spectators,
        relay_only=room.relay_only,
    )


def member_of(claims: MatchClaims) -> Member:
    """Return the member whose claims these are."""
    return Member(
        subject_id=claims.subject_id,
        seats=tuple(claims.seats[index] for index in claims.taken),
        client=claims.client,
        spectators=claims.spectators,
    )
