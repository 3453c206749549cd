"""When a player's checksums go to the others: at once, or several together where frames are many.

A checksum goes over the channel that repeats what is lost, which takes several times as long as an input.
Players whom nothing paces compare a hundred and more of them a second, and with every one of them a frame
would be late.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from gym_p2p.core.match.commands import Command, GiveChecksum
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.peer import Peer
from gym_p2p.core.wire.messages import Checksum

__all__ = ["ChecksumPost"]

TOGETHER_S = 0.25
"""In the long run they go no more often: below what lies between two of a paced match (half a second)."""

AHEAD_S = 2.5 * TOGETHER_S
"""By so much sooner they go where none went for a while: three of them without waiting."""


class ChecksumPost:
    """Sends our checksums to all others, in their order.

    Attributes:
        due_at: when those that wait are to go; ``None`` while none does.
    """

    def __init__(self, peers: Mapping[int, Peer], outputs: Outputs) -> None:
        self._peers = peers
        self._outputs = outputs
        self._waiting: list[Checksum] = []
        self._even_at = -math.inf
        """When no more have gone than go in the long run; not so late that one waits longer than that."""
        self.due_at: float | None = None

    def add(self, checksum: Checksum, now: float) -> None:
        """Send a checksum now, or soon together with others."""
        self._waiting.append(checksum)
        self.due_at = self._even_at - AHEAD_S
        self.handle_timeout(now)

    def before(self, command: Command, now: float) -> None:
        """Send those that wait before anything else is done than give a checksum: that may rest on them."""
        if not isinstance(command, GiveChecksum):
            self.flush(now)

    def handle_timeout(self, now: float) -> None:
        """Send those that have waited long enough."""
        if self.due_at is not None and self.due_at <= now:
            self.flush(now)

    def flush(self, now: float) -> None:
        """Send those that wait, for somebody waits for them."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        self._even_at = min(max(self._even_at, now), now + AHEAD_S) + TOGETHER_S
        self.due_at = None
        for checksum in waiting:
            self._outputs.broadcast(self._peers.values(), checksum, now)
