"""What becomes of an uploaded body: the small are read in a worker thread, the large in a process apart.

To read a document is to build what somebody else describes: some tens of kilobytes can unpack to millions of
values, and building those would hold up every signal in this process. So what is large, unpacked, is read by
another process, two at a time, with bounds on their memory and their time. It knows files and processes; what
a document is, is the store's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
import weakref
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO, Self, TypeVar

import attrs

from gym_p2p.core.record.documents import Kind
from gym_p2p.files.names import path_component
from gym_p2p.files.private import open_private
from gym_p2p.processes.python import can_start_python, python_command
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.tokens import UploadClaims
from gym_p2p.server.outbox import Outbox
from gym_p2p.server.quota import Quota
from gym_p2p.server.storage import HostStorage
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
_T = TypeVar("_T")

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
_LOOK_AGAIN_S = 0.02
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
        outbox: where it is marked that the host is to be handed what is stored; ``None``: it is not.
        storage: where documents go instead, the host's own; ``None``: they stay in the store.
    """

    store: Store
    max_bytes: int
    quota_bytes: int | None = None
    now: Callable[[], float] = attrs.field(default=time.time, kw_only=True)
    outbox: Outbox | None = attrs.field(default=None, kw_only=True)
    storage: HostStorage | None = attrs.field(default=None, kw_only=True)
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
    _small_threads: threading.Semaphore = attrs.field(
        init=False, factory=lambda: threading.Semaphore(_CONCURRENT_SMALL)
    )
    _large_threads: threading.Semaphore = attrs.field(
        init=False, factory=lambda: threading.Semaphore(_CONCURRENT_LARGE)
    )
    _of_match_threads: weakref.WeakValueDictionary[str, threading.Lock] = attrs.field(
        init=False, factory=weakref.WeakValueDictionary
    )

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
            StorageError: the host's storage would not have it.
            OSError: it could not be stored.
        """
        size_bytes = body.seek(0, os.SEEK_END)
        async with (
            self._of_match.setdefault(claims.match_id, asyncio.Lock()),
            _elsewhere(self._marked(claims, kind)),
            _elsewhere(self._place(claims, kind)) as store,
        ):
            job = self._job(store, claims, kind, gzipped=gzipped)
            await asyncio.to_thread(self.require_room, claims, kind, size_bytes)
            async with self._small:
                left = await asyncio.to_thread(_take_small, store, job, body)
            if left:
                async with self._large:
                    await _take_apart(job, body if left == "body" else None)
            await asyncio.to_thread(self._quota.stored, self.store.folder(claims))

    def take_now(self, claims: UploadClaims, kind: Kind, body: IO[bytes], *, gzipped: bool) -> None:
        """Do the same as :meth:`take` where no event loop runs; between threads, or greenlets."""
        size_bytes = body.seek(0, os.SEEK_END)
        with (
            self._of_match_threads.setdefault(claims.match_id, threading.Lock()),
            self._marked(claims, kind),
            self._place(claims, kind) as store,
        ):
            job = self._job(store, claims, kind, gzipped=gzipped)
            self.require_room(claims, kind, size_bytes)
            with self._small_threads:
                left = _take_small(store, job, body)
            if left:
                with self._large_threads, _Reader(job, body if left == "body" else None) as reader:
                    reader.spill()
                    reader.start()
                    reader.read()
            self._quota.stored(self.store.folder(claims))

    def _place(self, claims: UploadClaims, kind: Kind) -> contextlib.AbstractContextManager[Store]:
        if self.storage is None:
            return contextlib.nullcontext(self.store)
        return self.storage.bench(claims, kind)

    def _job(self, store: Store, claims: UploadClaims, kind: Kind, *, gzipped: bool) -> Job:
        return Job(store.directory, claims, kind, gzipped=gzipped, max_bytes=self.most_bytes(claims))

    def _marked(self, claims: UploadClaims, kind: Kind) -> contextlib.AbstractContextManager[None]:
        if self.outbox is None:
            return contextlib.nullcontext()
        return self.outbox.storing(claims.match_id, claims.player_id, kind, self.store.folder(claims))


@contextlib.asynccontextmanager
async def _elsewhere(blocking: contextlib.AbstractContextManager[_T]) -> AsyncIterator[_T]:
    """Enter and leave a context on threads."""
    entered = await asyncio.to_thread(blocking.__enter__)
    try:
        yield entered
    except BaseException as error:
        await asyncio.to_thread(blocking.__exit__, type(error), error, error.__traceback__)
        raise
    await asyncio.to_thread(blocking.__exit__, None, None, None)


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
    with _Reader(job, body) as reader:  # ended also where the service stops meanwhile
        await asyncio.to_thread(reader.spill)
        reader.start()
        await asyncio.to_thread(reader.read)


class _Reader:
    """Another process that reads a document: a context manager, which leaves nothing of it behind.

    Blocking; it waits in small steps, for where threads are greenlets a long wait would hold up all of them.

    Args:
        job: what is to be done.
        body: the document; ``None``: it is stored already.

    Raises:
        NotNowError: this process can start none.
    """

    def __init__(self, job: Job, body: IO[bytes] | None) -> None:
        if not can_start_python():
            problem = f"this service can start no reader for documents of more than {SMALL_BYTES} bytes"
            raise NotNowError(problem)
        self._job = job
        self._body = body
        name = f".{path_component(job.claims.match_id)}.{secrets.token_hex(4)}.upload"
        self._path = None if body is None else job.directory / name
        self._process: subprocess.Popen[bytes] | None = None
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115  # closed with this

    def spill(self) -> None:
        """Put the body where it finds it; raises ``OSError``."""
        if self._path is not None and self._body is not None:
            _spill(self._body, self._path)

    def start(self) -> None:
        """Begin; returns at once."""
        self._process = process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            python_command(READER),
            stdin=subprocess.PIPE,
            stdout=self._answer,
            process_group=0,  # a Ctrl-C is for the service, which ends it
        )
        request = self._job.to_json(None if self._path is None else str(self._path))
        with contextlib.suppress(BrokenPipeError), process.stdin or contextlib.nullcontext() as stdin:
            if stdin is not None:
                stdin.write(request.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        process = self._process
        if process is not None:
            process.kill()
            process.wait()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._answer.close()

    def read(self) -> None:
        """Wait until it has done so; raises what is wrong with the document."""
        process = self._process
        if process is None:
            return
        ends_at = time.monotonic() + _TIMEOUT_S
        while process.poll() is None:
            if ends_at <= time.monotonic():
                raise TooLargeError(f"it cannot be read within {_TIMEOUT_S:.0f} s")
            time.sleep(_LOOK_AGAIN_S)
        self._answer.seek(0)
        _raise_again(self._answer.read().decode(), process.returncode)


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
