"""Messages of a match that the service passes on, where two players have no better way to each other.

What is in them is the players' business: bytes of the peers' protocol, sealed by their sender
(:mod:`gym_p2p.core.match.forwards`), as base64 in a text. What a client may send is known to both sides: it
keeps within it by itself, and the service refuses what is beyond.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from gym_p2p.core.api.payloads import check_seat
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES
from gym_p2p.core.wire.seats import SeatId

__all__ = [
    "BYTES_BURST",
    "BYTES_PER_S",
    "MAX_MESSAGE_CHARS",
    "MESSAGES_BURST",
    "MESSAGES_PER_S",
    "RelayedMessage",
]

MESSAGES_PER_S = 150
"""Of one client: 60 with inputs, as many answers at most, and pings."""
MESSAGES_BURST = 300

BYTES_PER_S = 65_536
"""Of one client, as text."""
BYTES_BURST = 262_144

_WRAPPING_BYTES = 64
"""What a message has around it that is passed on: two players, a change, a number, a seal."""

MAX_MESSAGE_CHARS = (MAX_MESSAGE_BYTES + _WRAPPING_BYTES + 2) // 3 * 4
"""As base64."""


@attrs.frozen(kw_only=True)
class RelayedMessage:
    """A message of another player of the match.

    Attributes:
        from_player_id: who sent it, by what the service knows.
        data: base64, as it came.
    """

    event: ClassVar[str] = "relay_message"

    game_id: str
    from_player_id: SeatId = attrs.field(validator=check_seat)
    data: str = attrs.field(repr=False)
