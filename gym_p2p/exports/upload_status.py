"""What the session document says of the upload: at the end, and once the document is handed in later."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import Literal

import msgspec

from gym_p2p.core.record.parts import UploadStatus
from gym_p2p.exports.documents import find_document, player_of, read_document, write_pieces
from gym_p2p.exports.encoding import encode
from gym_p2p.files.problems import disk_problem

__all__ = ["note_upload", "recover_command", "upload_command", "upload_status"]

_log = logging.getLogger(__name__)

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
"""Made on import, for exporters' threads: see :func:`gym_p2p.core.api.payloads.prepare`."""


def upload_command(path: Path | str, state: Literal["kept", "refused"]) -> str:
    """Return the command that hands a document in; of a refused one nobody knows the service any more.

    As a shell takes it, whatever the folders are called.
    """
    elsewhere = " --server URL --token TOKEN" if state == "refused" else ""
    return f"gym-p2p exports upload {shlex.quote(str(path))}{elsewhere}"


def recover_command(folder: Path) -> str:
    """Return the command that makes documents of the journals in a folder, as a shell takes it."""
    return f"gym-p2p exports recover {shlex.quote(str(folder))}"


def upload_status(
    state: Literal["stored", "kept", "refused"], detail: str, document: Path | None
) -> UploadStatus:
    """Return what became of an upload, without this machine's folders.

    Args:
        state: what became of it.
        detail: why it was not stored.
        document: where it lies; ``None`` where it lies nowhere.
    """
    if state == "stored":
        return UploadStatus(state=state, problem=None, path=None, command=None)
    short = None if document is None else f"{document.parent.name}/{document.name}"
    command = None if short is None else upload_command(short, state)
    return UploadStatus(state=state, problem=detail, path=short, command=command)


def note_upload(document: Path, state: Literal["stored", "refused"], detail: str = "") -> None:
    """Say in the session document beside a multiplayer document what became of handing that in later.

    Everything else in it stays byte for byte. Where none is there, or none of ours, nothing is done; never
    raises for a disk.
    """
    player = player_of(document, "multiplayer")
    session = document.with_name(f"{player}.session.json")
    if session.name == document.name or find_document(session) is None:
        return
    try:
        fields = _FIELDS.decode(read_document(session))
        if "upload" not in fields:  # of a version that did not say
            return
        status = upload_status(state, detail, find_document(document) or document)
        fields["upload"] = msgspec.Raw(b"".join(encode(status)))
        write_pieces(session, [msgspec.json.encode(fields)])
    except OSError as error:
        _log.warning("%s still says that the upload waits: %s", session, disk_problem(error))
    except (ValueError, RecursionError):
        _log.debug("%s is no session document", session)
