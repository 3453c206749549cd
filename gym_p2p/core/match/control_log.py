"""The control messages to one peer which it may still lack, should the link be replaced by another one.

A link's ordered channel repeats what was lost by itself, and takes what it had not delivered with it when it
ends. So each side counts the control messages that came (the peer's newest count goes with its pings), and
keeps those of its own that the count does not cover. Over a new link each says first how many it holds, and
the other goes on from there: every message arrives once, in order, whatever the old link had delivered.

Knows counts and bytes; refuses to know links, and what the messages are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from gym_p2p.errors import ProtocolError

__all__ = ["CONTROL_KEPT_BYTES", "ControlLog"]

CONTROL_KEPT_BYTES = 4 * 2**20
"""Kept for one peer at most: four states as they may travel at a desync, which are by far the longest. Beyond
it the oldest go, and a peer who lacks those cannot come back."""


class ControlLog:
    """One direction's control messages to one peer, and the count of the other direction's.

    Attributes:
        received: how many of the peer's are here.
        delivered: how many of ours the peer has said to hold.
        held_back: whether a new link waits for the peer's count: nothing may be sent before it.
        most_bytes: that are kept; 0 where nobody comes back anyway.
    """

    def __init__(self) -> None:
        self.received = 0
        self.delivered = 0
        self.held_back = False
        self.most_bytes = CONTROL_KEPT_BYTES
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._acknowledged = 0
        """How many are not kept any more."""

    def anew(self) -> ControlLog:
        """Return the log of a peer who has got nothing yet, with the same bound."""
        log = ControlLog()
        log.most_bytes = self.most_bytes
        return log

    @property
    def sent(self) -> int:
        """How many there were."""
        return self._acknowledged + len(self._kept)

    def add(self, message: bytes) -> bool:
        """Keep a message that is to be sent; return whether it may be sent now."""
        self._kept.append(message)
        self._kept_bytes += len(message)
        while self._kept_bytes > self.most_bytes:
            self._forget()
        return not self.held_back

    def acknowledge(self, count: int) -> None:
        """Take in how many the peer holds; an old count changes nothing.

        Raises:
            ProtocolError: it is more than were sent.
        """
        if count > self.sent:
            raise ProtocolError("acknowledgement of what was not sent")
        self.delivered = max(self.delivered, count)
        while self._acknowledged < count:
            self._forget()

    def resume(self, count: int) -> Sequence[bytes]:
        """Return what the peer lacks, who holds so many, and hold nothing back any more.

        Raises:
            ProtocolError: it was not waited for, or cannot be.
        """
        if not self.held_back:
            raise ProtocolError("count that was not waited for")
        if count < self._acknowledged:
            raise ProtocolError("count of what is kept no more")
        self.acknowledge(count)
        self.held_back = False
        return tuple(self._kept)

    def _forget(self) -> None:
        self._kept_bytes -= len(self._kept.popleft())
        self._acknowledged += 1
