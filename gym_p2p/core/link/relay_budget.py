"""How much one player may have passed on, and how the two channels share it where that is not enough.

Messages of the control channel must arrive, and what of them is dropped is sent again, all from there on,
round trips later. Those of the game channel may be lost, for the next one repeats them; but where none gets
through the match stands, and pings, which say who is there, go by it as well.

So control messages have a budget of their own within the whole one, and game messages take what is left of
the whole beside what control messages might take now. However many inputs there are, a barrier goes through
at once; however long a state that is handed over, a part of the rate stays for the game. At any time at least
as much is left of the whole as of the part: game messages leave it, control messages are taken off both, and
the whole fills up faster, and higher.

Knows rates; refuses to know who passes on. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

from gym_p2p.core.link.bucket import Bucket

__all__ = ["CONTROL_RATE_SHARE", "RelayBudget"]

CONTROL_RATE_SHARE = 3 / 4
"""Of the rate, for control messages at most: what is told to who comes back is less."""

_CONTROL_BURST_SHARE = 1 / 2
"""Of what may come at once: the longest of them, in all its fragments, is less
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
        limits = (messages_per_s, messages_burst), (size_per_s, size_burst)
        self._whole = [Bucket(rate, burst) for rate, burst in limits]
        self._control = [
            Bucket(round(CONTROL_RATE_SHARE * rate), round(_CONTROL_BURST_SHARE * burst))
            for rate, burst in limits
        ]

    def takes(self, size: int, now: float, *, may_be_lost: bool) -> bool:
        """Whether one more message may be passed on; it is then taken off, else nothing is."""
        amounts = 1, size
        if may_be_lost:
            beside = [round(part.left(now)) for part in self._control]
            parts = zip(self._whole, amounts, beside, strict=True)
            within = all(whole.has(amount + left, now) for whole, amount, left in parts)
        else:
            within = all(part.has(amount, now) for part, amount in zip(self._control, amounts, strict=True))
        if within:
            for bucket, amount in zip(self._whole, amounts, strict=True):
                bucket.take_off(amount, now)
        if within and not may_be_lost:
            for bucket, amount in zip(self._control, amounts, strict=True):
                bucket.take_off(amount, now)
        return within
