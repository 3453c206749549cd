"""What a fork server says of a process, on that process's own line: that it is there, and how it ended."""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
from typing import NamedTuple, Self

__all__ = ["Report", "ReportKind", "receive_report", "send_report"]

_REPORT = struct.Struct("<Bi")


class ReportKind(enum.IntEnum):
    """What a report's number is: a process id, an exit code as :mod:`subprocess` has it, an ``errno``."""

    FORKED = 1
    ENDED = 2
    FAILED = 3


class Report(NamedTuple):
    """One report: of this :class:`ReportKind`."""

    kind: int
    number: int

    @classmethod
    def forked(cls, process: int) -> Self:
        """Return that it is there; its pidfd comes with it."""
        return cls(ReportKind.FORKED, process)

    @classmethod
    def ended(cls, code: int) -> Self:
        """Return that it is not there any more."""
        return cls(ReportKind.ENDED, code)

    @classmethod
    def failed(cls, error: OSError) -> Self:
        """Return that it will not be there."""
        return cls(ReportKind.FAILED, error.errno or 0)


def send_report(line: socket.socket, report: Report, pidfd: int | None = None) -> None:
    """Say it; who does not listen any more needs it no more."""
    with contextlib.suppress(OSError):
        socket.send_fds(line, [_REPORT.pack(*report)], [] if pidfd is None else [pidfd])


def receive_report(line: socket.socket) -> tuple[Report | None, int]:
    """Return the next report and the pidfd that came with it (-1: none); ``None`` at the end of the line.

    Raises:
        BlockingIOError: there is none yet.
    """
    try:
        data, fds, _, _ = socket.recv_fds(line, _REPORT.size, 1, socket.MSG_CMSG_CLOEXEC)
    except ConnectionError:
        return None, -1
    report = Report(*_REPORT.unpack(data)) if len(data) == _REPORT.size else None
    return report, fds[0] if fds else -1
