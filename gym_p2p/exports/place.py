"""One folder for a player's documents of a match: their journal, the documents, and what is entered of them.

There may be several, one after the other: where a disk is full, what was played goes on in another one. It
knows what belongs together in a folder; which one it is, is :class:`~gym_p2p.exports.exporter.Exporter`'s to
decide. For one thread at a time.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import attrs

from gym_p2p.core.record.documents import KINDS, Document, Kind
from gym_p2p.core.record.index import index_entry
from gym_p2p.exports.account import Account
from gym_p2p.exports.documents import document_path, packed_path, write_document
from gym_p2p.exports.index import append_to_index
from gym_p2p.exports.journal import Journal, journal_path
from gym_p2p.exports.spool import SpoolEntry
from gym_p2p.exports.upload import Upload

__all__ = ["UPLOADED", "Place"]

UPLOADED: Kind = "multiplayer"
"""The document that the service stores and compares; the other two are views of the same record."""


@attrs.define(eq=False)
class Place:
    """The folder of a match; made when there is something to write.

    Attributes:
        folder: it.
        paths: where the documents are that were written, by kind.
        journal: what was played so far.
        entry: that the document waits here to be handed in; locked by this process.
    """

    folder: Path
    _account: Account
    _target: Upload | None
    paths: dict[Kind, Path] = attrs.field(init=False, factory=dict)
    journal: Journal = attrs.field(init=False)
    entry: SpoolEntry | None = attrs.field(init=False, default=None)

    @journal.default
    def _journal(self) -> Journal:
        account = self._account
        path = journal_path(self.folder, account.record.player_id)
        return Journal(path, account.journal(), account.now_ms)

    @property
    def whole(self) -> bool:
        """Whether every document is here."""
        return len(self.paths) == len(KINDS)

    def path(self, kind: Kind) -> Path:
        """Return where a document goes."""
        return document_path(self.folder, self._account.record.player_id, kind)

    def write(self, kind: Kind, document: Document) -> None:
        """Write a document.

        Raises:
            OSError: it could not be written; what was there before is untouched.
        """
        self.paths[kind] = write_document(self.path(kind), document)

    def enter_spool(self) -> None:
        """Note on the disk that the document waits to be handed in, if something is here of it. Idempotent.

        Raises:
            OSError: it could not be noted.
        """
        if self._target is None or self.entry is not None or not (self.paths or self.journal.exists):
            return
        record = self._account.record
        self.entry = SpoolEntry.create(
            self.folder.parent,
            record.game_id,
            record.player_id,
            kind=UPLOADED,
            target=self._target,
            document=self.path(UPLOADED),
        )

    def enter_index(self) -> None:
        """Enter the match into the index beside its folder.

        Raises:
            OSError: it could not be entered.
        """
        append_to_index(self.folder.parent, index_entry(self._account.record, self.folder.name))

    def leave(self) -> None:
        """Remove what lies here, for it lies elsewhere; what cannot be removed stays. Never raises."""
        with contextlib.suppress(OSError):
            self.journal.discard()
        self.journal.close()
        if self.entry is not None:
            self.entry.withdraw()
            self.entry.close()
            self.entry = None
        for kind in list(self.paths):
            del self.paths[kind]
            for path in (self.path(kind), packed_path(self.path(kind))):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
