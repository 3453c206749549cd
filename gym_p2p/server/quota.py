"""How much the documents of a data directory may take up in all.

A disk that is full stops more than the uploads, and whoever may play for hours may hand in as much. What does
not fit is refused so that its player keeps it, and comes in once there is room: whoever runs the service
raises the quota, or takes finished matches away. It knows folders and sizes. Blocking: call it from a worker
thread.
"""

from __future__ import annotations

import stat
from pathlib import Path

import attrs

from gym_p2p.exports.documents import find_document

__all__ = ["Quota", "QuotaFullError"]


class QuotaFullError(Exception):
    """The documents take up as much as they may; the text may go to the client."""


@attrs.define(eq=False)
class Quota:
    """The quota of one data directory.

    Attributes:
        directory: holds a folder for each match; what begins with a dot does not count.
        max_bytes: what the documents may take up; ``None`` is as much as the disk has.
    """

    directory: Path
    max_bytes: int | None
    _bytes_of: dict[str, int] | None = attrs.field(init=False, default=None)
    """By folder; ``None`` before anybody asked. Whoever takes a folder away is noticed where it matters."""

    def require_room(self, document: Path, size_bytes: int) -> None:
        """See that a document may come in; one that is there already is replaced.

        Args:
            document: where it will be.
            size_bytes: its size as it arrives, which is about what it takes up.

        Raises:
            QuotaFullError: it may not.
            OSError: the directory cannot be read.
        """
        if self.max_bytes is None:
            return
        there = find_document(document)
        more_bytes = size_bytes - (0 if there is None else there.stat().st_size)
        if self._bytes_of is None or sum(self._bytes_of.values()) + more_bytes > self.max_bytes:
            self._bytes_of = {f.name: _size_bytes(f) for f in self.directory.iterdir() if f.name[0] != "."}
        used_bytes = sum(self._bytes_of.values())
        if used_bytes + more_bytes > self.max_bytes:
            raise QuotaFullError(
                f"the documents here take up {used_bytes} of the {self.max_bytes} bytes that they may; keep "
                "this one, and hand it in again once whoever runs the service has made room"
            )

    def stored(self, folder: Path) -> None:
        """Take note that something has been stored in a match's folder."""
        if self._bytes_of is not None:
            self._bytes_of[folder.name] = _size_bytes(folder)


def _size_bytes(path: Path) -> int:
    """Return the size of a file, or of those in a folder."""
    if not path.is_dir():
        return _file_bytes(path)
    try:
        return sum(map(_file_bytes, path.iterdir()))
    except FileNotFoundError:
        return 0


def _file_bytes(path: Path) -> int:
    """Return a file's size: none of one that is just being put into another's place, or taken away."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
