"""Documents as files: where they lie, and how they get there without ever being seen half written.

They hold what participants did, so only their owner can read them and look into their folders; a folder that
is there already stays as it is. It knows names and the file system; it refuses to know the network and what
the documents say.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.resources
import json
import os
import re
import secrets
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from gym_p2p.core.record.documents import KINDS, Kind
from gym_p2p.errors import ConfigurationError, NotWritten
from gym_p2p.exports.encoding import encode

__all__ = [
    "KINDS",
    "Kind",
    "check_directory",
    "disk_problem",
    "document_path",
    "make_folder",
    "open_private",
    "path_component",
    "private",
    "replacing",
    "schema",
    "telling_the_disk",
    "write_bytes",
    "write_document",
]

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700

_MAX_COMPONENT = 120
"""With the longest suffix and a temporary's prefix below the 255 bytes that file systems allow."""


def path_component(name: str | int) -> str:
    """Return a name for a file or folder: readable where it can be, never anything but one component.

    Different ids have different names, also ``1`` and ``"1"``: what is not plain is percent-encoded, a text
    that looks like a number as well, and what is too long ends in a hash.
    """
    if isinstance(name, int):
        return str(int(name)) if abs(name) < 10**_MAX_COMPONENT else _shortened(str(name))
    encoded = urllib.parse.quote(name, safe="", errors="surrogatepass").replace("~", "%7E")
    if re.fullmatch(r"-?[0-9]+", encoded) or encoded.startswith("."):
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if not encoded:
        return "%"
    return encoded if len(encoded) <= _MAX_COMPONENT else _shortened(encoded)


def _shortened(encoded: str) -> str:
    digest = hashlib.sha256(encoded.encode()).hexdigest()[:32]
    return f"{encoded[: _MAX_COMPONENT - 33]}~{digest}"  # no shorter name has a tilde


def document_path(directory: str | Path, game_id: str, player_id: str | int, kind: str) -> Path:
    """Return ``<directory>/<gameId>/<playerId>.<kind>.json``, whatever the ids are.

    Raises:
        ConfigurationError: there is no such kind of document.
    """
    return Path(directory) / path_component(game_id) / f"{path_component(player_id)}.{_kind(kind)}.json"


def schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a kind of document.

    Raises:
        ConfigurationError: there is no such kind of document.
    """
    resource = importlib.resources.files("gym_p2p").joinpath("schemas", f"{_kind(kind)}.schema.json")
    loaded: dict[str, Any] = json.loads(resource.read_text(encoding="utf-8"))
    return loaded


_DISK_PROBLEMS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "it grew larger than a file may be here (ulimit -f, or the file system's limit)",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.ENOENT: "there is no such folder",
    errno.ENOTDIR: "a file stands where a folder was wanted",
    errno.EEXIST: "a file stands where a folder was wanted",
    errno.EISDIR: "a folder stands in its place",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EMFILE: "this process has too many files open",
    errno.EIO: "the disk fails (I/O error)",
}


def disk_problem(error: Exception) -> str:
    """Return why a file could not be written, in words; of another error, its own.

    >>> disk_problem(OSError(errno.ENOSPC, "No space left on device"))
    'the disk is full'
    """
    if isinstance(error, OSError) and error.errno is not None:
        return _DISK_PROBLEMS.get(error.errno) or error.strerror or str(error)
    return str(error)


@contextlib.contextmanager
def telling_the_disk(path: str | Path) -> Iterator[None]:
    """Let a block that writes this file raise what the disk answers as :class:`NotWritten`."""
    try:
        yield
    except OSError as error:
        raise NotWritten(path, disk_problem(error)) from error


def check_directory(directory: str | Path, *, option: str = "exports") -> Path:
    """Make the folder if need be, and return its absolute path.

    Args:
        directory: the folder.
        option: which of the user's options names it.

    Raises:
        ConfigurationError: of that option: no file can be written there.
    """
    path = Path(directory).absolute()
    probe = path / f".{secrets.token_hex(8)}.tmp"
    try:
        make_folder(path)
        probe.touch(exist_ok=False)
        probe.unlink()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            option,
            f"cannot write to {str(directory)!r}: {disk_problem(error)}; "
            "name another folder, or None for no files",
        ) from error
    return path


def make_folder(path: Path) -> None:
    """Make a folder that only its owner can look into, and those above it that are missing.

    Raises:
        OSError: it cannot be made, or a file stands there.
    """
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)


def open_private(path: Path, mode: Literal["xb", "ab"]) -> BinaryIO:
    """Open a file that only its owner can read where it is made here; a stricter umask is respected.

    Raises:
        OSError: it cannot be opened; or it is there already (``"xb"``).
    """
    return open(path, mode, opener=private)


def private(path: str, flags: int) -> int:
    """Open a file as :func:`open_private` does; an ``opener``, as ``open`` takes one."""
    return os.open(path, flags, _FILE_MODE)


def write_document(path: Path, document: Mapping[str, Any] | msgspec.Struct) -> None:
    """Write a document as JSON, as :func:`write_bytes` does.

    Raises:
        OSError: the file could not be written; the old one is untouched.
    """
    write_bytes(path, encode(document))


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


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise ConfigurationError("kind", f"wanted one of {', '.join(KINDS)}, got {kind!r}")
    return kind


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
