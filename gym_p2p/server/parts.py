"""Long documents that come in parts, until they are whole.

A part is appended where the one before ended, so that what has arrived is one number, and a part that comes
again changes nothing. Of one player's document there is one unfinished copy; what nobody goes on with for a
day is removed, and all of them together are bounded. Blocking: call it from a worker thread. It knows files;
what a document is, is :mod:`gym_p2p.server.intake`'s to know.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import attrs

from gym_p2p.core.record.documents import Kind
from gym_p2p.files.private import make_folder, open_private
from gym_p2p.server.guard.tokens import UploadClaims

__all__ = ["LENGTH_BYTES", "PART_BYTES", "Part", "Parts", "PartsFullError"]

PART_BYTES = 4 * 2**20
"""The largest part."""
LENGTH_BYTES = 128 * 2**20
"""The largest document in parts, compressed: some thirty hours of two players at 60 frames a second."""
_ALL_BYTES = 2 * 2**30
"""Of all that are unfinished."""
_LASTS_S = 24 * 3600.0
_PIECE_BYTES = 2**16


class PartsFullError(Exception):
    """Too much is unfinished; try again later."""


@attrs.frozen
class Part:
    """Where a part belongs.

    Attributes:
        claims: whose document it is of.
        kind: what that is.
        digest: SHA-256 of the whole, compressed as it is sent, in hexadecimal digits.
        offset: how many of its bytes come before this part.
        length: how many bytes it has in all.
    """

    claims: UploadClaims
    kind: Kind
    digest: str
    offset: int
    length: int

    @property
    def key(self) -> str:
        """The name of the document's unfinished copies, whatever they hold."""
        whose = json.dumps([self.claims.match_id, self.claims.player_id, self.kind])
        return hashlib.sha256(whose.encode()).hexdigest()[:32]


class Parts:
    """The unfinished documents below a data directory.

    Args:
        directory: exists and is writable.
        now: Unix seconds.
    """

    def __init__(self, directory: Path, *, now: Callable[[], float] = time.time) -> None:
        self._directory = directory.absolute() / ".parts"
        self._now = now

    def path(self, part: Part) -> Path:
        """Return where what has arrived of a document is."""
        return self._directory / f"{part.key}-{part.digest[:32]}.part"

    def add(self, part: Part, body: IO[bytes]) -> int:
        """Append a part where it follows on what is there; return how much is there then.

        Raises:
            PartsFullError: too much is unfinished.
            OSError: it could not be stored; what was there before still is.
        """
        make_folder(self._directory)
        path = self.path(part)
        there = self._size_bytes(path)
        if part.offset != there or not body.seek(0, os.SEEK_END):  # nothing asks what is there
            return there
        self._make_room(part)
        body.seek(0)
        with open_private(path, "ab") as file:
            try:
                shutil.copyfileobj(body, file, _PIECE_BYTES)
                file.flush()
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(there)
                raise
        return self._size_bytes(path)

    def is_whole(self, part: Part) -> bool:
        """Return whether all of a document is there, as its digest says; what is not that is removed."""
        path = self.path(part)
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == part.digest:
                return True
        self.remove(part)
        return False

    def remove(self, part: Part) -> None:
        """Remove what is there of a document."""
        self.path(part).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what nobody has gone on with for long."""
        with contextlib.suppress(OSError):
            for path in self._directory.glob("*.part"):
                if path.stat().st_mtime + _LASTS_S <= self._now():
                    path.unlink(missing_ok=True)

    def _make_room(self, part: Part) -> None:
        """Remove other copies of the document, and what is too old; see that there is room for this part."""
        path = self.path(part)
        for other in self._directory.glob(f"{part.key}-*.part"):
            if other != path:
                other.unlink(missing_ok=True)
        self.sweep()
        if sum(map(self._size_bytes, self._directory.glob("*.part"))) + PART_BYTES > _ALL_BYTES:
            raise PartsFullError("too many documents are unfinished here; try again later")

    @staticmethod
    def _size_bytes(path: Path) -> int:
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return 0
