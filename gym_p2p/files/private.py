"""Files and folders that only their owner can read and look into.

They hold what participants did. A folder that is there already stays as it is.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from gym_p2p.errors import ConfigurationError
from gym_p2p.files.problems import disk_problem

__all__ = ["check_directory", "check_place", "make_folder", "open_private", "private"]

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700


def check_directory(directory: str | Path, *, option: str = "exports") -> Path:
    """Make the folder if need be, and return its absolute path.

    Args:
        directory: the folder.
        option: which of the user's options names it.

    Raises:
        ConfigurationError: of that option: no file can be written there.
    """
    path = Path(directory).absolute()
    with _told_of(directory, option):
        make_folder(path)
        _write_into(path)
    return path


def check_place(directory: str | Path, *, option: str = "exports") -> None:
    """Pass where :func:`check_directory` most probably will, and leave nothing: neither it nor those above.

    Raises:
        ConfigurationError: of that option: no file can be written there, or no such folder made.
    """
    path = Path(directory).absolute()
    with _told_of(directory, option):
        _write_into(next(one for one in (path, *path.parents) if _is_there(one)))


def _is_there(path: Path) -> bool:
    """Return whether something is there; raise ``OSError`` where that cannot be, as below a file."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


def _write_into(folder: Path) -> None:
    probe = folder / f".{secrets.token_hex(8)}.tmp"
    probe.touch(exist_ok=False)
    probe.unlink()


@contextlib.contextmanager
def _told_of(directory: str | Path, option: str) -> Iterator[None]:
    """Let the block raise what a disk answers as an error of the option that names the folder."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            option, f"cannot write to {str(directory)!r}: {disk_problem(error)}; name another folder"
        ) from error


def make_folder(path: Path) -> None:
    """Make a folder that only its owner can look into, and those above it that are missing.

    Raises:
        OSError: it cannot be made, or a file stands there.
    """
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)


def open_private(path: Path, mode: Literal["xb", "x+b", "ab"]) -> BinaryIO:
    """Open a file that only its owner can read where it is made here; a stricter umask is respected.

    One that is also read (``"x+b"``) has no buffer: what it did not take is not there.

    Raises:
        OSError: it cannot be opened; or it is there already (``"xb"``, ``"x+b"``).
    """
    buffering = 0 if mode == "x+b" else -1
    return open(path, mode, buffering=buffering, opener=private)


def private(path: str, flags: int) -> int:
    """Open a file as :func:`open_private` does; an ``opener``, as ``open`` takes one."""
    return os.open(path, flags, _FILE_MODE)
