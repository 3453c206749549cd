"""Players' documents on disk: ``<data>/<match>/<player>.<kind>.json``, and the aggregate of a whole match.

Every file appears whole or not at all, and is on the disk before :meth:`Store.put` returns. Ids are never
trusted as path parts. Blocking: call it from a worker thread. It knows no HTTP and judges no token.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import attrs
import msgspec

from gym_p2p.core.record.aggregate import aggregate
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ProtocolError
from gym_p2p.exports.documents import Kind, document_path
from gym_p2p.files.names import path_component
from gym_p2p.files.whole import write_bytes
from gym_p2p.server.guard.tokens import UploadClaims

__all__ = ["DocumentError", "ForeignDocumentError", "Store"]

_LOG = logging.getLogger(__name__)
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
_DOCUMENT = msgspec.json.Decoder(dict[str, Any])


class Store:
    """The documents under one data directory.

    Args:
        directory: exists and is writable.
        now: Unix seconds, for the aggregate's date.
    """

    def __init__(self, directory: Path, *, now: Callable[[], float] = time.time) -> None:
        self.directory = directory.absolute()  # wherever the host goes meanwhile
        self._now = now

    def path(self, match_id: str, player_id: SeatId, kind: Kind) -> Path:
        """Return where a document is, or would be."""
        return document_path(self.directory, match_id, player_id, kind)

    def aggregate_path(self, match_id: str) -> Path:
        """Return where a match's aggregate is, or would be."""
        return self.directory / path_component(match_id) / "aggregate.json"

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
        write_bytes(self.path(claims.match_id, claims.player_id, kind), [body])

    def missing(self, claims: UploadClaims) -> bool:
        """Whether a player's multiplayer document, of which the aggregate is made, is not here yet."""
        return not all(path.exists() for path in self._to_aggregate(claims).values())

    def size_bytes(self, claims: UploadClaims) -> int:
        """Return how large all of these are together."""
        return sum(path.stat().st_size for path in self._to_aggregate(claims).values())

    def aggregate(self, claims: UploadClaims) -> None:
        """Compare the documents of a match and store the aggregate; what cannot be compared is logged.

        Raises:
            OSError: it could not be stored, or a document is missing.
        """
        try:
            documents = {
                p: _decode(path.read_bytes(), _DOCUMENT) for p, path in self._to_aggregate(claims).items()
            }
            result = aggregate(
                documents,
                game_id=claims.match_id,
                aggregated_at_ms=round(self._now() * 1000),
                subjects=dict(zip(claims.player_ids, claims.subject_ids, strict=False)),
            )
        except (DocumentError, ProtocolError, RecursionError, MemoryError) as error:
            _LOG.warning("match %s: not aggregated: %s", claims.match_id, error or type(error).__name__)
            return
        write_bytes(self.aggregate_path(claims.match_id), [msgspec.json.encode(result)])
        _LOG.info("match %s: all documents are in, aggregate stored", claims.match_id)

    def _to_aggregate(self, claims: UploadClaims) -> dict[SeatId, Path]:
        return {player: self.path(claims.match_id, player, "multiplayer") for player in claims.player_ids}


def _decode(body: bytes, decoder: msgspec.json.Decoder[_Shape]) -> _Shape:
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError):
        raise DocumentError("not a JSON document with gameId and playerId") from None
