"""Whether to look again and again for what is about to come, or to sleep until it has.

Who sleeps has to be woken, and a processor that is idle as well: 10 to 50 µs, most of all on a virtual
machine, and a step in lockstep has three such wake-ups in it. Who looks again and again is there at once, and
takes a processor for it, also from whoever has something to do. So that is done as long as it pays: what a
look saved that ended soon is put on an account, what was looked in vain is taken off, and while more was
taken off than put there, nobody looks. Time puts a little on the account as well, by which it is found out
when looking would pay again.

Between two looks the processor is offered to others. Who computes keeps it for milliseconds then, which count
as looked in vain: a busy machine ends it at once.

Knows times; refuses to know what is waited for. They are seconds, and ``now`` is monotonic.
"""

from __future__ import annotations

__all__ = ["LOOKS_FOR_S", "BusyPolling"]

LOOKS_FOR_S = 500e-6
"""For so long in one wait. A step of two players on one machine takes 100 to 250 µs."""

SAVES_S = 50e-6
"""What a wait saves that ends meanwhile."""
TRIAL_SHARE = 1 / 500
"""Of the time, for looks in vain, whatever was saved before."""
MOST_S = 0.01
"""No more is on the account, or lacks there: a machine that gets busy is noticed after a few looks, and five
seconds after the last one in vain it is looked again, whatever that cost."""


class BusyPolling:
    """One place where somebody waits again and again."""

    def __init__(self) -> None:
        self._pays_from = 0.0
        """When the account is even. It is in the past where something is on it."""

    def pays(self, now: float) -> bool:
        """Whether to look again and again in the wait that begins now."""
        return self._pays_from <= now

    def looked(self, now: float, took_s: float, *, found: bool) -> None:
        """Take note of a wait in which it was looked.

        Args:
            now: when that ended.
            took_s: how long it was looked.
            found: whether what was waited for came meanwhile.
        """
        worth_s = SAVES_S if found and took_s <= LOOKS_FOR_S else -took_s
        most_s = MOST_S / TRIAL_SHARE
        pays_from = max(self._pays_from, now - most_s) - worth_s / TRIAL_SHARE
        self._pays_from = min(pays_from, now + most_s)
