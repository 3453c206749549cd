"""The events of the match about players whose process ends, and who come back.

A part of :mod:`gym_p2p.core.match.events`; values of plain data, for they may cross a pipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gym_p2p.core.wire.messages import Cause

__all__ = [
    "SUPERSEDED",
    "ActFor",
    "CanReturn",
    "PastComplete",
    "PastEpisode",
    "PastSoFar",
    "PlayerAway",
    "PlayerReturned",
    "ReturnEvent",
    "ReturnFailed",
    "SeatTaken",
]


SUPERSEDED = "superseded"
"""The reason of a ``PlayerGone`` who counts *us* as gone, for another process of ours has taken our place."""


# Events at those who are there.


class CanReturn(msgspec.Struct, frozen=True):
    """From now on a process of this player's that ends may be followed by another one.

    Attributes:
        limit_s: within so much time, as all players agreed.
        keys: what the other players are known by, by index; nobody else may see them.
    """

    limit_s: float
    keys: Mapping[int, bytes]


class PlayerAway(msgspec.Struct, frozen=True):
    """A player's process has ended, or nothing arrives from it any more; they are waited for.

    :class:`PlayerReturned` follows, or a ``PlayerGone``, or a ``Resumed`` if it was the path after all.

    Attributes:
        cause: how it seems to have come about.
        limit_s: how long they are waited for from now on.
    """

    player: int
    cause: Cause
    limit_s: float


class ActFor(msgspec.Struct, frozen=True):
    """The inputs of a player who is away are to be given here (:class:`GiveFor`), from their next one on.

    Attributes:
        acts: whether they are; ``False`` takes it back.
    """

    player: int
    acts: bool


class PlayerReturned(msgspec.Struct, frozen=True):
    """A player who was away plays on, in a new process that has caught up.

    Attributes:
        episode: the one that they are in; 0 before the first.
        frame: of their next input.
        caught_up: how many frames they played again, in all episodes.
        away_s: for how long they were away: since the process before was heard of last.
        left_at: the episode, and the frame of it, from which on they gave no input themselves.
    """

    player: int
    episode: int
    frame: int
    caught_up: int
    away_s: float
    left_at: tuple[int, int]


# Events at who comes back.


class PastEpisode(msgspec.Struct, frozen=True):
    """An episode that was played, or is being played, as far as the others know it.

    Of one that was told before there is what is new.

    Attributes:
        episode: from 1; those that nobody began are left out.
        start: of each player, the frame of the first input.
        inputs: of each player, from there on.
        actors: of each player, who chose each (:class:`~gym_p2p.core.wire.acting.ActedBy`); empty: they.
        frames: how many inputs the player with the fewest gave, who went on to the next one; ``None`` of the
            running episode.
        left_first: whether that was this player.
    """

    episode: int
    seed: int
    options: Mapping[str, Any]
    delays: tuple[int, ...]
    start: tuple[int, ...]
    inputs: tuple[tuple[bytes, ...], ...]
    actors: tuple[bytes, ...]
    frames: int | None
    left_first: bool


class PastSoFar(msgspec.Struct, frozen=True):
    """All that everybody holds by now is known: :class:`PastEpisode` came of it. The others play on.

    :class:`LearnMore` is to follow.
    """


class PastComplete(msgspec.Struct, frozen=True):
    """All that was played is known: :class:`PastEpisode` came of every episode. Nobody plays on.

    Attributes:
        episode: the running one; 0 before the first.
        waits: whether this player has gone on to the next one, and waits for that.
    """

    episode: int
    waits: bool


class SeatTaken(msgspec.Struct, frozen=True):
    """The others know that this player is back.

    Attributes:
        left_at: the episode, and the frame of it, from which on they had given no input themselves.
    """

    episode: int
    frame: int
    left_at: tuple[int, int]


class ReturnFailed(msgspec.Struct, frozen=True):
    """There is no way back, and why, in words."""

    why: str


ReturnEvent = (
    CanReturn
    | PlayerAway
    | ActFor
    | PlayerReturned
    | PastEpisode
    | PastSoFar
    | PastComplete
    | SeatTaken
    | ReturnFailed
)
