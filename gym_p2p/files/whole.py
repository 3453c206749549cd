"""Files that get to their place without ever being seen half written."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from gym_p2p.files.private import make_folder, open_private

__all__ = ["replacing", "write_bytes"]


def write_bytes(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part.

    Raises:
        OSError: the file could not be written, and what was there before is untouched; or its folder could
            not be, and the new file may not outlast a power cut.
    """
    with replacing(path) as file:
        file.writelines(chunks)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the place of ``path`` at the end, once it is whole and on the disk.

    When it returns, the new file outlasts a power cut, its name and a new folder's included. When the block
    raises, what was there before is untouched, and nothing is left over.

    Raises:
        OSError: the file could not be written.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    file = open_private(temporary, "xb")
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)
    _sync_folder(path.parent.parent)  # where the folder itself may be new


def _sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut (fsync(2), NOTES), where that can be asked for."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # a folder that may be written, but not read
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})
"""What file systems answer that flush no folders; anything else is a disk in trouble."""
