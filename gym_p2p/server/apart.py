"""Another process that reads large documents, and how it is started, bounded and ended.

To read a document is to build what somebody else describes, so it has bounds on its memory and its time. The
program itself is :mod:`gym_p2p.server.document_reader`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

import attrs

from gym_p2p.core.record.documents import Kind
from gym_p2p.files.names import path_component
from gym_p2p.files.private import open_private
from gym_p2p.processes.python import can_start_python, python_command
from gym_p2p.processes.tasks import to_its_end
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.tokens import UploadClaims
from gym_p2p.server.store import DocumentError, ForeignDocumentError

__all__ = [
    "MEMORY_BYTES",
    "READER",
    "SMALL_BYTES",
    "Job",
    "NotNowError",
    "TooLargeError",
    "apart",
    "apart_now",
    "unpacked",
]

_LOG = client_log(__name__)

SMALL_BYTES = 512 * 1024
"""Read in a thread; to build all of it holds the interpreter for some milliseconds."""
READER = "gym_p2p.server.document_reader"
"""The module that reads large documents, as a program."""
MEMORY_BYTES = 2**30
_TIMEOUT_S = 60.0
"""What it may take for a document, or an aggregate: several times what those of a match of six hours take."""
_LOOK_AGAIN_S = 0.02
_PIECE_BYTES = 2**16


class TooLargeError(DocumentError):
    """It is larger than a document may be, or than can be read within the bounds."""


class NotNowError(Exception):
    """It could not be read, and that is not the document's fault; the text may go to the client."""


@attrs.frozen
class Job:
    """What is to be done with a body."""

    directory: Path
    claims: UploadClaims
    kind: Kind
    gzipped: bool = attrs.field(kw_only=True)
    max_bytes: int = attrs.field(kw_only=True)

    def to_json(self, body: str | None) -> str:
        """Return it as a reader gets it, with the path of the body; ``None``: it is to make the aggregate."""
        return json.dumps({**attrs.asdict(self), "directory": str(self.directory), "body": body})


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


async def apart(job: Job, body: IO[bytes] | None) -> None:
    """Have another process store a document; without one, make the aggregate."""
    with _Reader(job, body) as reader:  # ended also where the service stops meanwhile
        await to_its_end(reader.spill)
        reader.start()
        await asyncio.to_thread(reader.read)


def apart_now(job: Job, body: IO[bytes] | None) -> None:
    """Do the same where no event loop runs."""
    with _Reader(job, body) as reader:
        reader.spill()
        reader.start()
        reader.read()


class _Reader:
    """Another process that reads documents: a context manager, which leaves nothing of it behind.

    Blocking; it waits in small steps, for where threads are greenlets a long wait would hold up all of them.

    Args:
        job: what is to be done.
        body: the document that it stores; ``None``: it makes the aggregate of those that are.

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
