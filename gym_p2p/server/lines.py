"""Files of a data directory to which a service appends lines of JSON; for their owner alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from gym_p2p.files.private import open_private

__all__ = ["append_line", "read_lines"]

_T = TypeVar("_T")


def append_line(path: Path, line: bytes) -> None:
    """Append a line; after one that was torn by a crash it begins anew.

    Raises:
        OSError: it could not be written.
    """
    with open_private(path, "ab") as file:
        file.write(b"\n" + line + b"\n" if _is_torn(path) else line + b"\n")


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


def _is_torn(path: Path) -> bool:
    """Return whether a file ends within a line."""
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return False
        file.seek(-1, 2)
        return file.read(1) != b"\n"
