"""What the user's half of a player learns from its network half: the events of the match.

The network half (:mod:`gym_p2p.core.match.match`, on the network's thread or process) carries out commands
(:mod:`gym_p2p.core.match.commands`) and emits events; the user's half gives commands and folds events. All
are frozen values of plain data, for they may cross a pipe. Players are indices into the match's list of
players; frames count from 0 in every episode, episodes from 1.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import msgspec

from gym_p2p.core.latency.clock import ClockEstimate
from gym_p2p.core.match.return_events import ReturnEvent
from gym_p2p.core.match.ways import DirectPathLost, Forwarding, WayChanged, WayKind

__all__ = [
    "EXCLUDED",
    "OUTCOME_BYTES",
    "ChecksumsAgreed",
    "Connected",
    "Desynced",
    "Difference",
    "Disagreement",
    "EpisodeBegan",
    "EpisodeRefused",
    "Event",
    "FramesAhead",
    "HandshakeMismatch",
    "InputsArrived",
    "Interrupted",
    "Left",
    "LimitChanged",
    "Pinged",
    "PlayerFinished",
    "PlayerGone",
    "ProtocolErrorSeen",
    "Resumed",
    "Source",
    "StateArrived",
]

Difference = tuple[str, str, str]
OUTCOME_BYTES = 8
"""The part of a digest that is over inputs and what the game gave out; what follows is over its state."""

EXCLUDED = "excluded"
"""The reason of a :class:`PlayerGone` who counts *us* as gone: the match goes on without us."""


class Source(enum.StrEnum):
    """Who says how a player came to be gone."""

    GOODBYE = "goodbye"
    """They themselves; others may have passed their sealed words on."""
    OBSERVATION = "observation"
    """This player's own network half."""
    PEER = "peer"
    """Another player."""
    SERVICE = "service"
    """The service, to which their line was closed, and nothing came from them any more."""


class Disagreement(enum.StrEnum):
    """In what two players' games differ."""

    OUTCOMES = "outcomes"
    """Inputs, observations, rewards or ends: they play different games."""
    STATE = "state"
    """Something inside, while all that was given out so far is the same."""


class Connected(msgspec.Struct, frozen=True):
    """All agree: ``about`` is what each stated beside, ``reconnect_s`` how long a broken path is rebuilt."""

    about: tuple[Mapping[str, Any] | None, ...]
    reconnect_s: float = 0.0


class HandshakeMismatch(msgspec.Struct, frozen=True):
    """A peer plays something else: ``(what, ours, theirs)``. The match is over."""

    player: int
    differences: tuple[Difference, ...]


class EpisodeBegan(msgspec.Struct, frozen=True):
    """Everybody passed the barrier with this seed, these options, and these input delays, one a player."""

    episode: int
    seed: int
    options: Mapping[str, Any]
    delays: tuple[int, ...] = ()


class EpisodeRefused(msgspec.Struct, frozen=True):
    """The players want different seeds or options; the barrier can be tried again."""

    player: int
    differences: tuple[Difference, ...]


class InputsArrived(msgspec.Struct, frozen=True):
    """New inputs of a remote player, from frame ``start`` on.

    Attributes:
        inputs: empty where only ``confirmed`` has moved.
        confirmed: the number of frames for which every present player holds every player's input.
        by_service: whether they came by the service.
        actors: who chose each (:class:`~gym_p2p.core.wire.acting.ActedBy`); empty: the player.
    """

    player: int
    start: int
    inputs: tuple[bytes, ...]
    confirmed: int
    by_service: bool = False
    actors: bytes = b""


class PlayerFinished(msgspec.Struct, frozen=True):
    """A player ended this episode after ``frames`` inputs, and waits for the next: no more will come.

    Before the first episode it means that they are ready for that.
    A second one with fewer follows if they are gone, and not all of those inputs are held by anybody.
    """

    player: int
    frames: int


class PlayerGone(msgspec.Struct, frozen=True):
    """A player left or was lost. A second one with fewer frames follows if nobody holds the promised inputs.

    Of a lost player it comes once everybody who is left has reported which of that player's inputs they hold,
    and shared those that only some hold; :class:`InputsArrived` brings them.

    It belongs to the last episode that they were ready for, after its :class:`EpisodeBegan`; none follows.

    Attributes:
        reason: a :class:`~gym_p2p.core.wire.messages.Cause`'s value: how this player came to be gone, or
            somebody whose loss made this player leave; or :data:`EXCLUDED`: they are there, and count us as
            gone.
        frames: how many inputs of theirs there will be in this episode; the same at everybody who is left.
        stated_reason: the reason in their goodbye, or for which they exclude us; ``None`` if they said none.
        lost: the player whose loss made them leave.
        source: who says so.
        via: the player who passed on the goodbye, or who says so; ``None`` where nobody stands between.
    """

    player: int
    reason: str
    frames: int
    stated_reason: str | None = None
    lost: int | None = None
    source: Source = Source.OBSERVATION
    via: int | None = None


class FramesAhead(msgspec.Struct, frozen=True):
    """By how many frames we are ahead of the peer who is the farthest behind, averaged; negative if behind.

    A few times a second, where frames are paced.
    """

    frames: float


class Interrupted(msgspec.Struct, frozen=True):
    """Nothing arrived from a player for the notice time, or their link was closed and may be replaced.

    Attributes:
        silent_s: for how long.
        limit_s: how long that may last; then they are lost.
        reconnects: whether a new link to them is wanted.
    """

    player: int
    silent_s: float
    limit_s: float
    reconnects: bool


class LimitChanged(msgspec.Struct, frozen=True):
    """Silence may last this long from now on: the service sees that player's line closed, or open again."""

    player: int
    limit_s: float


class Resumed(msgspec.Struct, frozen=True):
    """Something arrived from that player again, that way."""

    player: int
    silent_s: float
    over: WayKind = WayKind.DIRECT


class ChecksumsAgreed(msgspec.Struct, frozen=True):
    """All present players have the same digest of this frame."""

    episode: int
    frame: int


class Desynced(msgspec.Struct, frozen=True):
    """A player's digest differs from ours."""

    episode: int
    frame: int
    player: int
    ours: bytes
    theirs: bytes

    @property
    def of(self) -> Disagreement:
        """Of what the digests are that differ; outcomes come first, for they show in both."""
        same = self.ours[:OUTCOME_BYTES] == self.theirs[:OUTCOME_BYTES]
        return Disagreement.STATE if same else Disagreement.OUTCOMES


class StateArrived(msgspec.Struct, frozen=True):
    """A player's state after the first frame at which the digests differed, packed as given, or anything."""

    player: int
    episode: int
    frame: int
    data: bytes


class Pinged(msgspec.Struct, frozen=True):
    """A round trip over the game channel, and what is known of the player's clock."""

    player: int
    rtt_ms: float
    clock: ClockEstimate | None


class ProtocolErrorSeen(msgspec.Struct, frozen=True):
    """A player sent something that the protocol does not allow; it was dropped."""

    player: int
    problem: str
    total: int


class Left(msgspec.Struct, frozen=True):
    """The goodbye is complete."""


Event = (
    Connected
    | HandshakeMismatch
    | EpisodeBegan
    | EpisodeRefused
    | InputsArrived
    | PlayerFinished
    | PlayerGone
    | FramesAhead
    | Interrupted
    | LimitChanged
    | Resumed
    | WayChanged
    | DirectPathLost
    | Forwarding
    | ChecksumsAgreed
    | Desynced
    | StateArrived
    | Pinged
    | ProtocolErrorSeen
    | ReturnEvent
    | Left
)
