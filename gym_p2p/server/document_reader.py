"""Stores one large document, or compares those of a match, as a program of its own.

See :mod:`gym_p2p.server.apart`. It gets a job as a line of JSON, and answers with what went wrong, if
something did. Nobody imports it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from gym_p2p.processes.limits import limit_memory
from gym_p2p.server.apart import MEMORY_BYTES, Job, unpacked
from gym_p2p.server.guard.tokens import UploadClaims
from gym_p2p.server.store import DocumentError, Store

__all__: list[str] = []


def _main() -> None:
    """Do one job, in the process apart."""
    job = json.loads(sys.stdin.readline())
    limit_memory(MEMORY_BYTES)
    error: str | None = None
    arguments: tuple[Any, ...] = ()
    try:
        _do(job)
    except DocumentError as refused:
        error, arguments = type(refused).__name__, refused.args
    except MemoryError:
        error, arguments = "TooLargeError", (f"it cannot be read within {MEMORY_BYTES} bytes of memory",)
    except OSError as failed:
        error, arguments = "OSError", (failed.errno, failed.strerror)
    sys.stdout.write(json.dumps({"error": error, "arguments": arguments}))


def _do(fields: dict[str, Any]) -> None:
    claims = msgspec.convert(fields["claims"], UploadClaims)
    job = Job(
        Path(fields["directory"]),
        claims,
        fields["kind"],
        gzipped=fields["gzipped"],
        max_bytes=fields["max_bytes"],
    )
    store = Store(job.directory)
    if fields["body"] is not None:
        with Path(fields["body"]).open("rb") as body:
            store.put(claims, job.kind, b"".join(unpacked(body, job)))
    else:
        store.aggregate(claims)


if __name__ == "__main__":
    _main()
