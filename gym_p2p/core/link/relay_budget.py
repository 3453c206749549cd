"""How much one player may have passed on, and what gives way where that is not enough.

Messages of the game channel may be lost: the next one repeats them. Those of the control channel must arrive,
and what of them is dropped is sent again, all from there on, round trips later. So the first kind leaves a
part of the budget to the second: however many inputs there are, a barrier or a goodbye goes through at once.

Knows rates; refuses to know who passes on. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

from gym_p2p.core.link.bucket import Bucket

__all__ = ["RelayBudget"]

_SPARED = 1 / 2
"""Of what may come at once, for control messages alone: the longest of them, in all its fragments, is less
(:data:`gym_p2p.core.wire.fragments.MAX_CTRL_BYTES` as base64, of 256 KiB)."""


class RelayBudget:
    """One player's, for all whom they have messages passed on to.

    Args:
        messages_per_s: how many.
        messages_burst: how many at once.
        size_per_s: how much, in whatever unit the sizes are given.
        size_burst: how much at once.
    """

    def __init__(self, *, messages_per_s: int, messages_burst: int, size_per_s: int, size_burst: int) -> None:
        self._messages = Bucket(messages_per_s, messages_burst)
        self._sizes = Bucket(size_per_s, size_burst)
        self._spared_messages = round(_SPARED * messages_burst)
        self._spared_size = round(_SPARED * size_burst)

    def takes(self, size: int, now: float, *, may_be_lost: bool) -> bool:
        """Whether one more message may be passed on; it is then taken off, else nothing is."""
        spared_messages = self._spared_messages if may_be_lost else 0
        spared_size = self._spared_size if may_be_lost else 0
        if not self._messages.has(1 + spared_messages, now) or not self._sizes.has(size + spared_size, now):
            return False
        self._messages.takes(1, now)
        self._sizes.takes(size, now)
        return True
