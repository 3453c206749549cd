"""A file that grows while somebody holds it, and gets its name when it is whole.

Where its folder takes no more of it, it goes on in another one, with all that was in it; where its folder was
deleted, in that same folder, made anew. It knows the file system; it refuses to know what the file says.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from typing import BinaryIO

from gym_p2p.files.private import make_folder, open_private
from gym_p2p.files.problems import disk_problem

__all__ = ["GrowingFile"]

_PIECE_BYTES = 2**20


class GrowingFile:
    """The file; made, and held until it is closed, when this is.

    Args:
        path: its name once it is whole.
        suffix: what its name ends in until then.
        fallback: the folder in which it goes on; ``None``: nowhere.

    Attributes:
        path: its name, which is another one once it had to move.
        moved: that it had to, and why, in words; ``None`` where it did not.

    Raises:
        OSError: it cannot be made, or is there already.
    """

    def __init__(self, path: Path, suffix: str, *, fallback: Path | None = None) -> None:
        self.path = path
        self.moved: str | None = None
        self._suffix = suffix
        self._fallback = fallback
        self._whole_bytes = 0
        self._file = self._made(path)

    @property
    def partial(self) -> Path:
        """Where it is until it is whole."""
        return Path(f"{self.path}{self._suffix}")

    @property
    def closed(self) -> bool:
        """Whether nothing can be added any more: it is whole, cut, or held by the process that was forked."""
        return self._file.closed

    def append(self, data: bytes) -> None:
        """Add to its end, all or nothing.

        Raises:
            OSError: no folder takes it; what was there before still is.
        """
        try:
            if self._deleted:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            self._write(data)
        except OSError as error:
            self._move(error)
            self._write(data)
        self._whole_bytes += len(data)

    def finish(self) -> None:
        """Give it its name, on the disk. It cannot be added to any more.

        Raises:
            OSError: it could not be given its name; what is there of it still is.
        """
        if self._deleted:
            self._move(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
        try:
            self._give_name()
        except OSError as error:  # a disk may find out as late as that, and a folder that is read-only now
            self._move(error)
            self._give_name()
        self._file.close()

    def cut(self) -> None:
        """Leave it as it is, without what was written of it by half. Never raises; idempotent."""
        with contextlib.suppress(OSError, ValueError):
            self._file.truncate(self._whole_bytes)
        self.close()

    def close(self) -> None:
        """Let go of it: whoever finds it may finish it. Idempotent."""
        self._file.close()

    def _give_name(self) -> None:
        os.fsync(self._file.fileno())
        self.partial.replace(self.path)

    @property
    def _deleted(self) -> bool:
        return os.fstat(self._file.fileno()).st_nlink == 0

    def _write(self, data: bytes) -> None:
        try:
            _write_all(self._file, data)
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._whole_bytes)
                self._file.seek(self._whole_bytes)
            raise

    def _move(self, why: OSError) -> None:
        """Go on elsewhere with all that is whole of it.

        Raises:
            OSError: there is nowhere; it is where it was.
        """
        places = [self.path] if self._deleted else []
        if self._fallback is not None and self._fallback != self.path.parent:
            places.append(self._fallback / self.path.name)
        for path in places:
            try:
                self._move_to(path)
            except OSError:
                continue
            self.moved = f"{disk_problem(why)}: it goes on in {path.parent}"
            return
        raise why

    def _move_to(self, path: Path) -> None:
        before, there = self._file, self.partial
        file = self._made(path)
        try:
            for start in range(0, self._whole_bytes, _PIECE_BYTES):
                size = min(_PIECE_BYTES, self._whole_bytes - start)
                _write_all(file, os.pread(before.fileno(), size, start))
        except OSError:
            file.close()
            Path(f"{path}{self._suffix}").unlink(missing_ok=True)
            raise
        self.path, self._file = path, file
        if there != self.partial:
            with contextlib.suppress(OSError):
                there.unlink(missing_ok=True)
        before.close()

    def _made(self, path: Path) -> BinaryIO:
        make_folder(path.parent)
        file = open_private(Path(f"{path}{self._suffix}"), "x+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise
        return file


def _write_all(file: BinaryIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
