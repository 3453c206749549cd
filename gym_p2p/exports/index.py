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
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.files.private import make_folder, private

__all__ = ["INDEX", "append_to_index", "is_in_index"]

INDEX = "index.jsonl"


class _Line(msgspec.Struct, frozen=True, rename="camel"):
    match_id: str
    player_id: SeatId


_LINE = msgspec.json.Decoder(_Line)
"""Made on import, for exporters' threads: see :func:`gym_p2p.core.api.payloads.prepare`."""


def is_in_index(directory: Path, entry: IndexEntry) -> bool:
    """Return whether the index has a line of this player's part of this match, whatever it says of it.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with (directory / INDEX).open("rb") as file:
            return any(_is_of(line, entry) for line in file)
    except FileNotFoundError:
        return False


def _is_of(line: bytes, entry: IndexEntry) -> bool:
    try:
        told = _LINE.decode(line)
    except (ValueError, RecursionError):  # what a killed player left of one, or nothing of ours
        return False
    return (told.match_id, told.player_id) == (entry.match_id, entry.player_id)


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
