"""The index beside the folders of matches: a line of JSON for each player's part of a match.

Several processes append to it, also those of one match, and none of them may be trusted to end well: a line
is one write under a lock, and what a killed one left of a line ends before the next one.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import msgspec

from gym_p2p.core.record.index import IndexEntry
from gym_p2p.files.private import make_folder, private

__all__ = ["INDEX", "append_to_index"]

INDEX = "index.jsonl"


def append_to_index(directory: Path, entry: IndexEntry) -> None:
    """Append a match to a folder's index.

    Raises:
        OSError: it could not be written; what was there before is untouched.
    """
    make_folder(directory)
    line = msgspec.json.encode(entry) + b"\n"
    with open(directory / INDEX, "a+b", buffering=0, opener=private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = file.seek(0, os.SEEK_END)
        if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
            line = b"\n" + line
        if os.write(file.fileno(), line) < len(line):  # a disk takes what there is room for
            os.ftruncate(file.fileno(), end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
