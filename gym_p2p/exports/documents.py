"""Documents as files: where they lie, how they are written and read.

``<exports>/<folder of the match>/<player>.<kind>.json``, or ``.json.gz`` where it is large. Beside the
folders lies ``index.jsonl``, a line for each player of each match: see :mod:`gym_p2p.exports.index`.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib.resources
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Any

import msgspec

from gym_p2p.core.record.documents import KINDS, Kind
from gym_p2p.core.record.folders import match_folder, short_id
from gym_p2p.errors import ConfigurationError
from gym_p2p.exports.encoding import encode
from gym_p2p.files.names import path_component
from gym_p2p.files.whole import replacing, write_bytes

__all__ = [
    "KINDS",
    "LARGE_BYTES",
    "SCHEMAS",
    "Kind",
    "document_path",
    "find_document",
    "match_path",
    "open_document",
    "packed_path",
    "player_of",
    "read_document",
    "schema",
    "write_document",
    "write_pieces",
]

SCHEMAS = (*KINDS, "aggregate")
"""What has a published schema: the documents, and what the service makes of those of a match."""
LARGE_BYTES = 2**20
"""A document of more than this is written compressed: to a twelfth, or so."""
_LEVEL = 6
"""Zlib's default: half the time of the highest, for a hundredth of the size."""


def match_path(directory: Path, match_id: str, *, made_at_ms: int | None, place: str, now_ms: int) -> Path:
    """Return the folder of a match below the exports' folder; it need not be there yet.

    Args:
        directory: the exports' folder.
        match_id: the match.
        made_at_ms: when it was made, as the service says it to all its players.
        place: the queue or the room that it comes from.
        now_ms: what counts as that where an older service does not say: then a folder that another player of
            the match has made here is taken.
    """
    if made_at_ms is None:
        with contextlib.suppress(OSError):
            there = sorted(directory.glob(f"*-{short_id(match_id)}"))
            if there:
                return there[0]
    name = match_folder(match_id, made_at_ms=now_ms if made_at_ms is None else made_at_ms, place=place)
    return directory / name


def document_path(folder: str | Path, player_id: str | int, kind: str) -> Path:
    """Return ``<folder>/<playerId>.<kind>.json``, whatever the id is; of a large one see :func:`packed_path`.

    Raises:
        ConfigurationError: there is no such kind of document.
    """
    return Path(folder) / f"{path_component(player_id)}.{_kind(kind)}.json"


def player_of(path: Path, kind: str) -> str:
    """Return the player's part of a document's name, packed or not: so all their files' names begin."""
    return path.name.removesuffix(".gz").removesuffix(f".{kind}.json")


def packed_path(path: Path) -> Path:
    """Return where a document is if it is large."""
    return path.with_name(f"{path.name}.gz")


def find_document(path: Path) -> Path | None:
    """Return where a document is, as it is or compressed; ``None`` if it is not."""
    return next((found for found in (path, packed_path(path)) if found.is_file()), None)


def schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a kind of document, or of the ``aggregate``.

    Raises:
        ConfigurationError: there is no such kind of document.
    """
    if kind not in SCHEMAS:
        raise ConfigurationError("kind", f"wanted one of {', '.join(SCHEMAS)}, got {kind!r}")
    resource = importlib.resources.files("gym_p2p").joinpath("schemas", f"{kind}.schema.json")
    loaded: dict[str, Any] = json.loads(resource.read_text(encoding="utf-8"))
    return loaded


def write_document(path: Path, document: Mapping[str, Any] | msgspec.Struct) -> Path:
    """Write a document as JSON, compressed where it is large; return where it is.

    Raises:
        OSError: the file could not be written; the old one is untouched.
    """
    return write_pieces(path, encode(document))


def write_pieces(path: Path, pieces: Iterable[bytes]) -> Path:
    """Write a document's JSON, compressed where it is large; return where it is.

    Of the two files that it can be, a reader sees one or, for a moment, the old one as well.

    Raises:
        OSError: the file could not be written; the old one is untouched.
    """
    pieces = iter(pieces)
    begin: list[bytes] = []
    size_bytes = 0
    for piece in pieces:
        begin.append(piece)
        size_bytes += len(piece)
        if size_bytes > LARGE_BYTES:
            break
    else:
        write_bytes(path, begin)
        packed_path(path).unlink(missing_ok=True)
        return path
    packed = packed_path(path)
    with replacing(packed) as file, gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as squeezed:
        for piece in chain(begin, pieces):
            squeezed.write(piece)
    path.unlink(missing_ok=True)
    return packed


@contextlib.contextmanager
def open_document(path: Path) -> Iterator[IO[bytes]]:
    """Open a document that lies there or, compressed, beside it.

    Raises:
        OSError: it cannot be read, or is damaged.
    """
    found = find_document(path) or path
    opened: Any = gzip.open if found.suffix == ".gz" else open
    with opened(found, "rb") as file:
        try:
            yield file
        except (EOFError, zlib.error) as error:
            raise OSError(f"{found} is damaged: {error}") from error


def read_document(path: Path) -> bytes:
    """Return a document's JSON.

    Raises:
        OSError: it cannot be read, or is damaged.
    """
    with open_document(path) as file:
        return file.read()


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise ConfigurationError("kind", f"wanted one of {', '.join(KINDS)}, got {kind!r}")
    return kind
