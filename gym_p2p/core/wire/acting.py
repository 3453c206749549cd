"""What is said between those who are there while one of them gives the inputs of a player who is away.

A part of :mod:`gym_p2p.core.wire.messages`, whose layout and codec these messages share; the inputs
themselves are there. Knows bytes and limits; refuses to know who may say what
(:mod:`gym_p2p.core.match.keeping`).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Annotated

import msgspec

from gym_p2p.core.wire.codec import Count, PlayerIndex, WireMessage
from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES
from gym_p2p.errors import ProtocolError

__all__ = ["ActedBy", "ActingMessage", "Keep", "Kept", "ReadyFor", "check_actors"]


class ActedBy(enum.IntEnum):
    """Who chose an input: its byte among the ``actors`` of inputs, which are empty where all are 0."""

    PLAYER = 0
    DEFAULT = 1
    """Nobody: it is the default actions of the player's seats."""
    STAND_IN = 2


def check_actors(actors: bytes, inputs: Sequence[object]) -> None:
    """Check that the actors are those of so many inputs.

    Raises:
        ProtocolError: they are not.
    """
    if actors and (len(actors) != len(inputs) or max(actors) > max(ActedBy)):
        raise ProtocolError("wrong shape")


class Keep(WireMessage, tag=0x16, frozen=True):
    """The sender is to give the inputs of a player who is away: may they?

    Attributes:
        player: who is away.
        incarnation: the newest process of theirs that the sender knows, which is over for them.
        commits: whether it is to be over for the recipient as well; else it is only asked whether that
            player is away for them.
    """

    player: PlayerIndex
    incarnation: Count
    commits: bool


class Kept(WireMessage, tag=0x17, frozen=True):
    """Answers a :class:`Keep`, with yes. Of one that commits all that the sender holds was sent before.

    Attributes:
        player: who is away.
        incarnation: the newest process of theirs that the sender knows.
        commits: as it was asked.
        episode: the one that the sender is in.
        held: how many of the player's inputs they hold in it.
    """

    player: PlayerIndex
    incarnation: Count
    commits: bool
    episode: Count
    held: Count


class ReadyFor(WireMessage, tag=0x19, frozen=True):
    """The word at a barrier of a player who is away.

    Attributes:
        player: whose it is.
        message: a :class:`~gym_p2p.core.wire.messages.Ready` without seed and options, encoded.
    """

    player: PlayerIndex
    message: Annotated[bytes, msgspec.Meta(max_length=MAX_CTRL_BYTES)]


ActingMessage = Keep | Kept | ReadyFor
