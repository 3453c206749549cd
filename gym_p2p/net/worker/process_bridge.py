"""The network half in a process of its own, at the other end of a socket pair."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence

from gym_p2p.core.link.busy_polling import BusyPolling
from gym_p2p.errors import NetworkEnded, NetworkError
from gym_p2p.net.worker.bridge import STOP_TIMEOUT_S, Bridge
from gym_p2p.net.worker.messages import (
    AfterOwner,
    PlayerPlan,
    SpectatorPlan,
    StampedEvent,
    Surroundings,
    WorkerCommand,
    WorkerFailed,
    WorkerStopped,
)
from gym_p2p.net.worker.pipe import FrameReader, pack
from gym_p2p.net.worker.timed_socket import TimedSocket
from gym_p2p.net.worker.warm import take_process
from gym_p2p.processes.forks import let_go_in_forks

__all__ = ["ProcessBridge"]

_log = logging.getLogger(__name__)

_READ_BYTES = 8_192
"""At once: nearly all events are a hundredth of it, and room that is not used has to be given back."""


class ProcessBridge(Bridge):
    """The network half in a process of its own, at the other end of a socket pair."""

    def __init__(self, plan: PlayerPlan | SpectatorPlan) -> None:
        """Start the process; it signs in and connects at once."""
        super().__init__()
        try:
            self._socket, self._process = take_process()
        except OSError as error:
            raise NetworkError(f"the network process could not start: {error}") from error
        let_go_in_forks(self._socket)
        self._arriving = TimedSocket(self._socket, BusyPolling())
        self._arriving.limit_sends(STOP_TIMEOUT_S)
        self._reader = FrameReader()
        self._sending = threading.Lock()
        self._events: deque[StampedEvent] = deque()
        self._send(pack(Surroundings.of_this_process()) + pack(plan))

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
        ended = False
        try:
            ended = self._process.has_ended(STOP_TIMEOUT_S)
            if not ended:
                _log.error("the network process did not stop; killing it")
        finally:
            if not ended:
                self._process.kill()
                self._process.has_ended(STOP_TIMEOUT_S)
            self._process.close()

    def _send(self, frame: bytes) -> None:
        try:
            sent = self._socket.send(frame, socket.MSG_DONTWAIT)
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
            self._socket.sendall(frame)
        except OSError as error:
            # Half a frame may be out, and nothing makes sense after it: reading finds the end, and says so.
            _log.warning("the network process takes no commands: %s", error)
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _read(self, timeout_s: float) -> None:
        """Read what is there, waiting until something whole has come or the time is over."""
        deadline = 0.0
        left_s = timeout_s
        while not self._events:
            data = self._arriving.recv(_READ_BYTES, left_s)
            if data is None and timeout_s > 0 and self._process.has_ended():
                # It has ended, and somebody who was forked as it began may hold its end of the line.
                data = self._arriving.recv(_READ_BYTES, 0) or b""
            if not data:
                if data is not None:
                    self._end_of_stream()
                return
            self._events.extend(self._reader.feed(data))
            if not self._events:  # the rest of a long one
                now = time.monotonic()
                deadline = deadline or now + left_s
                left_s = max(0.0, deadline - now)

    def _end_of_stream(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        error = NetworkEnded(f"the network process ended by itself ({self._process.ending()})")
        self._events.extend([(now_ms, WorkerFailed(error)), (now_ms, WorkerStopped())])
