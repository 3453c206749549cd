"""What becomes of an uploaded body: the small are read in a worker thread, the large in a process apart.

To read a document is to build what somebody else describes: some tens of kilobytes can unpack to millions of
values, and building those would hold up every signal in this process. So what is large, unpacked, is read by
another process, two at a time, with bounds on their memory and their time. It knows files and processes; what
a document is, is the store's.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import time
import weakref
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import attrs

from gym_p2p.core.record.documents import Kind
from gym_p2p.files.names import path_component
from gym_p2p.files.private import open_private
from gym_p2p.processes.python import can_start_python, python_command
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.tokens import UploadClaims
from gym_p2p.server.quota import Quota
from gym_p2p.server.store import DocumentError, ForeignDocumentError, Store

__all__ = [
    "MEMORY_BYTES",
    "MOST_BYTES",
    "READER",
    "SMALL_BYTES",
    "Intake",
    "Job",
    "NotNowError",
    "TooLargeError",
    "unpacked",
]

_LOG = client_log(__name__)

SMALL_BYTES = 512 * 1024
"""Read in a thread; to build all of it holds the interpreter for some milliseconds."""
_CONCURRENT_SMALL = 2
_CONCURRENT_LARGE = 2
READER = "gym_p2p.server.document_reader"
"""The module that reads large documents, as a program."""
MEMORY_BYTES = 2**30
MOST_BYTES = 512 * 2**20
"""What a reader can hold; eight hours of eight players at 60 frames a second have about as much."""
_BYTES_A_SECOND = 64 * 2**10
"""A match of eight players at 60 frames a second with actions of ten numbers each adds about so many."""
_TIMEOUT_S = 60.0
"""What the reader of a large document may take: twice what one with a match of hours in it takes."""
_PIECE_BYTES = 2**16


class TooLargeError(DocumentError):
    """It is larger than a document may be, or than can be read within the bounds."""


class NotNowError(Exception):
    """It could not be read, and that is not the document's fault; the text may go to the client."""


@attrs.define(eq=False)
class Intake:
    """Takes bodies into a store.

    Args:
        store: where documents go.
        max_bytes: the largest document, unpacked, of a match that has just begun.
        quota_bytes: what all documents may take up; ``None`` is as much as the disk has.
        now: Unix seconds.
    """

    store: Store
    max_bytes: int
    quota_bytes: int | None = None
    now: Callable[[], float] = attrs.field(default=time.time, kw_only=True)
    _quota: Quota = attrs.field(
        init=False,
        default=attrs.Factory(lambda self: Quota(self.store.directory, self.quota_bytes), takes_self=True),
    )
    _small: asyncio.Semaphore = attrs.field(init=False, factory=lambda: asyncio.Semaphore(_CONCURRENT_SMALL))
    _large: asyncio.Semaphore = attrs.field(init=False, factory=lambda: asyncio.Semaphore(_CONCURRENT_LARGE))
    _of_match: weakref.WeakValueDictionary[str, asyncio.Lock] = attrs.field(
        init=False, factory=weakref.WeakValueDictionary
    )
    """Of two documents of a match that come at once, the second one's aggregate has both."""

    def most_bytes(self, claims: UploadClaims) -> int:
        """Return the largest document of a match, unpacked: what can have been played of it by now."""
        lasts_s = 0.0 if claims.made_at is None else max(0.0, self.now() - claims.made_at)
        return min(self.max_bytes + round(lasts_s * _BYTES_A_SECOND), max(self.max_bytes, MOST_BYTES))

    def require_room(self, claims: UploadClaims, kind: Kind, size_bytes: int) -> None:
        """See that the quota lets a document of this size in. Blocking.

        Raises:
            QuotaFullError: it does not.
            OSError: that could not be found out.
        """
        self._quota.require_room(self.store.path(claims, claims.player_id, kind), size_bytes)

    async def take(self, claims: UploadClaims, kind: Kind, body: IO[bytes], *, gzipped: bool) -> None:
        """Store a document; return once it is on the disk, and the match's aggregate if it completes that.

        Args:
            claims: whose it is.
            kind: what it is.
            body: as it arrived, at its beginning.
            gzipped: whether it has to be unpacked.

        Raises:
            DocumentError: it is no document, or a part of one.
            TooLargeError: it is larger than documents may be, or than can be read within the bounds.
            NotNowError: the service could not read it.
            QuotaFullError: there is no room for it.
            ForeignDocumentError: it is another match's or player's.
            OSError: it could not be stored.
        """
        job = Job(self.store.directory, claims, kind, gzipped=gzipped, max_bytes=self.most_bytes(claims))
        size_bytes = body.seek(0, os.SEEK_END)
        async with self._of_match.setdefault(claims.match_id, asyncio.Lock()):
            await asyncio.to_thread(self.require_room, claims, kind, size_bytes)
            async with self._small:
                left = await asyncio.to_thread(_take_small, self.store, job, body)
            if left:
                async with self._large:
                    await _take_apart(job, body if left == "body" else None)
            await asyncio.to_thread(self._quota.stored, self.store.folder(claims))


