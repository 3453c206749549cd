"""Files to which lines of JSON are appended; for their owner alone.

Several processes append to one, and none of them may be trusted to end well: a line is one write under a
lock, and what a killed one left of a line ends before the next one.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from gym_p2p.files.private import private

__all__ = ["append_line", "read_lines"]

_T = TypeVar("_T")


def append_line(path: Path, line: bytes) -> None:
    """Append a line, to a file that is made if need be in a folder that exists.

    Raises:
        OSError: it could not be written; what was there before is untouched.
    """
    line += b"\n"
    with open(path, "a+b", buffering=0, opener=private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = file.seek(0, os.SEEK_END)
        if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
            line = b"\n" + line
        if os.write(file.fileno(), line) < len(line):  # a disk takes what there is room for
            os.ftruncate(file.fileno(), end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_lines(path: Path, kind: type[_T]) -> Iterator[_T]:
    """Yield what the lines of a file say, oldest first; a torn one says nothing, and no file has none.

    Raises:
        OSError: the file is there and cannot be read.
    """
    decoder = msgspec.json.Decoder(kind)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            try:
                yield decoder.decode(line)
            except (ValueError, RecursionError):
                continue
