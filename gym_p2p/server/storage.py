"""A host's own storage of documents, in place of the folder.

Documents are checked, and compared, on a bench: a folder of the data directory for the length of one upload,
with the documents of that match in it as the folder has them. What has passed is given to the host. Blocking:
call it from a worker thread. It knows no HTTP, and refuses to know what a document says.
"""

from __future__ import annotations

import contextlib
import inspect
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, Protocol

from gym_p2p.core.record.documents import Kind
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import UsageError
from gym_p2p.exports.documents import find_document, read_document, write_pieces
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.tokens import UploadClaims
from gym_p2p.server.store import Store

__all__ = ["HostStorage", "Storage", "StorageError", "StoredKind"]

_LOG = client_log(__name__)

StoredKind = Kind | Literal["aggregate"]

_BENCH = ".bench-"
_LASTS_S = 3600.0
"""A bench that is older was left by a process that was killed."""


class Storage(Protocol):
    """Where a host keeps the players' documents and the aggregates of their matches.

    Its methods are called on worker threads (on a synchronous host: on the request's thread or greenlet),
    several at once, but never two for the same match that both store. They may block, within reason. One
    that raises refuses the upload: the player keeps the document, and hands it in again.
    """

    def put(self, match_id: str, player_id: SeatId | None, kind: StoredKind, document: bytes, /) -> None:
        """Store a document, in place of an earlier one; it must not get lost once this has returned.

        Args:
            match_id: of which match.
            player_id: whose it is; ``None``: the match's, which is its aggregate.
            kind: what it is.
            document: JSON, as UTF-8, not compressed.
        """

    def get(self, match_id: str, player_id: SeatId | None, kind: StoredKind, /) -> bytes | None:
        """Return a document as it was stored, ``None`` if there is none."""

    def list(self) -> Iterable[tuple[str, SeatId | None, StoredKind]]:
        """Return the match, the player and the kind of every document."""


class StorageError(Exception):
    """The host's storage could not do what it was asked; the text may go to the client."""


class HostStorage:
    """Calls a host's storage; what goes wrong there is logged with where.

    Args:
        storage: the host's.
        directory: exists and is writable; holds the benches.

    Raises:
        UsageError: it has not the three methods, or one is a coroutine function.
    """

    def __init__(self, storage: Storage, directory: Path) -> None:
        for name in ("put", "get", "list"):
            method = getattr(storage, name, None)
            if not callable(method) or inspect.iscoroutinefunction(method):
                raise UsageError(
                    "storage: wanted an object with the functions put, get and list, which may block; "
                    f"{type(storage).__qualname__}.{name} is none, or a coroutine function"
                )
        self._storage = storage
        self._directory = directory.absolute()
        with contextlib.suppress(OSError):
            for left in self._directory.glob(f"{_BENCH}*"):
                if left.stat().st_mtime + _LASTS_S < time.time():
                    shutil.rmtree(left, ignore_errors=True)

    @contextlib.contextmanager
    def bench(self, claims: UploadClaims, kind: Kind) -> Iterator[Store]:
        """Yield where a document is to be stored first; the host gets it at the end of the block.

        Raises:
            StorageError: the host's storage failed: then the document, or the aggregate, is not stored.
            OSError: the bench could not be written.
        """
        with tempfile.TemporaryDirectory(prefix=_BENCH, dir=self._directory) as folder:
            store = Store(Path(folder))
            if kind == "multiplayer":
                self._lay_out(store, claims)
            yield store
            path = store.path(claims, claims.player_id, kind)
            self._put(claims.match_id, claims.player_id, kind, read_document(path))
            aggregate = store.aggregate_path(claims)
            if find_document(aggregate) is not None:
                self._put(claims.match_id, None, "aggregate", read_document(aggregate))

    def _lay_out(self, store: Store, claims: UploadClaims) -> None:
        """Put the others' documents on the bench, as long as none is missing."""
        for player in claims.player_ids:
            if player != claims.player_id:
                document = self.get(claims.match_id, player, "multiplayer")
                if document is None:
                    return
                write_pieces(store.path(claims, player, "multiplayer"), [document])

    def get(self, match_id: str, player_id: SeatId, kind: Kind) -> bytes | None:
        """Return a stored document, or ``None`` if there is none.

        Raises:
            StorageError: the host's storage failed.
        """
        with _told("get", f"the {kind} document of {player_id!r} in match {match_id}"):
            document = self._storage.get(match_id, player_id, kind)
            if document is not None and not isinstance(document, bytes):
                raise TypeError(f"get() wanted to return bytes or None, got {type(document).__qualname__}")
            return document

    def listed(self) -> list[tuple[str, SeatId]]:
        """Return the match and the player of every multiplayer document.

        Raises:
            StorageError: the host's storage failed.
        """
        with _told("list", "the documents"):
            return [
                (match_id, player_id)
                for match_id, player_id, kind in self._storage.list()
                if kind == "multiplayer" and player_id is not None
            ]

    def _put(self, match_id: str, player_id: SeatId | None, kind: StoredKind, document: bytes) -> None:
        with _told("put", f"the {kind} document of {player_id!r} in match {match_id}"):
            self._storage.put(match_id, player_id, kind, document)


@contextlib.contextmanager
def _told(method: str, what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  # the host's bug must lose nothing
        _LOG.error("in storage.%s, for %s", method, what, exc_info=error)
        raise StorageError("the service's storage does not work at present; try again later") from None
