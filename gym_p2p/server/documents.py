"""A service's documents: who may bring and see them, how many come at once, and who is handed them.

Everything of a data directory that is about documents, put together: the store, its intake and its parts, the
tokens, and what hands them to the host. It knows files; HTTP and its servers stand in front of it.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from gym_p2p.config import ServiceConfig
from gym_p2p.core.record.documents import Kind
from gym_p2p.server.delivery import AsyncDelivery, SyncDelivery
from gym_p2p.server.guard.tokens import OperatorClaims, TokenSigner, UploadClaims
from gym_p2p.server.intake import Intake
from gym_p2p.server.parts import Parts
from gym_p2p.server.storage import HostStorage
from gym_p2p.server.store import Store, ids_of

__all__ = ["Documents"]

_ARRIVING = 64
_ARRIVING_OF_ONE = 6
"""Bodies at once, in all and of one player: a document of each kind, and each a second time after a break."""
_IN_MEMORY_BYTES = 2**18
"""Of a body that arrives; what is more of it is on the disk."""


class Documents:
    """The documents of one service.

    Args:
        config: the data directory, which exists, and the bounds.
        secret: of that directory.
        delivery: hands them to the host; ``None``: nobody wants them.
        storage: where they are, the host's own; ``None``: they are in the data directory.

    Attributes:
        tokens: who may bring which.
        operators: who may see all of them.
    """

    def __init__(
        self,
        config: ServiceConfig,
        secret: bytes,
        delivery: AsyncDelivery | SyncDelivery | None = None,
        storage: HostStorage | None = None,
    ) -> None:
        self.tokens = TokenSigner(secret, UploadClaims)
        self.operators = TokenSigner(secret, OperatorClaims)
        self.max_bytes = config.max_upload_bytes
        self.delivery = delivery
        self.store = Store(Path(config.data_dir))
        outbox = None if delivery is None else delivery.outbox
        self._storage = storage
        # The quota counts what is in the folder.
        quota_bytes = config.upload_quota_bytes if storage is None else None
        self.intake = Intake(self.store, config.max_upload_bytes, quota_bytes, outbox=outbox, storage=storage)
        self.parts = Parts(self.store.directory)
        self.parts.sweep()
        self._arriving: Counter[UploadClaims] = Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def arrival(self, claims: UploadClaims) -> Iterator[IO[bytes] | None]:
        """Hold the place of a body that arrives, on the disk if it is large; ``None``: too many do."""
        with self._lock:
            many = self._arriving.total() >= _ARRIVING or self._arriving[claims] >= _ARRIVING_OF_ONE
            if not many:
                self._arriving[claims] += 1
        if many:
            yield None
            return
        try:
            with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=str(self.store.directory)) as body:
                yield body
        finally:
            with self._lock:
                self._arriving[claims] -= 1
                self._arriving += Counter()  # forgets those with none

    def stored(self) -> None:
        """Have what has been stored handed over."""
        if self.delivery is not None:
            self.delivery.wake()

    def read(self, match_id: str, player: str, kind: Kind) -> bytes | None:
        """Return a stored document, or ``None`` if there is none.

        Args:
            match_id: of which match.
            player: the player's id, as JSON or simply as text.
            kind: which.

        Raises:
            OSError: it cannot be read.
            StorageError: the host's storage failed.
        """
        if self._storage is not None:
            found = (self._storage.get(match_id, one, kind) for one in ids_of(player))
            return next((document for document in found if document is not None), None)
        return self.store.read(match_id, player, kind)

    def listed(self) -> list[dict[str, Any]]:
        """Return what is stored: a line of the index for every multiplayer document.

        Of a host's own storage it has no more than ``matchId`` and ``playerId``.

        Raises:
            StorageError: the host's storage failed.
        """
        if self._storage is not None:
            return [{"matchId": match, "playerId": player} for match, player in self._storage.listed()]
        return self.store.listed()
