"""How tests take from registries what they need: one process at a time, and once more where it fails."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
from collections.abc import Iterator
from pathlib import Path

__all__ = ["alone", "run"]

TIMEOUT_S = 180
"""From a cold cache npm fetches some twenty megabytes, on a machine that may be busy."""
ATTEMPTS = 2


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Have a folder, made if need be, for oneself: one process installs in it, others wait for it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(folder: Path, *command: str) -> None:
    """Run what installs something, in a folder.

    Raises:
        subprocess.SubprocessError: it failed or took too long, twice.
    """
    for attempt in range(ATTEMPTS):
        try:
            subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S)
        except subprocess.SubprocessError:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return
