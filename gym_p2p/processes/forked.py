"""Has processes of ours forked from one that has everything imported: the owner's side of it.

Knows how to start such a server (:mod:`gym_p2p.processes.fork_server`), how to ask it for a process, and how
to notice the end of one, which is no child of this process; refuses to know what they do.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from gym_p2p.processes.forks import let_go_in_forks
from gym_p2p.processes.owner import open_pidfd
from gym_p2p.processes.python import python_command
from gym_p2p.processes.reports import ReportKind, receive_report

__all__ = [
    "ForkLine",
    "ForkServer",
    "ForkedProcess",
    "OtherProcess",
    "StartedProcess",
    "can_fork",
    "socket_pair",
]

_FIRST_OWN_FD = 3
"""Below are standard input, output and error, also in a process that was started without them."""

_END_S = 1.0
"""For a process that has nothing more to do to end, and for word of that."""

_LET_GO = 0
"""What :mod:`subprocess` takes for the end of a process, and complains of none."""


class OtherProcess(Protocol):
    """A process of ours, of whichever kind."""

    def has_ended(self, within_s: float = 0.0) -> bool:
        """Return whether it has, waiting for that as long as this."""

    def ending(self) -> str:
        """Return in words how it ended."""

    def kill(self) -> None:
        """Send it SIGKILL."""

    def close(self) -> None:
        """Let go of it; it goes on. Idempotent."""


class StartedProcess:
    """One that this process has started itself, as a module with arguments.

    Args:
        module: run as a program.
        arguments: its.
        passed: a socket that it has, too, under the same number.
    """

    def __init__(self, module: str, *arguments: str, passed: socket.socket) -> None:
        # Its own process group keeps a Ctrl-C at the terminal, and a signal to the user's whole group, from
        # reaching it: who started it decides when it ends.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            python_command(module, *arguments),
            pass_fds=(passed.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # it prints nothing; who waits for the user's output to end, need not
            stderr=None if _has_standard_error() else subprocess.DEVNULL,
            process_group=0,
            restore_signals=True,
        )
        self.pid = self._process.pid
        let_go_in_forks(self)  # it is no child of theirs

    def has_ended(self, within_s: float = 0.0) -> bool:
        """See :class:`OtherProcess`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)
        return self._process.returncode is not None

    def ending(self) -> str:
        """See :class:`OtherProcess`."""
        self.has_ended(_END_S)
        return f"exit code {self._process.returncode}"

    def kill(self) -> None:
        """See :class:`OtherProcess`."""
        self._process.kill()

    def close(self) -> None:
        """See :class:`OtherProcess`."""
        if self._process.returncode is None:
            self._process.returncode = _LET_GO


