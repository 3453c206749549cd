"""Documents that were not taken, handed in when somebody wants it: each once, and again only where it waits.

It knows which document waits for which service (the spool), and how one is sent with another token. What is
handed in is not handed in again: its entry is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import msgspec

from gym_p2p.config import Secret
from gym_p2p.core.record.documents import Kind
from gym_p2p.exports.documents import packed_path, read_document
from gym_p2p.exports.spool import SPOOL, waiting
from gym_p2p.exports.upload import Reply, Upload, UploadOutcome, upload
from gym_p2p.exports.upload_status import note_upload

__all__ = ["HandedIn", "hand_in"]

_KIND: Kind = "multiplayer"
_MOST_FAILURES = 3
"""Three in a row that a service does not answer to are a service that is away."""


@attrs.frozen
class HandedIn:
    """A document, and what became of handing it in."""

    document: Path
    reply: Reply


class _Whose(msgspec.Struct, frozen=True, rename="camel"):
    game_id: str
    player_id: int | str


def hand_in(
    path: Path,
    *,
    token: str | None = None,
    server_url: str | None = None,
    deadline_s: float = 0.0,
    say: Callable[[str], None] = lambda _text: None,
) -> Iterator[HandedIn]:
    """Hand in what waits at a path or below it; yields each document with what became of it.

    Args:
        path: a folder of exports, a match's folder, or a document.
        token: shown instead of the one that was given with the match, which may have expired.
        server_url: where to; with a token, a document that no longer waits is handed in, too.
        deadline_s: for the attempts at one document; each gets one at least.
        say: told what is being done.
    """
    path = path.absolute()
    failures = 0
    sent: set[Path] = set()
    for entry in waiting(_root(path), path):
        target = entry.target
        if token is not None:
            target = attrs.evolve(target, token=Secret(token))
        if server_url is not None:
            target = attrs.evolve(target, server_url=server_url)
        say(f"handing in {entry.document}")
        reply = entry.send(deadline_s=deadline_s, instead=target)
        sent |= {entry.document, packed_path(entry.document)}
        yield HandedIn(entry.lies_at, reply)
        failures = failures + 1 if reply.outcome is UploadOutcome.UNREACHABLE else 0
        if failures >= _MOST_FAILURES:
            return
    if path.is_file() and path.resolve() not in sent and token is not None and server_url is not None:
        say(f"handing in {path}")
        yield HandedIn(path, _send(path, server_url, token, deadline_s))


def _send(path: Path, server_url: str, token: str, deadline_s: float) -> Reply:
    try:
        text = read_document(path)
        whose = msgspec.json.decode(text, type=_Whose)
    except OSError as error:
        return Reply(UploadOutcome.REFUSED, f"the document cannot be read: {error}")
    except (ValueError, RecursionError):
        return Reply(UploadOutcome.REFUSED, "it is no document of a match")
    target = Upload.of_document(
        server_url=server_url, match_id=whose.game_id, player_id=whose.player_id, kind=_KIND, token=token
    )
    reply = upload(target, [text], deadline_s=deadline_s)
    if reply.outcome is UploadOutcome.STORED:
        note_upload(path, "stored")
    return reply


def _root(path: Path) -> Path:
    """Return the exports' folder that a path is, or lies in: the one with a spool."""
    return next((folder for folder in (path, *path.parents[:2]) if (folder / SPOOL).is_dir()), path)
