"""What a disk answers, in words."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from gym_p2p.errors import NotWritten

__all__ = ["disk_problem", "telling_the_disk"]

_DISK_PROBLEMS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "it grew larger than a file may be here (ulimit -f, or the file system's limit)",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.ENOENT: "there is no such folder",
    errno.ENOTDIR: "a file stands where a folder was wanted",
    errno.EEXIST: "a file stands where a folder was wanted",
    errno.EISDIR: "a folder stands in its place",
    errno.ELOOP: "a link stands in its place",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EMFILE: "this process has too many files open",
    errno.EIO: "the disk fails (I/O error)",
}


def disk_problem(error: Exception) -> str:
    """Return why a file could not be written, in words; of another error, its own.

    >>> disk_problem(OSError(errno.ENOSPC, "No space left on device"))
    'the disk is full'
    """
    if isinstance(error, OSError) and error.errno is not None:
        return _DISK_PROBLEMS.get(error.errno) or error.strerror or str(error)
    return str(error)


@contextlib.contextmanager
def telling_the_disk(path: str | Path) -> Iterator[None]:
    """Let a block that writes this file raise what the disk answers as :class:`NotWritten`."""
    try:
        yield
    except OSError as error:
        raise NotWritten(path, disk_problem(error)) from error
