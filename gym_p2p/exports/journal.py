"""A player's journal on disk: what a match adds every ten seconds, until its documents are written.

``<player>.journal.jsonl`` beside the documents, locked while the process that writes it lives. Whoever finds
one that nobody holds makes the documents of it, see :mod:`gym_p2p.exports.recovery`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gym_p2p.core.record.growth import Mark
from gym_p2p.core.record.journal import JournalWriter
from gym_p2p.files.held import hold, open_at_once, stands_for
from gym_p2p.files.names import path_component
from gym_p2p.files.private import make_folder, private
from gym_p2p.processes.forks import let_go_in_forks

__all__ = ["SUFFIX", "UNBEGUN_S", "Journal", "claimed_journal", "journal_path", "remove_unbegun"]

SUFFIX = ".journal.jsonl"

UNBEGUN_S = 60.0
"""An empty journal is about to be begun; one that stays it for so long is of a process that was killed first:
between the two of its calls there are microseconds."""

_LOOKED_AT_S = 1.0
_LOOK_AGAIN_S = 0.02


def journal_path(folder: Path, player_id: str | int) -> Path:
    """Return where a player's journal is, in a match's folder."""
    return folder / f"{path_component(player_id)}{SUFFIX}"


class Journal:
    """The journal that this process writes. For one thread at a time.

    Args:
        path: where it goes; made with the first entry.
        writer: of the record.
        now_ms: returns the Unix time in milliseconds.
    """

    def __init__(self, path: Path, writer: JournalWriter, now_ms: Callable[[], int]) -> None:
        self.path = path
        self._writer = writer
        self._now_ms = now_ms
        self._descriptor = -1
        self._mark: Mark = {}
        self._whole_bytes = 0
        let_go_in_forks(self)

    @property
    def exists(self) -> bool:
        """Whether something of the match lies there."""
        return self._descriptor >= 0 and os.fstat(self._descriptor).st_nlink > 0

    def append(self) -> None:
        """Write down what is new, and return once it is on the disk.

        A journal that somebody has removed is begun anew. What could not be written is tried again with what
        is new by then.

        Raises:
            OSError: it could not be written; what was there before still is, without a part of a line.
        """
        if not self.exists:
            self._begin()
        line, mark = self._writer.entry(self._mark, self._now_ms())
        self._write(line)
        self._mark = mark

    def discard(self) -> None:
        """Remove it: the documents are there. Idempotent.

        Raises:
            OSError: it could not be removed.
        """
        if self.exists:
            self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of it: whoever finds it may make documents of it. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _begin(self) -> None:
        self.close()
        make_folder(self.path.parent)
        descriptor = private(str(self.path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            _lock(descriptor)
            os.ftruncate(descriptor, 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._mark, self._whole_bytes = descriptor, {}, 0
        try:
            self._write(self._writer.head())
        except BaseException:  # without its head it is no journal
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
            self.close()
            raise

    def _write(self, line: bytes) -> None:
        try:
            left = memoryview(line)
            while left:
                left = left[os.pwrite(self._descriptor, left, self._whole_bytes + len(line) - len(left)) :]
            os.fsync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._whole_bytes)
            raise
        self._whole_bytes += len(line)


def _lock(descriptor: int) -> None:
    """Hold a journal; who merely looks whether it is held lets go of it at once.

    Raises:
        OSError: somebody else goes on holding it.
    """
    until = time.monotonic() + _LOOKED_AT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if until <= time.monotonic():
                raise
            time.sleep(_LOOK_AGAIN_S)
        else:
            return


def remove_unbegun(path: Path) -> bool:
    """Remove a journal that was never begun, and will not be; return whether it was one.

    Raises:
        OSError: it cannot be read, or removed.
    """
    try:
        file = os.fdopen(open_at_once(path), "rb")
    except FileNotFoundError:
        return False
    with file:
        before = os.fstat(file.fileno())
        if before.st_size or time.time() < before.st_mtime + UNBEGUN_S or not hold(file.fileno()):
            return False
        there = os.fstat(file.fileno())
        left = there.st_size == 0 and stands_for(path, file.fileno())
        if left:
            path.unlink()
        return left


@contextlib.contextmanager
def claimed_journal(path: Path) -> Iterator[Iterator[bytes] | None]:
    """Hold a journal that was left, and give its lines; ``None`` where its writer lives, or it is gone.

    Raises:
        OSError: it cannot be read.
    """
    try:
        file = os.fdopen(open_at_once(path), "rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        if os.fstat(file.fileno()).st_size == 0:  # somebody is about to begin it, and must find it free
            yield None
            return
        if not hold(file.fileno()):
            yield None
            return
        there = os.fstat(file.fileno())
        yield file if there.st_nlink and there.st_size else None  # an empty one is about to be written