@attrs.frozen
class Job:
    """What is to be done with a body."""

    directory: Path
    claims: UploadClaims
    kind: Kind
    gzipped: bool = attrs.field(kw_only=True)
    max_bytes: int = attrs.field(kw_only=True)

    def to_json(self, body: str | None) -> str:
        """Return it as a reader gets it, with the path of the body; ``None``: that is stored already."""
        return json.dumps({**attrs.asdict(self), "directory": str(self.directory), "body": body})


def _take_small(store: Store, job: Job, body: IO[bytes]) -> str | None:
    """Do all that is small; return what is left: ``"body"``, or only the ``"aggregate"``."""
    document = bytearray()
    for piece in unpacked(body, job):
        document += piece
        if len(document) > SMALL_BYTES:
            return "body"
    store.put(job.claims, job.kind, bytes(document))
    if job.kind != "multiplayer" or store.missing(job.claims):
        return None
    if store.size_bytes(job.claims) > 2 * SMALL_BYTES:
        return "aggregate"
    store.aggregate(job.claims)
    return None


def unpacked(body: IO[bytes], job: Job) -> Iterator[bytes]:
    """Yield a document in pieces, never more than one that is beyond the limit."""
    body.seek(0)
    size_bytes = 0
    for piece in _inflated(body) if job.gzipped else iter(lambda: body.read(_PIECE_BYTES), b""):
        size_bytes += len(piece)
        if size_bytes > job.max_bytes:
            raise TooLargeError(f"a document has at most {job.max_bytes} bytes")
        yield piece


def _inflated(body: IO[bytes]) -> Iterator[bytes]:
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        while not stream.eof and (packed := stream.unconsumed_tail or body.read(_PIECE_BYTES)):
            yield stream.decompress(packed, _PIECE_BYTES)
    except zlib.error:
        raise DocumentError("not gzip, as content-encoding says") from None
    if not stream.eof or stream.unused_data or body.read(1):
        raise DocumentError("truncated gzip, or something after it")


async def _take_apart(job: Job, body: IO[bytes] | None) -> None:
    """Do the same in another process; without a body, what is left to do once that is stored."""
    if not can_start_python():
        raise NotNowError(f"this service can start no reader for documents of more than {SMALL_BYTES} bytes")
    path = None
    if body is not None:
        path = job.directory / f".{path_component(job.claims.match_id)}.{secrets.token_hex(4)}.upload"
    try:
        if path is not None and body is not None:
            await asyncio.to_thread(_spill, body, path)
        reader = subprocess.Popen(  # noqa: ASYNC220, S603 - our own interpreter and module, begun in a moment
            python_command(READER),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,  # a Ctrl-C is for the service, which ends it
        )
        request = job.to_json(None if path is None else str(path))
        try:
            answer, _ = await asyncio.to_thread(reader.communicate, request, _TIMEOUT_S)
        except subprocess.TimeoutExpired:
            reader.kill()
            await asyncio.to_thread(reader.communicate)
            raise TooLargeError(f"it cannot be read within {_TIMEOUT_S:.0f} s") from None
        finally:  # also where the service stops meanwhile, perhaps before anybody waits for it
            reader.kill()
            reader.wait()
    finally:
        if path is not None:
            path.unlink(missing_ok=True)
    _raise_again(answer, reader.returncode)


def _spill(body: IO[bytes], path: Path) -> None:
    body.seek(0)
    with open_private(path, "xb") as file:
        shutil.copyfileobj(body, file, _PIECE_BYTES)


_KINDS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (DocumentError, TooLargeError, ForeignDocumentError)
}


def _raise_again(answer: str, status: int) -> None:
    try:
        said = json.loads(answer)
    except ValueError:
        _LOG.error("the reader of a document ended with status %d", status)
        raise NotNowError("its reader ended; try again later") from None
    if said["error"] == "OSError":
        raise OSError(*said["arguments"])
    if said["error"] is not None:
        raise _KINDS[said["error"]](*said["arguments"])
