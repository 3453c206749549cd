"""The three documents of a match, by their names."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from gym_p2p.core.record.building import Decode
from gym_p2p.core.record.document import Document
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.multiplayer import MultiplayerDocument, multiplayer_document
from gym_p2p.core.record.session import SessionDocument, session_document
from gym_p2p.core.record.validation import ValidationDocument, validation_document

__all__ = ["DOCUMENT_TYPES", "KINDS", "Decode", "Document", "Kind", "build_document"]

Kind = Literal["session", "validation", "multiplayer"]

KINDS: tuple[Kind, ...] = typing.get_args(Kind)

DOCUMENT_TYPES: Mapping[Kind, type[Document]] = MappingProxyType(
    {"session": SessionDocument, "validation": ValidationDocument, "multiplayer": MultiplayerDocument}
)


def build_document(kind: Kind, record: MatchRecord, now_ms: int, decode: Decode) -> Document:
    """Build one document as of now (as of the end, after it); from any thread.

    Args:
        kind: which one.
        record: of the match; it is not changed, and may go on growing.
        now_ms: Unix milliseconds.
        decode: turns a seat's input into JSON.
    """
    match kind:
        case "session":
            return session_document(record, now_ms, decode)
        case "validation":
            return validation_document(record, now_ms, decode)
        case "multiplayer":
            return multiplayer_document(record, now_ms, decode)
        case _:
            typing.assert_never(kind)
