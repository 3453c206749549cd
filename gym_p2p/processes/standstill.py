"""Notices that this process stood still: it was stopped, its machine slept, or nobody let it run.

Whoever looks in equal steps sees at the next one that a step took longer. A process that was busy meanwhile
(a long call that lets no other thread run) has used the processor; one that stood still has not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from gym_p2p.processes.clocks import WallClock, steady_s
from gym_p2p.processes.threads import OwnThread

__all__ = ["LEAST_S", "STEP_S", "Standstill", "StandstillWatch"]

STEP_S = 0.5
LEAST_S = 1.0
"""What is shorter is a busy machine."""
_BUSY_SHARE = 0.5
"""Whoever used the processor for more of the time than this was not standing still."""


class Standstill:
    """What :meth:`look` is to be called for every :data:`STEP_S`.

    Args:
        clock: seconds that pass also while the machine sleeps.
        busy: seconds for which this process has used the processor.
    """

    def __init__(
        self, clock: Callable[[], float] = steady_s, busy: Callable[[], float] = time.process_time
    ) -> None:
        self._clock = clock
        self._busy = busy
        self._looked_at, self._used_s = clock(), busy()

    def look(self) -> float | None:
        """Return for how long it stood still since the last look; ``None`` if it did not."""
        now, used_s = self._clock(), self._busy()
        stood_s, busy_s = now - self._looked_at - STEP_S, used_s - self._used_s
        self._looked_at, self._used_s = now, used_s
        return stood_s if stood_s >= LEAST_S and busy_s < _BUSY_SHARE * stood_s else None


class StandstillWatch:
    """Looks from a thread of its own, between :meth:`start` and :meth:`stop`.

    Args:
        on_standstill: called on that thread with how long it was, in seconds, when it is over.
        clock: whose setting is looked for, too.
        on_clock_set: called on that thread with by how many seconds it was set.
    """

    def __init__(
        self, on_standstill: Callable[[float], None], clock: WallClock, on_clock_set: Callable[[float], None]
    ) -> None:
        self._on_standstill = on_standstill
        self._clock = clock
        self._on_clock_set = on_clock_set
        self._over = threading.Event()
        self._thread = OwnThread(target=self._run, name="gym_p2p standstill watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and leave no thread. Idempotent; also where it was not started."""
        self._over.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(2 * STEP_S)

    def _run(self) -> None:
        standstill = Standstill()
        while not self._over.wait(STEP_S):
            stood_s = standstill.look()
            if stood_s is not None:
                self._on_standstill(stood_s)
            set_by_s = self._clock.look()
            if set_by_s is not None:
                self._on_clock_set(set_by_s)
