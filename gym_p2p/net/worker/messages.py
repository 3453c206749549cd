"""What the two halves of a player say to each other beyond the match itself: the plan, and how it goes.

Values that may cross a pipe. The match's own commands and events are :mod:`gym_p2p.core.match.events`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.config import P2PConfig
from gym_p2p.core.api.queues import MatchProposed, QueueStatus, Verdict
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.core.api.spectators import WatchedMatch
from gym_p2p.core.latency.series import Poll
from gym_p2p.core.match.events import Command, Event
from gym_p2p.core.spectating.log import Shown
from gym_p2p.core.spectating.subscriber import FollowEvent
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import P2PError

__all__ = [
    "AnswerProposal",
    "Failed",
    "HasShown",
    "LinkOpened",
    "MatchMade",
    "News",
    "Order",
    "Plan",
    "Polled",
    "Proposed",
    "QueueNews",
    "Queued",
    "Seated",
    "ServiceSeen",
    "Stopped",
    "Telling",
    "Waiting",
    "WatchEnded",
    "WatchNews",
    "WatchPlan",
    "Watched",
]


@attrs.frozen(kw_only=True)
class Plan:
    """What the network half is to do.

    Attributes:
        seats: every seat of the environment, in its order.
        take: the seats of this player; ``None`` takes any free one.
        description: what both sides must agree on (``must``) and what they need not (``about``).
    """

    config: P2PConfig
    subject_id: str
    seats: tuple[SeatId, ...]
    take: tuple[SeatId, ...] | None
    description: Mapping[str, Any]
    asks: bool = False
    """Whether the user's half wants a say before a queue's match is made."""


@attrs.frozen
class AnswerProposal:
    """Command: what becomes of a proposed match, for this player's part."""

    proposal_id: str
    verdict: Verdict


@attrs.frozen(kw_only=True)
class WatchPlan:
    """What the network half of a spectator is to do.

    Attributes:
        seats: how many the environment has.
        match_id: the match; ``None`` is the one in the configuration's room.
    """

    config: P2PConfig
    subject_id: str
    seats: int
    match_id: str | None


@attrs.frozen
class HasShown:
    """Command: so many frames, of all that were told, are shown, or not wanted any more."""

    frames: int


Order = Command | AnswerProposal | Shown | HasShown


@attrs.frozen
class Queued:
    """The service gave this player a place in the queue."""

    queue: str
    waiting: int


@attrs.frozen
class QueueNews:
    """The place in the queue, when it has changed."""

    status: QueueStatus


@attrs.frozen
class Proposed:
    """The queue has found a match; only where the plan ``asks``."""

    match: MatchProposed


@attrs.frozen
class Seated:
    """The service gave this player these seats of the room."""

    seats: tuple[SeatId, ...]


@attrs.frozen
class Waiting:
    """Seats of the room that are still free."""

    seats_free: tuple[SeatId, ...]


@attrs.frozen
class ServiceSeen:
    """The line to the service has broken, or is up again."""

    up: bool


@attrs.frozen
class MatchMade:
    """The room is full, or the queue has found a match."""

    found: MatchFound


@attrs.frozen
class LinkOpened:
    """The channels to a player are open, this long after the match was found."""

    player: int
    waited_s: float


@attrs.frozen
class Polled:
    """One poll of the latency to a player."""

    player: int
    poll: Poll


@attrs.frozen
class Failed:
    """It went no further."""

    error: P2PError


@attrs.frozen
class Stopped:
    """Nothing runs any more; nothing will be told."""


@attrs.frozen
class Watched:
    """The service has named a player who shows the match; again, if another one has to."""

    match: WatchedMatch


@attrs.frozen
class WatchEnded:
    """Nobody shows the match any more.

    Attributes:
        reason: what the last player said who took his leave; ``source_lost`` if none did.
    """

    reason: str


WatchNews = Watched | FollowEvent | WatchEnded
"""What a spectator's network half tells."""
News = Queued | QueueNews | Proposed | Seated | Waiting | ServiceSeen | MatchMade
"""On the way to a match."""
Telling = Event | News | WatchNews | LinkOpened | Polled | Failed | Stopped
