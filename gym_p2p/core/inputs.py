"""One player's inputs of one episode, in the order of their frames and without a gap.

Two views of the same thing: :class:`Outbox` is what we gave and others have not acknowledged yet,
:class:`Inbox` is what arrived and still waits to be used. Inputs are opaque bytes here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from gym_p2p.core.messages import MAX_INPUTS_PER_MESSAGE

__all__ = ["Inbox", "Outbox"]


class Outbox:
    """The local player's inputs, kept until every peer has them.

    Attributes:
        count: how many inputs were given in this episode: the next one is for this frame.
    """

    def __init__(self) -> None:
        self.count = 0
        self._kept: deque[bytes] = deque()
        self._base = 0

    def add(self, data: bytes) -> None:
        """Give the input of the next frame."""
        self._kept.append(data)
        self.count += 1

    def after(self, acknowledged: int, budget_bytes: int) -> tuple[int, tuple[bytes, ...]]:
        """Return the first unacknowledged frame and its inputs on, oldest first, as many as fit.

        Args:
            acknowledged: how many frames the recipient holds.
            budget_bytes: room in the message; every input costs its length and two bytes.
        """
        start = max(acknowledged, self._base)
        chosen: list[bytes] = []
        for offset in range(start - self._base, len(self._kept)):
            data = self._kept[offset]
            budget_bytes -= len(data) + 2
            if budget_bytes < 0 or len(chosen) == MAX_INPUTS_PER_MESSAGE:
                break
            chosen.append(data)
        return start, tuple(chosen)

    def forget(self, acknowledged_by_all: int) -> None:
        """Drop the inputs below this frame: everybody has them."""
        while self._base < acknowledged_by_all and self._kept:
            self._kept.popleft()
            self._base += 1


class Inbox:
    """A remote player's inputs as they arrive, handed on in order.

    Attributes:
        count: how many frames arrived without a gap; this is what gets acknowledged.
    """

    def __init__(self) -> None:
        self.count = 0

    def news(self, start: int, inputs: Sequence[bytes]) -> Sequence[bytes]:
        """Return those of the inputs, which begin at frame ``start``, that continue what is here.

        Repeated ones are skipped. Inputs that would leave a gap are not taken: the sender repeats
        everything from the first one that we did not acknowledge.
        """
        skip = self.count - start
        if skip < 0 or skip >= len(inputs):
            return ()
        fresh = inputs[skip:]
        self.count += len(fresh)
        return fresh
