"""Who went and how, and for whom the match stood still: parts of the documents.

An instance is JSON-ready by ``msgspec``, and an attribute's docstring is the description of its key in the
schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from gym_p2p.core.latency.statistics import Count, Milliseconds
from gym_p2p.core.record.parts import DocumentPart
from gym_p2p.core.wire.seats import SeatId

__all__ = [
    "JUMPS_KEPT",
    "OUTAGES_KEPT",
    "PAUSES_KEPT",
    "REJOINS_KEPT",
    "ClockJump",
    "Departure",
    "Pause",
    "Rejoin",
    "ServiceOutage",
    "newest_departures",
]

PAUSES_KEPT = 1000
"""A player who holds the others up again and again must not fill their documents."""

OUTAGES_KEPT = 1000
"""A service that comes and goes must not fill them either."""


JUMPS_KEPT = 1000
"""Nor a clock that is set again and again."""
REJOINS_KEPT = 1000
"""Nor may a player whose process ends again and again."""


class Departure(DocumentPart, frozen=True, kw_only=True):
    """A player who is gone, and who says how that came about."""

    player_id: SeatId
    """The id of the player."""
    reason: str
    """How they came to be gone. peer_left: they said goodbye. peer_crashed: their process has ended.
    peer_lost: nothing arrived from them any more. peer_unresponsive: they were connected and did not play.
    peer_removed: what they sent broke the protocol too often. excluded: they are there, and count this player
    as gone. superseded: the same, as another process of this player's has taken the seat up again."""
    stated_reason: str | None
    """The reason in their goodbye, or for which they exclude this player; null if they said none."""
    source: Literal["goodbye", "observation", "peer", "service"]
    """Who says so: they themselves in a goodbye, this player's own observation, another player, or the
    service, which saw their line close."""
    source_player_id: SeatId | None
    """The id of the player who passed their goodbye on, or who says so; null where nobody stands between."""
    lost_player_id: SeatId | None
    """The id of the player whose loss they left for, by their own account; null without one."""
    frame: Count
    """How many frames of the episode that they were in they gave an input for."""
    timestamp: int
    """When this player learnt of it, in Unix milliseconds."""


class Pause(DocumentPart, frozen=True, kw_only=True):
    """A time in which the match stood still for want of somebody."""

    player_ids: list[SeatId]
    """The ids of the players who were waited for, as of the pause's end."""
    reason: Literal["input", "silent", "reset", "away"]
    """What was wanted. input: they were connected and did not play. silent: nothing arrived from them.
    reset: they had not begun the next episode. away: their process had ended, and another one could come."""
    frame: Count | None
    """The frame of the running episode; null before the first."""
    timestamp: int
    """When it began, in Unix milliseconds."""
    duration_ms: Milliseconds
    """How long it was, in milliseconds."""
    limit_ms: Milliseconds
    """How long it could have been, in milliseconds: whoever was waited for is given up then."""
    cause: Literal["frozen"] | None = None
    """Why, where that is known. frozen: a process of the player named, whose document this is, stood still
    (stopped, its machine asleep, or not let run); null: unknown."""


class Rejoin(DocumentPart, frozen=True, kw_only=True):
    """A player whose process ended, and who came back in another one; others may have acted meanwhile."""

    player_id: SeatId
    """The id of the player."""
    episode: Count
    """The episode that they came back to, as the players count them; 0 before the first."""
    episode_left: Count
    """The episode that they left, as the players count them."""
    frame_left: Count
    """The frame of it from which on they had given no input themselves."""
    frame_returned: Count
    """The frame, of the episode that they came back to, of the first input that they gave again."""
    frames_caught_up: Count
    """How many frames they played again, in all episodes."""
    away_ms: Milliseconds | None
    """For how long they were away for this player, in milliseconds; null for themselves, who cannot know."""
    catch_up_ms: Milliseconds | None
    """How long they took from asking for what was played to their seat, in milliseconds; null for the others,
    who cannot know."""
    timestamp: int
    """When they were back, in Unix milliseconds."""


class ServiceOutage(DocumentPart, frozen=True, kw_only=True):
    """A time in which the line to the service was broken; the match does not need it."""

    start: int
    """When that was noticed, in Unix milliseconds: 15 seconds after the service was gone, at most."""
    end: int | None
    """When it was up again, in Unix milliseconds; null where it was not before the end."""
    duration_ms: Milliseconds
    """How long it was, in milliseconds, by a clock that nobody sets; where it did not end, up to now."""


class ClockJump(DocumentPart, frozen=True, kw_only=True):
    """The machine's wall clock was set. Times in documents go on as they were, from when the match began."""

    timestamp: int
    """When that was seen, in Unix milliseconds of the documents' own clock."""
    jump_ms: float
    """By how much it was set, in milliseconds; negative: back."""


def newest_departures(departures: Iterable[Departure]) -> list[Departure]:
    """Return one for each player: what was learnt of them last, in the order in which they went."""
    return list({departure.player_id: departure for departure in departures}.values())