class ForkedProcess:
    """One that a server was asked to fork.

    Args:
        line: on which the server tells of it.
    """

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(False)  # noqa: FBT003 - the signature is the standard library's
        self._line: socket.socket | None = line
        """``None`` once nothing more will be told of it."""
        self._pidfd = -1
        self._ending = "exit code unknown"
        let_go_in_forks(self)

    def has_ended(self, within_s: float = 0.0) -> bool:
        """See :class:`OtherProcess`."""
        deadline = time.monotonic() + within_s
        self._take_reports()
        while self._pidfd < 0:
            if self._line is None:
                return True
            if not _is_readable(self._line, deadline - time.monotonic()):
                return False
            self._take_reports()
        return _is_readable(self._pidfd, deadline - time.monotonic())

    def ending(self) -> str:
        """See :class:`OtherProcess`."""
        if self.has_ended(_END_S) and self._line is not None:
            _is_readable(self._line, _END_S)  # the server takes a moment to tell it
            self._take_reports()
        return self._ending

    def kill(self) -> None:
        """See :class:`OtherProcess`; one that is not there yet finds that nobody wants it."""
        self._take_reports()
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        """See :class:`OtherProcess`."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def _take_reports(self) -> None:
        while self._line is not None:
            try:
                report, pidfd = receive_report(self._line)
            except BlockingIOError:
                return
            if pidfd >= 0:
                self._pidfd = pidfd
            if report is None or report.kind != ReportKind.FORKED:
                self._line.close()
                self._line = None
            if report is not None and report.kind == ReportKind.ENDED:
                self._ending = f"exit code {report.number}"
            elif report is not None and report.kind == ReportKind.FAILED:
                self._ending = f"it could not start: {os.strerror(report.number)}"


class ForkLine:
    """The line to a fork server: whoever holds it can ask.

    Args:
        requests: it; closed with this.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        let_go_in_forks(requests)

    def fork(self, work: socket.socket) -> ForkedProcess:
        """Return a process whose work is the other end of this socket; it may start a moment later.

        Its owner is this process.

        Raises:
            OSError: the server is gone.
        """
        line, theirs = socket_pair()
        asker = os.pidfd_open(os.getpid())
        try:
            with theirs, _standard_error() as stderr:
                sent = [theirs.fileno(), stderr, work.fileno(), asker]
                socket.send_fds(self._requests, [b"f"], sent)
        except OSError:
            line.close()
            raise
        finally:
            os.close(asker)
        return ForkedProcess(line)

    def lend(self) -> socket.socket:
        """Return this line once more, for another process to ask over."""
        return self._requests.dup()

    def close(self) -> None:
        """Ask nothing any more. Idempotent."""
        self._requests.close()


class ForkServer(ForkLine):
    """A server that forks processes of a module; it starts at once, and ends with this process.

    Args:
        module: its ``rehearse(*told)`` is called once, and its ``run(work, owner)`` in each process; ``work``
            is the number of a socket.
        told: what it is told.
        without: modules that the libraries which it needs would load, and get on without.

    Raises:
        OSError: it could not start.
    """

    def __init__(self, module: str, *told: str, without: Sequence[str] = ()) -> None:
        requests, theirs = socket_pair()
        with theirs:
            start = str(theirs.fileno()), str(os.getpid()), module, *told, "--", *without
            try:
                self._process = StartedProcess("gym_p2p.processes.fork_server", *start, passed=theirs)
            except BaseException:
                requests.close()
                raise
        self.pid = self._process.pid
        super().__init__(requests)

    def is_there(self) -> bool:
        """Return whether it can be asked, as far as is known."""
        return not self._process.has_ended()

    def close(self) -> None:
        """End it, whatever it is at: it holds nothing. What it has forked goes on. Idempotent."""
        super().close()
        self._process.kill()
        self._process.has_ended(_END_S)


def can_fork() -> bool:
    """Return whether there is what a server and its owner need: pidfds, and descriptors in messages."""
    pidfd = open_pidfd(os.getpid())
    if pidfd < 0:
        return False
    os.close(pidfd)
    return hasattr(socket, "MSG_CMSG_CLOEXEC")


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return a pair under numbers at which nobody writes who means standard output or error."""
    first, second = socket.socketpair()
    return _above_standard(first), _above_standard(second)


def _above_standard(end: socket.socket) -> socket.socket:
    if end.fileno() >= _FIRST_OWN_FD:
        return end
    with end:
        return socket.socket(fileno=fcntl.fcntl(end.fileno(), fcntl.F_DUPFD_CLOEXEC, _FIRST_OWN_FD))


@contextlib.contextmanager
def _standard_error() -> Iterator[int]:
    if _has_standard_error():
        yield 2
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        yield nowhere
    finally:
        os.close(nowhere)


def _has_standard_error() -> bool:
    """Return whether descriptor 2 is that; where it was closed, it may be any file that was opened since."""
    try:
        return os.get_inheritable(2)
    except OSError:
        return False


def _is_readable(what: int | socket.socket, within_s: float) -> bool:
    readable = select.poll()  # not select(), which knows no descriptors above 1023
    readable.register(what, select.POLLIN)
    return bool(readable.poll(max(0.0, within_s) * 1e3))
