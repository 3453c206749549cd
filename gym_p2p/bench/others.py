"""What else runs on the machine while something is measured: figures are worth as much as it is quiet."""

from __future__ import annotations

import os
import resource
import time

import psutil

__all__ = ["Others"]


class Others:
    """The processors' time that others take, from when this is made.

    What the bench starts itself counts as its own once it has ended.
    """

    def __init__(self) -> None:
        self._load = os.getloadavg()[0]
        self._began = time.monotonic()
        self._used = _used_s()

    def note(self) -> str:
        """Return it as a sentence."""
        share = max(0.0, _used_s() - self._used) / max(time.monotonic() - self._began, 1e-9)
        return (
            f"what else ran meanwhile took {100 * share:.0f} % of a core, of {os.cpu_count()}; "
            f"the load was {self._load:.1f} when it began"
        )


def _used_s() -> float:
    """Return how long the processors have worked for all but this process and its children."""
    times = psutil.cpu_times()
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return float(times.user + times.nice + times.system) - sum(one.ru_utime + one.ru_stime for one in own)
