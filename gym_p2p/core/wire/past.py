"""What a player who comes back in a new process asks the others for, and gets: what was played meanwhile.

A part of :mod:`gym_p2p.core.wire.messages`, whose layout and codec these messages share. Knows bytes and
limits; refuses to know who may come back (:mod:`gym_p2p.core.match.returning`) and what they make of it
(:mod:`gym_p2p.core.match.catching_up`).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from gym_p2p.core.wire.acting import check_actors
from gym_p2p.core.wire.codec import Count, Digest, PlayerIndex, WireMessage
from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES
from gym_p2p.core.wire.seats import MAX_SEATS
from gym_p2p.errors import ProtocolError

__all__ = ["ACTORS_MOST", "PAST_BYTES", "Past", "PastMessage", "PastWord", "Recall", "TookSeat"]

PAST_BYTES = 48 * 1024
"""Of inputs and digests in one :class:`Past`: with their heads it is less than a control message may be."""

ACTORS_MOST = 1024
"""In a :class:`TookSeat`: far more than a player can be behind who plays
(:data:`~gym_p2p.core.match.claims.AHEAD_MOST`)."""

_Counts = Annotated[tuple[Count, ...], msgspec.Meta(max_length=MAX_SEATS)]


class Recall(WireMessage, tag=0x0E, frozen=True):
    """The sender has come back with nothing, and asks for what they lack of an episode.

    Attributes:
        episode: from 1.
        held: how many inputs of every player the sender holds by now.
        digests: how many of the recipient's digests.
        claims: whether the sender takes the seat with what they get, and nobody may act for them from then
            on; else they look on, and want what everybody holds.
    """

    episode: Count
    held: _Counts
    digests: Count
    claims: bool


class PastWord(WireMessage, tag=0x0F, frozen=True):
    """A player's word at a barrier, for who has come back; before the :class:`Past` that it belongs to.

    Attributes:
        player: whose it is, perhaps the recipient's own.
        message: their :class:`~gym_p2p.core.wire.messages.Ready`, encoded.
    """

    player: PlayerIndex
    message: Annotated[bytes, msgspec.Meta(max_length=MAX_CTRL_BYTES)]


class Past(WireMessage, tag=0x14, frozen=True):
    """Answers a :class:`Recall`, after the :class:`PastWord` that belong to it.

    Attributes:
        episode: the one that was asked for.
        newest: the one that the sender is in; 0 before the first.
        returning: whether the sender has come back themselves, and does not know it all yet.
        away: who is gone or away for the sender.
        held: how many inputs of every player the sender holds of that episode.
        start: the frame of the first input of each player.
        inputs: of each player, those that the recipient lacks, as many as fit.
        actors: of each player, who chose each of those (:class:`~gym_p2p.core.wire.acting.ActedBy`); empty:
            they themselves all of them.
        digests: frames and the sender's digests of them, from the first that the recipient lacks on.
        digest_count: how many of those there are.
        more: whether another one follows, of the next episode, without being asked for.
    """

    episode: Count
    newest: Count
    returning: bool
    away: Annotated[tuple[PlayerIndex, ...], msgspec.Meta(max_length=MAX_SEATS)]
    held: _Counts
    start: _Counts
    inputs: Annotated[tuple[tuple[bytes, ...], ...], msgspec.Meta(max_length=MAX_SEATS)]
    actors: Annotated[tuple[bytes, ...], msgspec.Meta(max_length=MAX_SEATS)]
    digests: tuple[tuple[Count, Digest], ...]
    digest_count: Count
    more: bool

    def __post_init__(self) -> None:
        if not len(self.held) == len(self.start) == len(self.inputs) == len(self.actors):
            raise ProtocolError("wrong shape")
        for actors, inputs in zip(self.actors, self.inputs, strict=True):
            check_actors(actors, inputs)


class TookSeat(WireMessage, tag=0x15, frozen=True):
    """The sender has caught up, and plays on.

    Attributes:
        episode: the one that they are in; 0 before the first.
        frame: of their next input.
        caught_up: how many frames they played again, in all episodes.
        left_episode: the episode from which on they gave no input themselves.
        left_frame: the frame of it.
        actors: who chose their inputs of the frames directly before ``frame``
            (:class:`~gym_p2p.core.wire.acting.ActedBy`), as many of them as others may lack.
    """

    episode: Count
    frame: Count
    caught_up: Count
    left_episode: Count
    left_frame: Count
    actors: Annotated[bytes, msgspec.Meta(max_length=ACTORS_MOST)]

    def __post_init__(self) -> None:
        check_actors(self.actors, self.actors)


PastMessage = Recall | PastWord | Past | TookSeat
