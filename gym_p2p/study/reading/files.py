"""Finds what can be read below a folder, and of which match it is, without reading it whole.

Files come from anyone: no link leads out of the folder, nothing but regular files is opened, and there are
bounds on how many there are, how deep they lie and how large one is once it is unpacked. What is left out is
said. It knows names and first lines; what the documents say is read by
:mod:`gym_p2p.study.reading.documents`.
"""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import attrs
import msgspec

from gym_p2p.errors import UsageError
from gym_p2p.study.problems import Problems

__all__ = ["MAX_BYTES", "Found", "Unreadable", "find", "first_bytes", "unpacked"]

MAX_BYTES = 2**28
"""Of a document, unpacked: eight hours of two seats at 60 Hz have less."""
_MAX_ENTRIES = 1_000_000
_MAX_DEPTH = 16
_PEEK_BYTES = 2**16
_MAX_HEADER_BYTES = 2**20

_QUIET = ("index.jsonl", "decisions.jsonl")
_OF_LINKS = {".csv": b"code,expires,link", ".jsonl": b'{"code":"'}
"""How files begin in which a host of people keeps its links, which have any name; by their ending."""
_DOCUMENT = re.compile(r"\.json(\.gz)?$")
_JOURNAL = re.compile(r"\.journal\.jsonl$")
_RECORDING = re.compile(r"\.p2preplay(\.part)?$")
_FRAMES = re.compile(r"\.csv$")
_MATCH_LOG = re.compile(r"\.jsonl$")
_STARTS = re.compile(
    rb'\s*\{\s*(?:"schemaVersion"\s*:\s*\d+\s*,\s*)?"gameId"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)\s*,'
)


class Unreadable(Exception):
    """A file that cannot be used, and why.

    Attributes:
        kind: one of the codebook's.
        problem: in words.
    """

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(problem)
        self.kind = kind
        self.problem = problem


@attrs.frozen
class Found:
    """A file that belongs to a match.

    Attributes:
        path: where it is.
        name: the same, relative to what was loaded.
        kind: document, journal or recording; of the browser framework also frames, and match log.
        match: whose, as its beginning says; of these two empty until they are placed.
        size_bytes: on the disk.
        changed_ns: when it was changed.
        line: of a match log, the line that is about the match.
    """

    path: str
    name: str
    kind: str
    match: str
    size_bytes: int
    changed_ns: int
    line: bytes = b""


def find(root: Path, problems: Problems) -> list[Found]:
    """Return every file of a match at or below a path, in the order of their names.

    Raises:
        UsageError: there is nothing at this path.
    """
    if not root.exists():
        raise UsageError(f"there is no file or folder {str(root)!r}")
    if root.is_file():
        entries: Iterator[tuple[Path, str]] = iter([(root, root.name)])
    else:
        entries = _walk(root, problems)
    found = (_of_match(path, name, problems) for path, name in entries)
    return sorted((one for one in found if one is not None), key=lambda one: one.name)


def unpacked(path: str) -> bytes:
    """Return a file's bytes; of one that is gzip, what is in it.

    Raises:
        Unreadable: it cannot be read, or is too large.
    """
    try:
        with _open(path) as file:
            if file.read(2) == b"\x1f\x8b":
                file.seek(0)
                return b"".join(_inflated(file, MAX_BYTES))
            file.seek(0)
            size_bytes = os.fstat(file.fileno()).st_size  # so much is set aside, not what there might be
            data = file.read(min(MAX_BYTES, size_bytes) + 1)
    except OSError as error:
        raise Unreadable("unreadable", f"cannot be read ({error.strerror or error})") from error
    if len(data) > MAX_BYTES:
        raise Unreadable("skipped", f"is larger than {MAX_BYTES // 2**20} MiB")
    return data


def first_bytes(path: str, most: int) -> bytes:
    """Return the begin of a file.

    Raises:
        Unreadable: it cannot be read.
    """
    try:
        with _open(path) as file:
            return file.read(most)
    except OSError as error:
        raise Unreadable("unreadable", f"cannot be read ({error.strerror or error})") from error


