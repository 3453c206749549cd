"""Documents to files and to the service: written whole or not at all, uploaded once or kept for later.

:class:`Exporter` is the whole of it for one session; the rest are its parts. Nothing here knows what the
documents say, and no failure of a disk or of the network gets past :meth:`Exporter.finish`.
"""

from __future__ import annotations

from gym_p2p.core.record.documents import KINDS, Kind
from gym_p2p.exports.account import Account
from gym_p2p.exports.documents import document_path, schema, write_document
from gym_p2p.exports.exporter import Exporter, Finished
from gym_p2p.exports.spool import FlushResult, SpoolEntry, flush_spool
from gym_p2p.exports.upload import Reply, Upload, UploadOutcome, upload

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
    "upload",
    "write_document",
]
