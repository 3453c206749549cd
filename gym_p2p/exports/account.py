"""One player's account of a match: its record, and how the documents are made of it.

The same for a record that is being kept and for one that a journal was folded into.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gym_p2p.core.record.documents import KINDS, Decode, Document, Kind, build_document
from gym_p2p.core.record.journal import JournalWriter
from gym_p2p.core.record.match_record import MatchRecord

__all__ = ["Account"]


@attrs.frozen
class Account:
    """A record, and how it is read.

    Attributes:
        record: may go on growing in another thread.
        decode: turns a seat's input into JSON.
        now_ms: returns the Unix time in milliseconds.
    """

    record: MatchRecord
    decode: Decode
    now_ms: Callable[[], int]

    def document(self, kind: Kind) -> Document:
        """Build a document as of now."""
        return build_document(kind, self.record, self.now_ms(), self.decode)

    def documents(self) -> dict[Kind, Document]:
        """Build all three."""
        return {kind: self.document(kind) for kind in KINDS}

    def journal(self) -> JournalWriter:
        """Return what writes the record down."""
        return JournalWriter(self.record, self.decode)
