"""Documents to files and to the service: written whole or not at all, uploaded once or kept for later.

:class:`Exporter` is the whole of it for one session; the rest are its parts. Nothing here knows what the
documents say, and no failure of a disk or of the network gets past :meth:`Exporter.finish`.

Names are imported on first use: who opens a connection wants the words for what failed, and no documents.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gym_p2p.core.record.documents import KINDS, Kind
    from gym_p2p.exports.account import Account
    from gym_p2p.exports.documents import document_path, schema, write_document
    from gym_p2p.exports.exporter import Exporter, Finished
    from gym_p2p.exports.spool import FlushResult, SpoolEntry, flush_spool
    from gym_p2p.exports.upload import Reply, Upload, UploadOutcome

__all__ = [
    "KINDS",
    "Account",
    "Exporter",
    "Finished",
    "FlushResult",
    "Kind",
    "Reply",
    "SpoolEntry",
    "Upload",
    "UploadOutcome",
    "document_path",
    "flush_spool",
    "schema",
    "write_document",
]

_HOMES = {
    "KINDS": "gym_p2p.core.record.documents",
    "Kind": "gym_p2p.core.record.documents",
    "Account": "gym_p2p.exports.account",
    "document_path": "gym_p2p.exports.documents",
    "schema": "gym_p2p.exports.documents",
    "write_document": "gym_p2p.exports.documents",
    "Exporter": "gym_p2p.exports.exporter",
    "Finished": "gym_p2p.exports.exporter",
    "FlushResult": "gym_p2p.exports.spool",
    "SpoolEntry": "gym_p2p.exports.spool",
    "flush_spool": "gym_p2p.exports.spool",
    "Reply": "gym_p2p.exports.upload",
    "Upload": "gym_p2p.exports.upload",
    "UploadOutcome": "gym_p2p.exports.upload",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