def _open(path: str | Path) -> IO[bytes]:
    """Open a regular file; a pipe that nobody writes to would never open."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("no regular file")
    return os.fdopen(descriptor, "rb")


def _inflated(file: IO[bytes], limit: int) -> Iterator[bytes]:
    left = limit
    stream, begun = zlib.decompressobj(wbits=31), False
    for packed in iter(lambda: file.read(2**18), b""):
        rest = packed
        while rest:
            try:
                piece = stream.decompress(rest, left + 1)
            except zlib.error as error:
                raise Unreadable("unreadable", f"cannot be unpacked ({error})") from error
            left -= len(piece)
            if left < 0:
                raise Unreadable("skipped", f"unpacks to more than {limit // 2**20} MiB")
            yield piece
            rest, begun = stream.unconsumed_tail, True
            if stream.eof:  # another member may follow
                rest, begun = stream.unused_data, False
                stream = zlib.decompressobj(wbits=31)
    if begun:
        raise Unreadable("unreadable", "is cut: its gzip stream does not end")


def _walk(root: Path, problems: Problems) -> Iterator[tuple[Path, str]]:
    left, inside = _MAX_ENTRIES, os.path.realpath(root)
    folders: list[tuple[str, str, int]] = [(str(root), "", 0)]
    while folders:
        folder, name, depth = folders.pop()
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            problems.add("unreadable", f"the folder cannot be read ({error.strerror})", path=name or ".")
            continue
        for entry in listed:
            left -= 1
            if left < 0:
                problems.add("skipped", f"more than {_MAX_ENTRIES} entries: the rest was left out")
                return
            if entry.name.startswith("."):
                continue  # caches, spools, and what is being written
            below = f"{name}/{entry.name}" if name else entry.name
            kind = _entry_kind(entry, inside)
            if kind == "folder":
                if depth < _MAX_DEPTH:
                    folders.append((entry.path, below, depth + 1))
                else:
                    problems.add("skipped", f"lies more than {_MAX_DEPTH} folders deep", path=below)
            elif kind == "file":
                yield Path(entry.path), below
            else:
                problems.add("skipped", kind, path=below)


def _entry_kind(entry: os.DirEntry[str], inside: str) -> str:
    """Return file, folder, or why it is left out."""
    try:
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            leads = "within it" if f"{target}/".startswith(f"{inside}/") else "out of the folder"
            return f"is a link that leads {leads}"
        if entry.is_dir(follow_symlinks=False):
            return "folder"
        return "file" if entry.is_file(follow_symlinks=False) else "is no regular file"
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"


def _of_match(path: Path, name: str, problems: Problems) -> Found | None:
    if path.name in _QUIET:
        return None
    try:
        if (begins := _OF_LINKS.get(path.suffix)) and first_bytes(str(path), len(begins)) == begins:
            return None
        for pattern, kind, peek in _KINDS:
            if pattern.search(path.name):
                match = peek(str(path))
                status = path.stat()
                return Found(str(path), name, kind, match, status.st_size, status.st_mtime_ns)
        problems.add("foreign", "is no file of a match", path=name)
    except Unreadable as error:
        problems.add(error.kind, error.problem, path=name)
    except OSError as error:
        problems.add("unreadable", f"cannot be read ({error.strerror or error})", path=name)
    return None


def _peek_document(path: str) -> str:
    """Return the match of a document: of its first bytes, where those of ours have it."""
    with _open(path) as file:
        start = file.read(_PEEK_BYTES)
    if start.startswith(b"\x1f\x8b"):
        try:
            start = zlib.decompressobj(wbits=31).decompress(start, _PEEK_BYTES)
        except zlib.error as error:
            raise Unreadable("unreadable", f"cannot be unpacked ({error})") from error
    stands = _STARTS.match(start)
    head = stands.group(1) if stands else unpacked(path)
    try:
        if stands:
            return str(msgspec.json.decode(head, type=int | str))
        return str(_HEADERS.decode(head).gameId)
    except (ValueError, RecursionError) as error:
        raise Unreadable(*_why_not(head, error)) from error


def _why_not(data: bytes, error: Exception) -> tuple[str, str]:
    if isinstance(error, msgspec.ValidationError):
        return "foreign", "is no document of a match"
    if isinstance(error, RecursionError):
        return "unreadable", "is nested too deeply"
    return "unreadable", "is empty" if not data.strip() else f"is no JSON ({error})"


def _peek_recording(path: str) -> str:
    with _open(path) as file:
        return _first_line(file.readline(_MAX_HEADER_BYTES), "recording")


def _peek_journal(path: str) -> str:
    with _open(path) as file:
        return _first_line(file.readline(_MAX_HEADER_BYTES), "journal")


def _peek_frames(path: str) -> str:
    """Of its header: what a table of frames has, and the other tables of the framework have not."""
    columns = first_bytes(path, _MAX_HEADER_BYTES).partition(b"\n")[0].decode(errors="replace").split(",")
    if not {"t", "episode_num"} <= {column.strip('"\r') for column in columns}:
        raise Unreadable("foreign", "is no table of an episode's frames")
    return ""


def _peek_match_log(path: str) -> str:
    start = first_bytes(path, _MAX_HEADER_BYTES)
    if b'"game_id"' not in start or b'"participants"' not in start:
        raise Unreadable("foreign", "is no log of matches")
    return ""


def _first_line(line: bytes, what: str) -> str:
    try:
        header = _FIRST_LINES.decode(line)
    except (ValueError, RecursionError) as error:
        raise Unreadable("unreadable", f"is no {what}: its first line is not that of one") from error
    match = header.match_id if header.match_id is not None else header.gameId
    if match is None:
        raise Unreadable("unreadable", f"is no {what}: it names no match")
    return str(match)


class _Header(msgspec.Struct):
    gameId: int | str  # noqa: N815 - the exports' names


class _FirstLine(msgspec.Struct):
    match_id: int | str | None = None
    gameId: int | str | None = None  # noqa: N815 - the exports' names


_HEADERS = msgspec.json.Decoder(_Header)
_FIRST_LINES = msgspec.json.Decoder(_FirstLine)

_KINDS = (
    (_JOURNAL, "journal", _peek_journal),
    (_RECORDING, "recording", _peek_recording),
    (_DOCUMENT, "document", _peek_document),
    (_FRAMES, "frames", _peek_frames),
    (_MATCH_LOG, "match log", _peek_match_log),
)
