"""What the two halves of a player or a spectator exchange beyond the match itself: plans, commands, events.

Values that may cross a pipe. The match's own are :mod:`gym_p2p.core.match.commands` and
:mod:`gym_p2p.core.match.events`; what the service says on the way to a match goes on as it came, as the
values of :mod:`gym_p2p.core.api`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self

import attrs

from gym_p2p.config import P2PConfig, Secret
from gym_p2p.core.api.queues import MatchProposed, QueueAck, QueueStatus, Verdict
from gym_p2p.core.api.rooms import JoinAck, MatchFound, RoomStatus, TurnedAway
from gym_p2p.core.api.spectators import WatchedMatch
from gym_p2p.core.latency.series import Poll
from gym_p2p.core.match.catching_up import Comeback
from gym_p2p.core.match.commands import Command
from gym_p2p.core.match.events import Event
from gym_p2p.core.match.seals import SECRET_BYTES
from gym_p2p.core.spectating.log import Told
from gym_p2p.core.spectating.subscriber import SubscriberEvent
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import P2PError

__all__ = [
    "AfterOwner",
    "Emit",
    "JoinEvent",
    "LinkOpened",
    "PathBroken",
    "PathRebuilt",
    "PathTried",
    "PlayerPlan",
    "Polled",
    "ReleaseFrames",
    "Resumable",
    "ReturnPlan",
    "ServiceReachable",
    "SpectatorPlan",
    "StampedEvent",
    "StoodStill",
    "Surroundings",
    "Vote",
    "WatchEnded",
    "WatchEvent",
    "WorkerCommand",
    "WorkerEvent",
    "WorkerFailed",
    "WorkerStopped",
]


# Plans: what the network half is to do.


@attrs.frozen
class Surroundings:
    """What the user's process has by the time of a match, which its network process takes on.

    Attributes:
        environment: its variables.
        directory: where it works; ``None`` where that was deleted.
    """

    environment: Mapping[str, str]
    directory: str | None

    @classmethod
    def of_this_process(cls) -> Self:
        """Return this process's."""
        try:
            directory: str | None = os.getcwd()  # noqa: PTH109 - a name, as it is
        except FileNotFoundError:
            directory = None
        return cls(dict(os.environ), directory)

    def take_on(self) -> None:
        """Have them here, too."""
        if self.environment != dict(os.environ):
            os.environ.clear()
            os.environ.update(self.environment)
        if self.directory is not None:
            with contextlib.suppress(OSError):  # deleted meanwhile
                os.chdir(self.directory)


@attrs.frozen(kw_only=True)
class ReturnPlan:
    """The match that a player comes back to, whose process before this one ended.

    Attributes:
        found: as it was announced then.
        comeback: what this process has of the one before.
        resume_token: for the service, which may take that one to be there yet; ``None`` where it gave none.
    """

    found: MatchFound
    comeback: Comeback
    resume_token: Secret | None = None


@attrs.frozen(kw_only=True)
class PlayerPlan:
    """A player's match.

    Attributes:
        seats: every seat of the environment, in its order.
        take: the seats of this player; ``None`` takes any free one.
        description: what both sides must agree on (``must``) and what they need not (``about``).
        votes: whether the user's half votes on a queue's match before it is made.
        page_rtt_ms: the round trip to the page of the person who plays; ``None`` without one.
        secret: what this player is known by to the others comes from it.
        returns: where a match is taken up again; ``None`` where one is looked for.
    """

    config: P2PConfig
    subject_id: str
    seats: tuple[SeatId, ...]
    take: tuple[SeatId, ...] | None
    description: Mapping[str, Any]
    votes: bool = False
    page_rtt_ms: float | None = None
    secret: bytes = attrs.field(factory=partial(secrets.token_bytes, SECRET_BYTES), repr=False)
    returns: ReturnPlan | None = None


@attrs.frozen(kw_only=True)
class SpectatorPlan:
    """A match to watch.

    Attributes:
        seats: how many the environment has.
        match_id: the match; ``None`` is the one in the configuration's room.
    """

    config: P2PConfig
    subject_id: str
    seats: int
    match_id: str | None


# Commands.


@attrs.frozen
class Vote:
    """What becomes of a proposed match, for this player's part."""

    proposal_id: str
    verdict: Verdict


@attrs.frozen
class ReleaseFrames:
    """So many frames, of all that were received, are shown, or not wanted any more."""

    frames: int


@attrs.frozen
class AfterOwner:
    """What runs should the user's process end without saying so, once the others have been told.

    Attributes:
        command: of a program that ends by itself, and soon.
    """

    command: tuple[str, ...]


WorkerCommand = Command | Vote | Told | ReleaseFrames


# Events.


@attrs.frozen
class ServiceReachable:
    """The line to the service has broken, or is up again.

    Attributes:
        away_s: for how long it was broken by then; ``None`` is unknown.
    """

    up: bool
    away_s: float | None = None


@attrs.frozen
class Resumable:
    """What lets another process of this player's take its place at the service; ``None``: nothing has to."""

    token: Secret | None


@attrs.frozen
class LinkOpened:
    """The channels to a player are open, this long after the match was found."""

    player: int
    waited_s: float


@attrs.frozen
class PathBroken:
    """Nothing arrives from a player: the states of their connection, in W3C's words."""

    player: int
    ice_state: str
    dc_state: str


@attrs.frozen
class PathTried:
    """So many new connections to a player were tried in vain; how it ended follows."""

    player: int
    attempts: int


@attrs.frozen
class PathRebuilt:
    """The match goes on with a player over a new connection.

    Attributes:
        attempts: how many were tried since the path broke.
        local_candidate_type: of the new one, in W3C's words; ``None`` is unknown.
        remote_candidate_type: the same.
    """

    player: int
    attempts: int
    local_candidate_type: str | None
    remote_candidate_type: str | None


@attrs.frozen
class Polled:
    """One poll of the latency to a player."""

    player: int
    poll: Poll


@attrs.frozen
class StoodStill:
    """The network half's process stood still for so long, until now."""

    lasted_s: float


@attrs.frozen
class WorkerFailed:
    """It went no further."""

    error: P2PError


@attrs.frozen
class WorkerStopped:
    """Nothing runs any more; no event follows."""


@attrs.frozen
class WatchEnded:
    """Nobody shows the match any more.

    Attributes:
        reason: of the last farewell; ``source_lost`` if there was none.
    """

    reason: str


JoinEvent = (
    JoinAck
    | RoomStatus
    | TurnedAway
    | QueueAck
    | QueueStatus
    | MatchProposed
    | MatchFound
    | ServiceReachable
    | Resumable
)
"""On the way to a match; the service may also come and go during it."""
WatchEvent = WatchedMatch | SubscriberEvent | WatchEnded
"""Of a spectator's network half; a ``WatchedMatch`` again where another player has to show the match."""
WorkerEvent = (
    Event
    | JoinEvent
    | WatchEvent
    | LinkOpened
    | PathBroken
    | PathRebuilt
    | PathTried
    | Polled
    | StoodStill
    | WorkerFailed
    | WorkerStopped
)
StampedEvent = tuple[int, WorkerEvent]
"""The Unix time in milliseconds, and what happened."""
Emit = Callable[[StampedEvent], object]
