"""The journals of players who were killed, as the documents that they would have written by then."""

from __future__ import annotations

import msgspec

from gym_p2p.core.record.documents import KINDS, build_document
from gym_p2p.core.record.journal import decode_input, fold
from gym_p2p.study.problems import Problems
from gym_p2p.study.reading.documents import Document, read_document
from gym_p2p.study.reading.files import Found, Unreadable, unpacked

__all__ = ["read_journal"]


def read_journal(file: Found, problems: Problems) -> dict[str, Document]:
    """Return the documents that a journal holds, by kind; nothing is written.

    Raises:
        Unreadable: it is no journal.
    """
    lines = unpacked(file.path).splitlines(keepends=True)
    try:
        record = fold(lines)
        built = {kind: build_document(kind, record, 0, decode_input) for kind in KINDS}
        data = {kind: msgspec.json.encode(document) for kind, document in built.items()}
    except Exception as error:  # whatever no longer fits together in what somebody has changed
        raise Unreadable("unreadable", f"is no journal ({str(error) or type(error).__name__})") from error
    return {kind: read_document(text, file.name, problems) for kind, text in data.items()}
