"""Players' documents on disk, as they lie on the players' own, and the aggregate of a whole match.

``<data>/<folder of the match>/<player>.<kind>.json``, or ``.json.gz`` where it is large, ``aggregate.json``,
and beside the folders ``index.jsonl``. The folder's name is in the token, so that it is the players' own.

Every file appears whole or not at all, and is on the disk before :meth:`Store.put` returns. Ids are never
trusted as path parts. Blocking: call it from a worker thread. It knows no HTTP and judges no token.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs
import msgspec

from gym_p2p.core.record.aggregate import aggregate
from gym_p2p.core.record.folders import short_id
from gym_p2p.core.record.index import told_index_entry
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ProtocolError
from gym_p2p.exports.documents import (
    LARGE_BYTES,
    Kind,
    document_path,
    find_document,
    read_document,
    write_pieces,
)
from gym_p2p.exports.index import INDEX, append_to_index
from gym_p2p.files.lines import read_lines
from gym_p2p.files.names import path_component
from gym_p2p.files.problems import disk_problem
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.tokens import UploadClaims

__all__ = ["DocumentError", "ForeignDocumentError", "Store", "ids_of"]

_LOG = client_log(__name__)
_Shape = TypeVar("_Shape")


class DocumentError(ValueError):
    """What was uploaded is no document at all; the text may go to the client."""


class ForeignDocumentError(DocumentError):
    """It is a document, but of another match or player than the token's."""


@attrs.frozen
class _Header:
    """What every document says about itself; the rest is checked for syntax, but not built."""

    gameId: str  # noqa: N815  # the exports' names
    playerId: int | str  # noqa: N815


_HEADER = msgspec.json.Decoder(_Header)
"""Made on import, for uploads are stored by threads: see :func:`gym_p2p.core.api.payloads.prepare`."""


class Store:
    """The documents under one data directory.

    Args:
        directory: exists and is writable.
        now: Unix seconds, for the aggregate's date.
    """

    def __init__(self, directory: Path, *, now: Callable[[], float] = time.time) -> None:
        self.directory = directory.absolute()  # wherever the host goes meanwhile
        self._now = now

    def folder(self, claims: UploadClaims) -> Path:
        """Return where a match's documents are, or would be."""
        return self.directory / path_component(claims.folder or claims.match_id)

    def path(self, claims: UploadClaims, player_id: SeatId, kind: Kind) -> Path:
        """Return where a document is, or would be where it is not large."""
        return document_path(self.folder(claims), player_id, kind)

    def aggregate_path(self, claims: UploadClaims) -> Path:
        """Return where a match's aggregate is, or would be where it is not large."""
        return self.folder(claims) / "aggregate.json"

    def put(self, claims: UploadClaims, kind: Kind, body: bytes) -> None:
        """Store a document, replacing an earlier one of its kind.

        Raises:
            DocumentError: it is no JSON document.
            ForeignDocumentError: it says that it belongs to another match or player.
            OSError: it could not be stored.
        """
        header = _decode(body, _HEADER)
        if (header.gameId, header.playerId) != (claims.match_id, claims.player_id):
            raise ForeignDocumentError("the document's gameId and playerId are not those of the token")
        path = self.path(claims, claims.player_id, kind)
        new = kind == "multiplayer" and find_document(path) is None
        entry = told_index_entry(body, path.parent.name) if new else None
        write_pieces(path, [body])
        if entry is not None:
            try:
                append_to_index(self.directory, entry)
            except OSError as error:  # it is stored all the same
                _LOG.error("match %s: not in %s: %s", claims.match_id, INDEX, disk_problem(error))

    def read(self, match_id: str, player: str, kind: Kind) -> bytes | None:
        """Return a stored document, or ``None`` if there is none.

        Args:
            match_id: of which match.
            player: the player's id, as JSON or simply as text.
            kind: which.

        Raises:
            OSError: it cannot be read.
        """
        folders = [self.directory / path_component(match_id)]
        folders += sorted(self.directory.glob(f"*-{short_id(match_id)}"))
        for path in (document_path(folder, one, kind) for folder in folders for one in ids_of(player)):
            if find_document(path) is not None:
                document = read_document(path)
                if _decode(document, _HEADER).gameId == match_id:
                    return document
        return None

    def listed(self) -> list[dict[str, Any]]:
        """Return the index: a line for each player of each match."""
        return list(read_lines(self.directory / INDEX, dict[str, Any]))

    def missing(self, claims: UploadClaims) -> bool:
        """Whether a player's multiplayer document, of which the aggregate is made, is not here yet."""
        return any(find_document(path) is None for path in self._to_aggregate(claims).values())

    def size_bytes(self, claims: UploadClaims) -> int:
        """Return how large all of these are together on the disk; of one that is compressed at least so."""
        found = (find_document(path) for path in self._to_aggregate(claims).values())
        return sum(path.stat().st_size if path.suffix == ".json" else LARGE_BYTES for path in found if path)

    def aggregate(self, claims: UploadClaims) -> None:
        """Compare the documents of a match and store the aggregate; what cannot be compared is logged.

        Raises:
            OSError: it could not be stored, or a document is missing.
        """
        try:
            result = aggregate(
                {p: partial(read_document, path) for p, path in self._to_aggregate(claims).items()},
                game_id=claims.match_id,
                aggregated_at_ms=round(self._now() * 1000),
                subjects=dict(zip(claims.player_ids, claims.subject_ids, strict=False)),
            )
        except (ProtocolError, RecursionError, MemoryError) as error:
            _LOG.warning("match %s: not aggregated: %s", claims.match_id, error or type(error).__name__)
            return
        write_pieces(self.aggregate_path(claims), [msgspec.json.encode(result)])
        _LOG.info("match %s: all documents are in, aggregate stored", claims.match_id)

    def _to_aggregate(self, claims: UploadClaims) -> dict[SeatId, Path]:
        return {player: self.path(claims, player, "multiplayer") for player in claims.player_ids}


def ids_of(player: str) -> list[SeatId]:
    """Return which players' ids a text can be: as JSON, or simply as it is."""
    ids: list[SeatId] = [player]
    with contextlib.suppress(ValueError):
        ids.insert(0, msgspec.json.decode(player, type=int | str))
    return ids


def _decode(body: bytes, decoder: msgspec.json.Decoder[_Shape]) -> _Shape:
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError):
        raise DocumentError("not a JSON document with gameId and playerId") from None
