"""What a load is put on: our service, and the least that python-socketio does for the same."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from gym_p2p.bench.bare_relay import serve_bare
from gym_p2p.config import ServiceConfig
from gym_p2p.server import serve_in_thread

__all__ = ["ServedStation"]

_STATM = Path("/proc/self/statm")


class _Count(logging.Handler):
    """Counts the lines of a log, and formats them, for that costs something."""

    lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)
        self.lines += 1


class ServedStation:
    """A server in a process of its own.

    Args:
        bare: the bare relay, not our service.
        files: how many files the process may have open; ``None`` leaves it as it is.
    """

    def __init__(self, *, bare: bool, files: int | None) -> None:
        if files is not None:
            _limit_files(files)
        self._stack = contextlib.ExitStack()
        self._log = _Count(logging.WARNING)
        logging.getLogger().addHandler(self._log)
        # Open from now on: there may be no file left later.
        self._statm = self._stack.enter_context(_STATM.open("rb")) if _STATM.exists() else None
        if bare:
            self._url = self._stack.enter_context(serve_bare())
        else:
            data_dir = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="gym-p2p-bench-"))
            config = ServiceConfig(port=0, data_dir=data_dir)
            self._url = self._stack.enter_context(serve_in_thread(config)).url

    def url(self) -> str:
        """Return where it is."""
        return self._url

    def usage(self) -> dict[str, Any]:
        """Return what it has used.

        Returns:
            The processor time so far and the time, both in seconds, the lines that it logged, and the memory
            that it holds in bytes, where that is known.
        """
        memory = None
        if self._statm is not None:
            self._statm.seek(0)
            memory = int(self._statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        times = {"cpu_s": time.process_time(), "at_s": time.monotonic()}
        return {**times, "memory_bytes": memory, "log_lines": self._log.lines}

    def close(self) -> None:
        """End it."""
        self._stack.close()


def _limit_files(most: int) -> None:
    try:
        import resource  # noqa: PLC0415 - not on every platform
    except ImportError:
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most if hard < 0 else min(most, hard), hard))
