"""One player's inputs of one episode, kept until everybody has them.

:class:`LocalInputs` are those that we gave and others have not acknowledged yet, :class:`RemoteInputs` those
that arrived of a remote player and others may still lack. Inputs are opaque bytes here, in the order of their
frames and without a gap.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from gym_p2p.core.wire.forwarded import FORWARD_HEAD_BYTES
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES
from gym_p2p.core.wire.messages import INPUT_HEAD_BYTES, MAX_INPUTS_PER_MESSAGE

__all__ = ["LocalInputs", "RemoteInputs", "room_for_inputs"]

NEVER = 1 << 62
"""More frames than any episode has."""


def room_for_inputs(players: int) -> int:
    """Return how many bytes the inputs may take in one message of them, in a match of so many players.

    Every input takes its own bytes and :data:`INPUT_HEAD_BYTES`. All else takes at most: the message's head
    and kind 1 each, the heads of ``received`` and ``inputs`` 3 each, the delay 1, and 9 for each of three
    numbers and for each player's in ``received``. Others may have to pass the message on in one of theirs.
    """
    return MAX_MESSAGE_BYTES - FORWARD_HEAD_BYTES - 9 - 9 * (3 + players)


class _Kept:
    """Consecutive inputs, of which the oldest are dropped.

    Attributes:
        count: how many there were, with those that were dropped: the next one is of this frame.
    """

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[bytes] = []
        self._base = 0

    def after(self, start: int, budget_bytes: int) -> tuple[int, tuple[bytes, ...]]:
        """Return the first frame and the inputs from frame ``start`` on, oldest first, as many as fit.

        Args:
            start: how many frames the recipient holds.
            budget_bytes: room in the message; every input takes its head too.
        """
        start = max(start, self._base)
        first = start - self._base
        chosen = self._kept[first : first + MAX_INPUTS_PER_MESSAGE]
        if sum(map(len, chosen)) + INPUT_HEAD_BYTES * len(chosen) > budget_bytes:
            ends = accumulate([len(data) + INPUT_HEAD_BYTES for data in chosen])
            del chosen[bisect_right(list(ends), budget_bytes) :]
        return start, tuple(chosen)

    def forget(self, held_by_all: int) -> None:
        """Drop the inputs below this frame: everybody has them."""
        known = min(held_by_all - self._base, len(self._kept))
        if known > 0:
            del self._kept[:known]
            self._base += known


class LocalInputs(_Kept):
    """The local player's inputs, kept until every peer has them."""

    def add(self, data: bytes) -> None:
        """Give the input of the next frame."""
        self._kept.append(data)
        self.count += 1


class RemoteInputs(_Kept):
    """A remote player's inputs as they arrive, handed on in order, and kept for those who may lack them.

    ``count`` is how many frames arrived without a gap; this is what gets acknowledged.
    """

    def add(self, start: int, inputs: Sequence[bytes]) -> Sequence[bytes]:
        """Return those of the inputs, which begin at frame ``start``, that continue what is here.

        Repeated ones are skipped. Inputs that would leave a gap are not taken: the sender repeats
        everything from the first one that we did not acknowledge.
        """
        skip = self.count - start
        if skip < 0 or skip >= len(inputs):
            return ()
        fresh = inputs[skip:]
        self.count += len(fresh)
        self._kept.extend(fresh)
        return fresh
