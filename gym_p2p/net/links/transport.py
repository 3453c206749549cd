"""What a link between two peers is: a structural type, no implementation.

The match machine speaks to every peer over two channels, whatever carries them (WebRTC, the in-memory
network of the tests). This module knows the shape of that and nothing else.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from gym_p2p.core.wire.messages import Channel

__all__ = ["Channel", "Link", "LinkState", "OnMessage", "OnState"]


class LinkState(enum.Enum):
    """Where a link is in its life. It only ever moves forward."""

    CONNECTING = "connecting"
    OPEN = "open"
    """Every channel is open: both directions carry."""
    CLOSED = "closed"


OnMessage = Callable[[Channel, bytes | str], None]
OnState = Callable[[LinkState], None]


class Link(Protocol):
    """A link to one peer. Every method is called on the network thread's event loop."""

    @property
    def state(self) -> LinkState:
        """Where the link is in its life."""

    @property
    def binding(self) -> bytes:
        """What its two ends alone know and have in common, of no other link (RFC 5056); while it is open."""

    def send(self, channel: Channel, data: bytes | str) -> bool:
        """Send one message of at most 1,160 bytes.

        Returns False, having sent nothing, when the link is not open or, on the game channel, when
        earlier messages still wait to be sent (the protocol's redundancy makes up for a skipped one).
        Never raises.
        """

    async def close(self) -> None:
        """Close the link; what was sent before is still delivered if the path carries it. Idempotent."""
