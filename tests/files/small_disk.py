"""A folder on a disk that takes only so many bytes, whoever writes them."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

from gym_p2p.files.private import open_private, private

__all__ = ["SmallDisk"]


class SmallDisk:
    """The folder.

    Attributes:
        takes_parts: whether a write for which there is no room puts down what there is room for, as disks do.
        opened: every file that was opened in it.
    """

    def __init__(self, folder: Path, room_bytes: int) -> None:
        self.folder = folder
        self.room_bytes = room_bytes
        self.takes_parts = False
        self.opened: list[io.FileIO] = []

    @property
    def left_bytes(self) -> int:
        return self.room_bytes - sum(p.stat().st_size for p in self.folder.rglob("*") if p.is_file())

    def open_private(self, path: Path, mode: Any) -> Any:
        """Open a file as ``gym_p2p.files.private.open_private`` does."""
        if not path.is_relative_to(self.folder):
            return open_private(path, mode)
        file = _File(self, path, mode.replace("b", ""))
        self.opened.append(file)
        return file if mode == "x+b" else io.BufferedWriter(file)


class _File(io.FileIO):
    def __init__(self, disk: SmallDisk, path: Path, mode: str) -> None:
        super().__init__(str(path), mode, opener=private)
        self._disk = disk

    def write(self, data: Any) -> int:
        left_bytes = self._disk.left_bytes
        if len(data) <= left_bytes:
            return super().write(data)
        if self._disk.takes_parts and left_bytes > 0:
            return super().write(memoryview(data)[:left_bytes])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
