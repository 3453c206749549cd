"""What rooms and queues both know of the players of a match: tickets, seats, histories and their limits.

It knows no state.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import attrs

from gym_p2p.config.public_ids import PUBLIC_ID, is_public_id
from gym_p2p.core.api.payloads import MAX_RTT_MS
from gym_p2p.core.api.queues import MatchProbe
from gym_p2p.core.api.rooms import MAX_PLAYERS, MAX_SPECTATORS
from gym_p2p.core.wire.seats import SeatId, is_seat_id

__all__ = ["GroupHistory", "MakeMatch", "QueueTicket", "QueuedPlayer", "spectators_problem"]


_MAX_PARTNERS = 64
"""Of the former partners, the most recent ones count."""
_MAX_DIGEST_CHARS = 64


@attrs.frozen(kw_only=True)
class QueueTicket:
    """A match wanted with whoever is near: what a player brings along on joining a queue.

    Attributes:
        queue: which one; who names the same one is matched there.
        seats: every seat of the environment, in its order: the first in a queue fixes them for the others.
        take: the seat that is wanted; ``None`` takes any.
        client: the player's software, by their own account.
        asks: whether the player votes on a match before it is made.
        rtt_ms: the player's round trip to the service; ``None`` if unknown.
        previous_partners: the most recent last; where there are none and no group, it goes by what the
            service remembers.
        group_id: of the group that these are; ``None`` if it has none.
        plays: a digest of what both sides of a match must agree on; ``None`` if unknown.
        spectators: to how many the player shows the match.
        page_rtt_ms: the round trip between the player's process and their page; ``None`` without one.
    """

    event: ClassVar[str] = "join_queue"

    queue: str
    seats: tuple[SeatId, ...]
    take: SeatId | None = None
    client: str | None = None
    asks: bool = False
    rtt_ms: float | None = None
    previous_partners: tuple[str, ...] = ()
    group_id: str | None = None
    plays: str | None = None
    spectators: int = 0
    page_rtt_ms: float | None = None

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "previous_partners", self.previous_partners[-_MAX_PARTNERS:])
        object.__setattr__(self, "plays", self.plays and self.plays[:_MAX_DIGEST_CHARS])

    @property
    def group_history(self) -> GroupHistory | None:
        """The former partners, and their group; ``None`` without any."""
        if not self.previous_partners and self.group_id is None:
            return None
        return GroupHistory(self.previous_partners, group_id=self.group_id)

    @property
    def problem(self) -> str | None:
        """What is wrong with it, or ``None``."""
        if not is_public_id(self.queue):
            return f"queue: wanted {PUBLIC_ID}"
        if not 2 <= len(self.seats) <= MAX_PLAYERS or not all(map(is_seat_id, self.seats)):
            return f"seats: wanted 2 to {MAX_PLAYERS} seat ids: a queue puts one player on each"
        if len(set(self.seats)) != len(self.seats):
            return "seats: the same seat is listed twice"
        if self.take is not None and self.take not in self.seats:
            return f"take: wanted null, or one of {list(self.seats)}"
        for name in ("rtt_ms", "page_rtt_ms"):
            if (rtt_ms := getattr(self, name)) is not None and not 0 <= rtt_ms <= MAX_RTT_MS:
                return f"{name}: wanted null, or 0 to {MAX_RTT_MS:g}"
        return spectators_problem(self.spectators)


def spectators_problem(spectators: int) -> str | None:
    """Return what is wrong with the number of spectators that somebody offers to have, or ``None``."""
    return None if 0 <= spectators <= MAX_SPECTATORS else f"spectators: wanted 0 to {MAX_SPECTATORS}"


@attrs.frozen
class QueuedPlayer:
    """One player of a match, with their seat and what is known of their wait."""

    subject_id: str
    seat: SeatId
    ticket: QueueTicket
    probe: MatchProbe


@attrs.frozen
class MakeMatch:
    """Request: make this match; call ``Queues.not_made`` if somebody is gone.

    Attributes:
        queue: which one.
        seats: every seat.
        players: one for each seat, in the order of the seats.
        relay_only: the way that was measured leads over a relay.
    """

    queue: str
    seats: tuple[SeatId, ...]
    players: tuple[QueuedPlayer, ...]
    relay_only: bool


def _names(value: Iterable[str]) -> list[str]:
    return list(value)


@attrs.frozen
class GroupHistory:
    """With whom a subject has played.

    Attributes:
        previous_partners: their subject ids, the most recent last.
        source_scene_id: where that group was formed; ``None`` if unknown.
        group_id: the group's own id; ``None`` if it has none.
    """

    previous_partners: list[str] = attrs.field(converter=_names)
    source_scene_id: str | None = None
    group_id: str | None = None
