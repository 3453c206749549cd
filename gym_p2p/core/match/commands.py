"""What the user's half of a player asks of its network half, down to the match.

Values as :mod:`gym_p2p.core.match.events` are, which come up from the match.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gym_p2p.core.wire.acting import ActedBy
from gym_p2p.core.wire.messages import Cause

__all__ = [
    "BeginEpisode",
    "Command",
    "GiveChecksum",
    "GiveFor",
    "GiveInput",
    "GiveState",
    "GiveUp",
    "LearnMore",
    "Leave",
    "LineClosed",
    "LineOpened",
    "SetInputDelay",
    "TakeSeat",
]


class BeginEpisode(msgspec.Struct, frozen=True):
    """Wait at the barrier before the next episode.

    Attributes:
        input_delay: the local player's, as the episode begins.
    """

    seed: int | None = None
    options: Mapping[str, Any] | None = None
    input_delay: int = 0


class GiveInput(msgspec.Struct, frozen=True):
    """The local player's input of a frame; frames come in order from 0, repeats are ignored."""

    frame: int
    data: bytes


class SetInputDelay(msgspec.Struct, frozen=True):
    """The local player's input delay changed: inputs given from now on take effect so many frames later."""

    frames: int


class GiveChecksum(msgspec.Struct, frozen=True):
    """The local digest up to and including a confirmed frame.

    Attributes:
        digest: :data:`OUTCOME_BYTES` over what the game gave out; more over states, where those are compared.
        episode: the one that it is of; ``None`` for the running one.
    """

    frame: int
    digest: bytes
    episode: int | None = None


class GiveState(msgspec.Struct, frozen=True):
    """The local state after a frame at which a player's digest differs, packed; it goes to them alone."""

    player: int
    episode: int
    frame: int
    data: bytes


class GiveUp(msgspec.Struct, frozen=True):
    """Count a player as gone who does not do their part, though they were waited for long enough.

    Attributes:
        excusable: whether that waits where they may be held up by another one, whose inputs they lack.
    """

    player: int
    excusable: bool = False


class LineClosed(msgspec.Struct, frozen=True):
    """The service says that a player's line to it was closed, as it is when their process ends.

    By itself it changes nothing; it says what became of a player from whom nothing arrives any more.

    Attributes:
        cut_off: whether it was closed without a word.
    """

    player: int
    cut_off: bool


class LineOpened(msgspec.Struct, frozen=True):
    """Something came from a player through the service: they have a line to it."""

    player: int


class TakeSeat(msgspec.Struct, frozen=True):
    """Play on: what was played meanwhile was played again here, so many frames in all.

    :class:`SeatTaken` follows, or :class:`ReturnFailed`.
    """

    caught_up: int


class LearnMore(msgspec.Struct, frozen=True):
    """Ask for what was played meanwhile, after :class:`PastSoFar`: that was played again here.

    Attributes:
        claims: whether nobody acts for this player from then on: :class:`PastComplete` follows then, and else
            :class:`PastSoFar` again.
    """

    claims: bool


class GiveFor(msgspec.Struct, frozen=True):
    """The input of a frame of a player who is away, where :class:`ActFor` asks for it.

    One that is not the player's next, or not asked for any more, is ignored.

    Attributes:
        player: whose it is.
        episode: the running one.
        frame: theirs in order.
        data: the input.
        actor: who chose it.
    """

    player: int
    episode: int
    frame: int
    data: bytes
    actor: ActedBy


class Leave(msgspec.Struct, frozen=True):
    """Say goodbye; :class:`Left` follows once everybody has what they need, or after a second.

    Attributes:
        reason: why, in the exports' words.
        lost: the player whose loss it is for; ``None`` without one.
        cause: how the lost player came to be gone, or the local one: who has crashed, and may come back,
            goes without a word.
    """

    reason: str
    lost: int | None = None
    cause: Cause = Cause.LEFT


Command = (
    BeginEpisode
    | GiveInput
    | SetInputDelay
    | GiveChecksum
    | GiveState
    | GiveUp
    | LineClosed
    | LineOpened
    | TakeSeat
    | LearnMore
    | GiveFor
    | Leave
)
