"""The index beside the folders of matches: a line of JSON for each player's part of a match.

Several processes append to it, also those of one match.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from gym_p2p.core.api.payloads import prepare
from gym_p2p.core.record.index import IndexEntry
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.files.lines import append_line, read_lines
from gym_p2p.files.private import make_folder

__all__ = ["INDEX", "append_to_index", "is_in_index"]

INDEX = "index.jsonl"


class _Line(msgspec.Struct, frozen=True, rename="camel"):
    match_id: str
    player_id: SeatId


prepare(_Line)


def is_in_index(directory: Path, entry: IndexEntry) -> bool:
    """Return whether the index has a line of this player's part of this match, whatever it says of it.

    Raises:
        OSError: it cannot be read.
    """
    whose = (entry.match_id, entry.player_id)
    return any((told.match_id, told.player_id) == whose for told in read_lines(directory / INDEX, _Line))


def append_to_index(directory: Path, entry: IndexEntry) -> None:
    """Append a match to a folder's index.

    Raises:
        OSError: it could not be written; what was there before is untouched.
    """
    make_folder(directory)
    append_line(directory / INDEX, msgspec.json.encode(entry))
