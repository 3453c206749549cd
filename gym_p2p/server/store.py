"""Players' documents on disk: ``<data>/<match>/<player>.<kind>.json``, and the aggregate of a whole match.

Every file appears whole or not at all, and is on the disk before :meth:`Store.put` returns. Ids are never
trusted as path parts. Blocking: call it from a worker thread. It knows no HTTP and judges no token.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import attrs
import msgspec

from gym_p2p.core.record.aggregate import aggregate
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ProtocolError
from gym_p2p.exports.files import Kind, document_path, path_component, write_bytes
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
        self._directory = directory
        self._now = now
        self._aggregating = threading.Lock()

    def path(self, match_id: str, player_id: SeatId, kind: Kind) -> Path:
        """Return where a document is, or would be."""
        return document_path(self._directory, match_id, player_id, kind)

    def aggregate_path(self, match_id: str) -> Path:
        """Return where a match's aggregate is, or would be."""
        return self._directory / path_component(match_id) / "aggregate.json"

    def put(self, claims: UploadClaims, kind: Kind, body: bytes) -> None:
        """Store a document, replacing an earlier one of its kind; the last one completes the aggregate.

        Raises:
            DocumentError: it is no JSON document.
            ForeignDocumentError: it says that it belongs to another match or player.
            OSError: it could not be stored.
        """
        header = _decode(body, _HEADER)
        if (header.gameId, header.playerId) != (claims.match_id, claims.player_id):
            raise ForeignDocumentError("the document's gameId and playerId are not those of the token")
        write_bytes(self.path(claims.match_id, claims.player_id, kind), [body])
        if kind == "multiplayer":
            self._aggregate(claims)

    def _aggregate(self, claims: UploadClaims) -> None:
        paths = {p: self.path(claims.match_id, p, "multiplayer") for p in claims.player_ids}
        with self._aggregating:
            if not all(path.exists() for path in paths.values()):
                return
            try:
                documents = {p: _decode(path.read_bytes(), _DOCUMENT) for p, path in paths.items()}
                result = aggregate(
                    documents, game_id=claims.match_id, aggregated_at_ms=round(self._now() * 1000)
                )
            except (DocumentError, ProtocolError, RecursionError) as error:
                _LOG.warning("match %s: not aggregated: %s", claims.match_id, error)
                return
            write_bytes(self.aggregate_path(claims.match_id), [msgspec.json.encode(result)])
        _LOG.info("match %s: all documents are in, aggregate stored", claims.match_id)


def _decode(body: bytes, decoder: msgspec.json.Decoder[_Shape]) -> _Shape:
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError):
        raise DocumentError("not a JSON document with gameId and playerId") from None
