"""The network half in a process of its own, at the other end of a socket pair."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import select
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence

from gym_p2p.errors import NetworkError
from gym_p2p.net.worker.bridge import STOP_TIMEOUT_S, Bridge
from gym_p2p.net.worker.messages import (
    AfterOwner,
    PlayerPlan,
    SpectatorPlan,
    StampedEvent,
    WorkerCommand,
    WorkerFailed,
    WorkerStopped,
)
from gym_p2p.net.worker.pipe import FrameReader, pack
from gym_p2p.processes.forks import let_go_in_forks
from gym_p2p.processes.python import python_command

__all__ = ["ProcessBridge"]

_log = logging.getLogger(__name__)

_FIRST_OWN_FD = 3
"""Below are standard input, output and error, also in a process that was started without them."""


class ProcessBridge(Bridge):
    """The network half in a process of its own, at the other end of a socket pair."""

    def __init__(self, plan: PlayerPlan | SpectatorPlan) -> None:
        """Start the process; it signs in and connects at once."""
        super().__init__()
        self._socket, theirs = map(_above_standard, socket.socketpair())
        try:
            with theirs:
                self._process = _start_child(theirs)
        except OSError as error:
            self._socket.close()
            raise NetworkError(f"the network process could not start: {error}") from error
        let_go_in_forks(self._socket)
        # Waiting is up to poll: a time-out on the socket would be a system call or two more a step.
        self._socket.settimeout(0)
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)
        self._reader = FrameReader()
        self._sending = threading.Lock()
        self._events: deque[StampedEvent] = deque()
        self._send(pack(plan))

    def command(self, command: WorkerCommand) -> None:
        """Give a command, from any thread."""
        frame = pack(command)
        with self._sending:
            self._send(frame)

    def run_after_owner(self, command: Sequence[str]) -> None:
        """Have the network process run this should the user's be killed."""
        with self._sending:
            self._send(pack(AfterOwner(tuple(command))))

    def receive(self, timeout_s: float) -> StampedEvent | None:
        """Return the next event."""
        if not self._events and not self._stopped:
            self._read(timeout_s)
        if not self._events:
            return None
        event = self._events.popleft()
        self._stopped = self._stopped or isinstance(event[1], WorkerStopped)
        return event

    def _clean_up(self) -> None:
        self._socket.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except BaseException as error:
            if isinstance(error, subprocess.TimeoutExpired):
                _log.error("the network process did not stop; killing it")
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise

    def _send(self, frame: bytes) -> None:
        try:
            sent = self._socket.send(frame)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            # The network process is gone; reading says so, in its place among the events.
            _log.debug("command not delivered: %s", error)
            return
        if sent < len(frame):
            self._send_slowly(frame[sent:])

    def _send_slowly(self, frame: bytes) -> None:
        """Wait for room: the plan may be longer than what the socket takes at once."""
        try:
            self._socket.settimeout(STOP_TIMEOUT_S)
            self._socket.sendall(frame)
        except OSError as error:
            # Half a frame may be out, and nothing makes sense after it: reading finds the end, and says so.
            _log.warning("the network process takes no commands: %s", error)
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        finally:
            self._socket.settimeout(0)

    def _read(self, timeout_s: float) -> None:
        """Read what is there, waiting until something whole has come or the time is over."""
        deadline = time.monotonic() + timeout_s
        left_s = timeout_s
        while not self._events:
            if not self._readable.poll(left_s * 1e3):
                if timeout_s > 0 and self._process.poll() is not None and not self._readable.poll(0):
                    # It has ended, and somebody who was forked as it began holds its end of the line.
                    self._end_of_stream()
                return
            left_s = max(0.0, deadline - time.monotonic())
            try:
                data = self._socket.recv(65_536)
            except OSError:
                data = b""
            if not data:
                self._end_of_stream()
                return
            self._events.extend(self._reader.feed(data))

    def _end_of_stream(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        code = self._process.poll()
        error = NetworkError(f"the network process ended by itself (exit code {code})")
        self._events.extend([(now_ms, WorkerFailed(error)), (now_ms, WorkerStopped())])


def _start_child(theirs: socket.socket) -> subprocess.Popen[bytes]:
    # Its own process group keeps a Ctrl-C at the terminal, and a signal to the user's whole group, from
    # reaching it: the user's half decides when the match ends.
    fd = theirs.fileno()
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        python_command("gym_p2p.net.worker.child", str(fd), str(os.getpid())),
        pass_fds=(fd,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # it prints nothing; and who waits for the user's output to end, need not
        stderr=None if _is_open(2) else subprocess.DEVNULL,
        process_group=0,
        restore_signals=True,
    )


def _above_standard(end: socket.socket) -> socket.socket:
    """Return the same end under a number at which nobody writes who means standard output or error."""
    if end.fileno() >= _FIRST_OWN_FD:
        return end
    with end:
        return socket.socket(fileno=fcntl.fcntl(end.fileno(), fcntl.F_DUPFD_CLOEXEC, _FIRST_OWN_FD))


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
