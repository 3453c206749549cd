"""Documents that could be written nowhere: in memory, and tried again for as long as the process lives.

When it ends they are tried once more, and what is lost then is said.

It knows attempts, and how many may wait; it refuses to know what is written.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from gym_p2p.processes.threads import OwnThread

__all__ = ["EVERY_S", "MOST_WAITING", "Unwritten", "keep_trying"]

_log = logging.getLogger(__name__)

EVERY_S = 10.0
"""Between two attempts: as between two checkpoints."""
LAST_ATTEMPT_S = 5.0
"""How long who ends waits for the last attempt, and one that is being made before it: a disk that answers
nothing holds up nobody."""
MOST_WAITING = 16
"""Matches of one process; each is held in memory, megabytes for an hour of play. The oldest go first."""


class Unwritten:
    """What waits for a disk that takes it.

    Args:
        every_s: between two attempts.
    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._waiting: deque[tuple[Path, Callable[[], bool]]] = deque()
        self._lock = threading.Lock()
        self._thread: OwnThread | None = None
        self._process = os.getpid()
        self._over = threading.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, folder: Path, attempt: Callable[[], bool]) -> None:
        """Try again until it is written.

        Args:
            folder: where it was to be, for the log.
            attempt: writes it, and returns whether it could be; never raises for a disk.
        """
        if self._over.is_set():
            _tell_loss(folder)
            return
        _log.error("exports: nothing of %s could be written anywhere; it is tried again and again", folder)
        with self._lock:
            self._waiting.append((folder, attempt))
            if len(self._waiting) > MOST_WAITING:
                lost, _ = self._waiting.popleft()
                _log.error("exports: %s is given up: too many matches wait for a disk", lost)
            if self._thread is None or not self._thread.is_alive():
                self._thread = OwnThread(target=self._run, name="gym_p2p unwritten", daemon=True)
                self._thread.start()

    def end(self) -> None:
        """Try once more, and say what is lost: the process ends. In a fork of it do nothing.

        It is the thread that tries, which a disk can hold up for ever, and a process's end can not.
        """
        if os.getpid() != self._process:
            return
        self._over.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(LAST_ATTEMPT_S)
        with self._lock:
            lost = [folder for folder, _ in self._waiting]
            self._waiting.clear()
        for folder in lost:
            _tell_loss(folder)

    def _run(self) -> None:
        ends = False
        while not ends:
            ends = self._over.wait(self._every_s)
            self._try_all()
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return

    def _try_all(self) -> None:
        for waiting in list(self._waiting):
            if not self._written(*waiting):
                continue
            with self._lock:
                if waiting in self._waiting:
                    self._waiting.remove(waiting)

    def _written(self, folder: Path, attempt: Callable[[], bool]) -> bool:
        try:
            return attempt()
        except Exception:  # noqa: BLE001 - a thread has nobody to raise to, and the others wait, too
            _log.exception("exports: writing %s", folder)
            return False


def _tell_loss(folder: Path) -> None:
    _log.error(
        "exports: %s is lost: the program ends, and it could be written nowhere; there is no more of it than "
        "what the service was handed in, and a journal as far as that could be written",
        folder,
    )


_UNWRITTEN = Unwritten()
keep_trying = _UNWRITTEN.add
"""Tries again until it is written, in this process."""
atexit.register(_UNWRITTEN.end)
