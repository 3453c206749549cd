"""Network processes that have their imports behind them before a match wants them.

Where the platform can, one small server process of each program forks them
(:mod:`gym_p2p.processes.fork_server`); elsewhere one of them is started ahead. A process serves one match: a
new one costs a few milliseconds, and nothing of a match, no socket, task or key, can reach the next.

A process that the program forks has no part in its parent's: it begins anew.
"""

from __future__ import annotations

import abc
import atexit
import os
import socket
import threading

from gym_p2p.processes.forked import (
    ForkedProcess,
    ForkLine,
    ForkServer,
    OtherProcess,
    StartedProcess,
    can_fork,
    socket_pair,
)
from gym_p2p.processes.forks import let_go_in_forks

__all__ = [
    "Borrowed",
    "Forked",
    "StartedAhead",
    "WarmProcesses",
    "borrow_processes",
    "lend_processes",
    "prepare_process",
    "take_process",
]

_CHILD = "gym_p2p.net.worker.light_child"

_NEVER_USED = ("requests",)
"""What Engine.IO's synchronous client would connect with, and takes a tenth of the time to load."""

_READ_ON_IMPORT = ("SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF")
"""Variables that a library looks at when it is imported; all others reach a process with its plan."""

_END_S = 1.0
"""For a killed process to be gone."""


class WarmProcesses(abc.ABC):
    """Network processes of this very process, each at the other end of a socket pair."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._lock = threading.Lock()
        self._imported_with: tuple[str | None, ...] = ()
        """The variables of what is at hand that it has read by now."""

    def prepare(self) -> None:
        """Begin to have one at hand, unless that is so already.

        Raises:
            OSError: nothing can be started.
        """
        with self._lock:
            self._prepare()

    def take(self) -> tuple[socket.socket, OtherProcess]:
        """Return the socket to a process, and the process.

        Raises:
            OSError: nothing can be started.
        """
        with self._lock:
            return self._take()

    def lend(self) -> socket.socket | None:
        """Return a line by which others can take processes; ``None`` where there is none such.

        Raises:
            OSError: nothing can be started.
        """
        return None

    @abc.abstractmethod
    def close(self) -> None:
        """End what is at hand; not what was taken."""

    @abc.abstractmethod
    def _prepare(self) -> None: ...

    @abc.abstractmethod
    def _take(self) -> tuple[socket.socket, OtherProcess]: ...


class Forked(WarmProcesses):
    """Forked by a server, which is started once, and again should it be killed."""

    def __init__(self) -> None:
        super().__init__()
        self._server: ForkServer | None = None

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def lend(self) -> socket.socket | None:
        """Return the line to the server."""
        with self._lock:
            return self._running_server().lend()

    def _prepare(self) -> None:
        self._running_server()

    def _take(self) -> tuple[socket.socket, OtherProcess]:
        ours, theirs = socket_pair()
        try:
            with theirs:
                return ours, self._fork(theirs)
        except BaseException:
            ours.close()
            raise

    def _fork(self, theirs: socket.socket) -> ForkedProcess:
        try:
            return self._running_server().fork(theirs)
        except ConnectionError:  # it was killed, and is not known to be dead yet
            self.close()
            return self._running_server().fork(theirs)

    def _running_server(self) -> ForkServer:
        read = _read_on_import()
        if self._server is not None and not (self._server.is_there() and read == self._imported_with):
            self.close()
        if self._server is None:
            self._server, self._imported_with = ForkServer(_CHILD, without=_NEVER_USED), read
        return self._server


class Borrowed(Forked):
    """Forked by another process's server while that is there, and then by one of this process.

    Args:
        line: to that server.
    """

    def __init__(self, line: ForkLine) -> None:
        super().__init__()
        self._line: ForkLine | None = line

    def lend(self) -> socket.socket | None:
        """Return the line to whichever server it is."""
        return super().lend() if self._line is None else self._line.lend()

    def close(self) -> None:
        """Let go of the line; end the server, if there is one of this process."""
        if self._line is not None:
            self._line.close()
            self._line = None
        super().close()

    def _prepare(self) -> None:
        if self._line is None:
            super()._prepare()

    def _fork(self, theirs: socket.socket) -> ForkedProcess:
        if self._line is not None:
            try:
                return self._line.fork(theirs)
            except OSError:
                self.close()
        return super()._fork(theirs)


class StartedAhead(WarmProcesses):
    """Started when a player is made, for their first match; whatever comes unexpected is started then."""

    def __init__(self) -> None:
        super().__init__()
        self._spare: tuple[socket.socket, OtherProcess] | None = None

    def close(self) -> None:
        """End the one that nobody has taken."""
        if self._spare is not None:
            (line, process), self._spare = self._spare, None
            line.close()
            process.kill()
            process.has_ended(_END_S)

    def _prepare(self) -> None:
        read = _read_on_import()
        if self._spare is None or self._spare[1].has_ended() or read != self._imported_with:
            self.close()
            self._spare, self._imported_with = _start(), read

    def _take(self) -> tuple[socket.socket, OtherProcess]:
        self._prepare()
        spare, self._spare = self._spare, None
        assert spare is not None  # noqa: S101 - prepared
        return spare


def _read_on_import() -> tuple[str | None, ...]:
    return tuple(map(os.environ.get, _READ_ON_IMPORT))


def _start() -> tuple[socket.socket, OtherProcess]:
    ours, theirs = socket_pair()
    with theirs:
        try:
            started = StartedProcess(_CHILD, str(theirs.fileno()), str(os.getpid()), passed=theirs)
        except BaseException:
            ours.close()
            raise
    let_go_in_forks(ours)
    return ours, started


class _OfThisProcess:
    """What this very process has at hand, made when it is first wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: WarmProcesses | None = None

    def get(self) -> WarmProcesses:
        """Return it. What a parent has made is not this one's, however this one was forked."""
        with self._lock:
            if self._made is None or self._made.owner != os.getpid():
                self._made = Forked() if can_fork() else StartedAhead()
            return self._made

    def borrow(self, line: socket.socket) -> None:
        """Have what another process's server forks."""
        with self._lock:
            self._made = Borrowed(ForkLine(line))

    def close(self) -> None:
        """End it."""
        if self._made is not None and self._made.owner == os.getpid():
            self._made.close()

    def begin_anew(self) -> None:
        """Have nothing; nobody else is here to hold the lock."""
        self._lock = threading.Lock()
        self._made = None


_here = _OfThisProcess()
os.register_at_fork(after_in_child=_here.begin_anew)
atexit.register(_here.close)


def prepare_process() -> None:
    """Begin to have a network process at hand; a program's first match then waits less, or not at all.

    Raises:
        OSError: nothing can be started.
    """
    _here.get().prepare()


def lend_processes() -> socket.socket | None:
    """Return a line by which a process that this one has started can have its network processes forked, too.

    ``None`` where nothing is forked.

    Raises:
        OSError: nothing can be started.
    """
    return _here.get().lend()


def borrow_processes(line: socket.socket) -> None:
    """Have this process's network processes forked over a line that another one has lent."""
    _here.borrow(line)


def take_process() -> tuple[socket.socket, OtherProcess]:
    """Return a network process and the socket to it, over which it gets its plan.

    Raises:
        OSError: nothing can be started.
    """
    return _here.get().take()
