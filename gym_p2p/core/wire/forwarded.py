"""What others pass on for two players of a match, wrapped: the service, or a third player.

A part of :mod:`gym_p2p.core.wire.messages`, whose layout and codec these messages share. Knows bytes and
limits; refuses to know who passes on what (:mod:`gym_p2p.core.match.forwards`), and when
(:mod:`gym_p2p.core.match.rerouting`).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from gym_p2p.core.wire.codec import Count, PlayerIndex, WireMessage
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES

__all__ = ["FORWARD_HEAD_BYTES", "FORWARD_SEAL_BYTES", "Change", "ForwardedControl", "ForwardedGame"]

FORWARD_SEAL_BYTES = 8
"""Of the seal on what others pass on: who guesses one has a chance in 2^64, and 256 wrong ones to go."""

FORWARD_HEAD_BYTES = 1 + 3 + 2 + FORWARD_SEAL_BYTES + 3
"""What a :class:`ForwardedGame` takes beside what is passed on, at most: its head, its kind and the two
players, and the two other fields with their heads."""

Change = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
"""Of two players' way, from 1 on; 0 before the first."""

_Seal = Annotated[bytes, msgspec.Meta(max_length=FORWARD_SEAL_BYTES)]
_Forwarded = Annotated[bytes, msgspec.Meta(max_length=MAX_MESSAGE_BYTES)]


class ForwardedControl(WireMessage, tag=0x0D, frozen=True):
    """A message of the control channel that others pass on, or a fragment of one.

    Attributes:
        origin: the player who it comes from.
        recipient: the player for whom it is.
        change: of these two players' way since which it is numbered.
        number: 0 for the :class:`~gym_p2p.core.wire.messages.Continue` of that change; then from 1 on, none
            left out.
        seal: a digest of all else under the key in the origin's greeting; empty before that.
        message: as it would travel directly.
    """

    origin: PlayerIndex
    recipient: PlayerIndex
    change: Change
    number: Count
    seal: _Seal
    message: _Forwarded


class ForwardedGame(WireMessage, tag=0x13, frozen=True):
    """A message of the game channel that others pass on; see :class:`ForwardedControl`.

    Attributes:
        number: of the origin's process to the recipient, from 1; who passes it on may repeat older ones.
    """

    origin: PlayerIndex
    recipient: PlayerIndex
    number: Count
    seal: _Seal
    message: _Forwarded
