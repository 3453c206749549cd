"""Child processes of tests: read a line with a deadline, give precedence, end. Knows nothing of networks."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time

_END_TIMEOUT_S = 5.0
_PRIORITY = 10  # of 1..99, first in, first out; anything above ordinary processes will do


def read_line(process: subprocess.Popen[bytes], *, timeout_s: float) -> str:
    """Return the next line of the process's standard output, which must be a pipe.

    Raises:
        TimeoutError: no whole line came in time.
        EOFError: the process closed its output, most likely by ending.
    """
    assert process.stdout is not None, "start it with stdout=subprocess.PIPE"
    deadline = time.monotonic() + timeout_s
    descriptor, line = process.stdout.fileno(), b""
    # Byte by byte from the descriptor, so that nothing is left in a buffer that select cannot see.
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            raise TimeoutError(f"no line from {process.args!r} within {timeout_s:g} s, only {line!r}")
        byte = os.read(descriptor, 1)
        if not byte:
            raise EOFError(f"{process.args!r} ended its output after {line!r}")
        line += byte
    return line.decode()


def take_precedence(pid: int) -> None:
    """Let a process run before all ordinary ones, where that is permitted."""
    with contextlib.suppress(PermissionError, ProcessLookupError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(_PRIORITY))


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process if it still runs, collect it and close its pipes. Idempotent."""
    process.kill()
    process.wait(timeout=_END_TIMEOUT_S)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):  # what was never read is lost
                stream.close()
