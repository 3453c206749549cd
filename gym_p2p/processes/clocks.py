"""The time of day that never goes back while it is told, and what somebody does to the real one meanwhile.

Whoever measures takes a clock that nobody sets. Whoever writes down when something was wants Unix time; a
wall clock that is set in the middle would put later things before earlier ones. So it is read once, and goes
on with the steady clock from there; how it is set after that is seen, and can be told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

__all__ = ["LEAST_SET_S", "ClockSetting", "WallClock", "clock_setting", "set_since", "steady_s"]

LEAST_SET_S = 0.25
"""What is less between two looks is a clock that is kept, not one that is set."""


steady_s: Callable[[], float] = time.monotonic
"""Returns seconds on a clock that nobody sets, and that counts a machine's sleep where one does."""
if hasattr(time, "CLOCK_BOOTTIME"):
    steady_s = partial(time.clock_gettime, time.CLOCK_BOOTTIME)


ClockSetting = tuple[str, float]
"""Which start of the machine this is, and the Unix time at which its steady clock was 0, as of now."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def clock_setting() -> ClockSetting | None:
    """Return how the wall clock is set; ``None`` where it is not known which start of the machine this is."""
    try:
        return _BOOT.read_text().strip(), time.time() - steady_s()
    except OSError:
        return None


def set_since(before: ClockSetting | None) -> float:
    """Return by how many seconds the wall clock was set since then; 0 where that is not known."""
    now = clock_setting()
    if before is None or now is None or before[0] != now[0]:
        return 0.0
    return now[1] - before[1]


class WallClock:
    """Unix time from one reading of the wall clock on.

    Args:
        wall: Unix seconds, as the machine has them now.
        steady: seconds on a clock that nobody sets.
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = steady_s) -> None:
        self._wall = wall
        self._steady = steady
        self._base_s = wall() - steady()
        self._ahead_s = 0.0
        """By how much the machine's is ahead of this one, as of the last look."""

    def seconds(self) -> float:
        """Return Unix seconds; never less than before."""
        return self._base_s + self._steady()

    def ms(self) -> int:
        """Return Unix milliseconds, whole; never less than before."""
        return int((self._base_s + self._steady()) * 1e3)

    def look(self) -> float | None:
        """Return by how many seconds the machine's was set since the last look; ``None`` if it was not."""
        ahead_s = self._wall() - self.seconds()
        set_by_s, self._ahead_s = ahead_s - self._ahead_s, ahead_s
        return set_by_s if abs(set_by_s) >= LEAST_SET_S else None
