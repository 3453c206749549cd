"""Files that a process holds while it lives: one that nobody holds was left, however its process ended.

The hold (flock(2)) is on the file, not on its name: whoever takes it has to look whether the name still
stands for that file. Refuses to know what the files say, and for whom they are left.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gym_p2p.files.whole import replacing

__all__ = ["hold", "is_held", "open_at_once", "stands_for", "write_held"]


def open_at_once(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open what is to be held, and return its descriptor; a pipe that stands there is not waited for.

    Args:
        path: of it.
        flags: of ``os.open``, beside those by which it is opened at once and inherited by no program.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)


def hold(descriptor: int) -> bool:
    """Hold a file until its last descriptor from this opening is closed; return whether nobody else does.

    Raises:
        OSError: it cannot be held.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(path: Path) -> bool:
    """Return whether somebody holds a file; one that cannot be opened nobody does.

    Who looks holds it for a moment themselves, together with others who look.
    """
    try:
        descriptor = open_at_once(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def stands_for(path: Path, descriptor: int) -> bool:
    """Return whether a name stands for this very file: it was neither removed nor replaced.

    Raises:
        OSError: that cannot be seen.
    """
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def write_held(path: Path, data: bytes) -> int:
    """Write a file as :func:`~gym_p2p.files.whole.write_bytes` does, held from before it has its name.

    Returns:
        A descriptor of it, by which it is held; to be closed by the caller.

    Raises:
        OSError: as :func:`~gym_p2p.files.whole.write_bytes` does.
    """
    descriptor = -1
    try:
        with replacing(path) as file:
            descriptor = os.dup(file.fileno())  # shares the hold, and keeps it when the file is closed
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(data)
    except BaseException:
        if descriptor >= 0:
            os.close(descriptor)
        raise
    return descriptor
