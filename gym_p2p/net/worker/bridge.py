"""The one place where the user's thread and the network's event loop meet.

Two backends behind one interface: a :class:`ThreadBridge` runs the loop in a thread of this process, a
:class:`ProcessBridge` in a process of its own with its own interpreter lock, so that nothing the user
computes can hold it up. Every wait has a deadline; closing is idempotent and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import select
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Protocol

from gym_p2p.core.match.events import Leave
from gym_p2p.errors import NetworkError
from gym_p2p.net.loop import run_loop
from gym_p2p.net.worker.factory import NetworkHalf, network_half
from gym_p2p.net.worker.messages import Failed, Order, Plan, Stopped, Telling, WatchPlan
from gym_p2p.net.worker.pipe import FrameReader, pack

__all__ = ["Bridge", "ProcessBridge", "ThreadBridge", "open_bridge"]

_log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 1e-4
"""With the default of 5 ms a busy user thread makes a 50 ms round trip last seconds; this keeps it at 51."""

STOP_TIMEOUT_S = 5.0
"""More than a goodbye (1 s) and closing the sockets need; after it the network half is abandoned."""

Told = tuple[int, Telling]
"""The Unix time in milliseconds, and what happened."""


class Bridge(Protocol):
    """The user's side of the network half. Every method is called on the user's thread."""

    def command(self, command: Order) -> None:
        """Give a command; does nothing once the network half has stopped.

        Blocks only if the network half takes nothing, for :data:`STOP_TIMEOUT_S` at most.
        """

    def next(self, timeout_s: float) -> Told | None:
        """Return the next thing told, in order; ``None`` if there is none within the time."""

    def close(self, goodbye: Leave) -> list[Told]:
        """Say goodbye, stop, and return what was told meanwhile. Idempotent."""


def open_bridge(plan: Plan | WatchPlan) -> Bridge:
    """Start the network half as the plan's configuration has it."""
    return ThreadBridge(plan) if plan.config.network == "thread" else ProcessBridge(plan)


def _drain(bridge: Bridge) -> list[Told]:
    """Collect what is told until the network half has stopped, or for the stop time-out."""
    told: list[Told] = []
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while (left_s := deadline - time.monotonic()) > 0:
        item = bridge.next(left_s)
        if item is None:
            break
        told.append(item)
        if isinstance(item[1], Stopped):
            break
    return told


class _SwitchInterval:
    """Shortens the interpreter's switch interval while at least one network thread runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 0.0

    def acquire(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(SWITCH_INTERVAL_S, self._before))

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                sys.setswitchinterval(self._before)


_switch_interval = _SwitchInterval()


class ThreadBridge:
    """The network half in a thread."""

    def __init__(self, plan: Plan | WatchPlan) -> None:
        """Start the thread; it signs in and connects at once."""
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._started: queue.SimpleQueue[asyncio.AbstractEventLoop | None] = queue.SimpleQueue()
        self._half: NetworkHalf | None = None
        self._stopped = False
        self._closed = False
        _switch_interval.acquire()
        self._thread = threading.Thread(target=self._main, args=(plan,), name="gym_p2p-network", daemon=True)
        try:
            self._thread.start()
            self._loop = self._running_loop()
        except BaseException:
            _switch_interval.release()
            raise

    def command(self, command: Order) -> None:
        """Give a command."""
        with contextlib.suppress(RuntimeError):  # the loop has closed: the match is over
            self._loop.call_soon_threadsafe(self._carry_out, command)

    def next(self, timeout_s: float) -> Told | None:
        """Return the next thing told."""
        if self._stopped:
            return None
        try:
            told = self._told.get(timeout=timeout_s) if timeout_s > 0 else self._told.get_nowait()
        except queue.Empty:
            return None
        self._stopped = isinstance(told[1], Stopped)
        return told

    def close(self, goodbye: Leave) -> list[Told]:
        """Say goodbye and stop the thread."""
        if self._closed:
            return []
        self._closed = True
        self.command(goodbye)
        try:
            told = _drain(self)
            self._thread.join(STOP_TIMEOUT_S)
            if self._thread.is_alive():
                _log.error("the network thread did not stop")
        finally:
            _switch_interval.release()
        return told

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        loop = self._started.get()
        if loop is None:
            raise NetworkError("the network thread could not start; its traceback is on standard error")
        return loop

    def _carry_out(self, command: Order) -> None:
        if self._half is not None:
            self._half.command(command)

    def _main(self, plan: Plan | WatchPlan) -> None:
        try:
            run_loop(self._run(plan))
        finally:
            # Second ones are ignored; without the first the user's thread would wait for nothing.
            self._started.put(None)
            self._told.put((time.time_ns() // 1_000_000, Stopped()))

    async def _run(self, plan: Plan | WatchPlan) -> None:
        self._half = network_half(plan, lambda at, telling: self._told.put((at, telling)))
        self._started.put(asyncio.get_running_loop())
        await self._half.run()


class ProcessBridge:
    """The network half in a process of its own, at the other end of a socket pair."""

    def __init__(self, plan: Plan | WatchPlan) -> None:
        """Start the process; it signs in and connects at once."""
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = _start_child(theirs)
        except OSError as error:
            self._socket.close()
            raise NetworkError(f"the network process could not start: {error}") from error
        # Waiting is up to poll: a time-out on the socket would be a system call or two more a step.
        self._socket.settimeout(0)
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)
        self._reader = FrameReader()
        self._told: deque[Told] = deque()
        self._stopped = False
        self._closed = False
        self._send(pack(plan))

    def command(self, command: Order) -> None:
        """Give a command."""
        self._send(pack(command))

    def next(self, timeout_s: float) -> Told | None:
        """Return the next thing told."""
        if not self._told and not self._stopped:
            self._receive(timeout_s)
        if not self._told:
            return None
        told = self._told.popleft()
        self._stopped = self._stopped or isinstance(told[1], Stopped)
        return told

    def close(self, goodbye: Leave) -> list[Told]:
        """Say goodbye and stop the process."""
        if self._closed:
            return []
        self._closed = True
        self.command(goodbye)
        try:
            return _drain(self)
        finally:
            self._socket.close()
            self._reap()

    def _reap(self) -> None:
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
            # The network process is gone; reading says so, in its place among what was told.
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

    def _receive(self, timeout_s: float) -> None:
        """Read what is there, waiting until something whole has come or the time is over."""
        deadline = time.monotonic() + timeout_s
        left_s = timeout_s
        while not self._told:
            if not self._readable.poll(left_s * 1e3):
                return
            left_s = max(0.0, deadline - time.monotonic())
            try:
                data = self._socket.recv(65_536)
            except OSError:
                data = b""
            if not data:
                self._end_of_stream()
                return
            self._told.extend(self._reader.feed(data))

    def _end_of_stream(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        code = self._process.poll()
        error = NetworkError(f"the network process ended by itself (exit code {code})")
        self._told.extend([(now_ms, Failed(error)), (now_ms, Stopped())])


def _start_child(theirs: socket.socket) -> subprocess.Popen[bytes]:
    # The child must find this very package, wherever the parent has it from; -P keeps the working
    # directory out. Its own process group keeps a Ctrl-C at the terminal from reaching it: the user's
    # half decides when the match ends.
    root = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "gym_p2p.net.worker.child", str(theirs.fileno())],
        pass_fds=(theirs.fileno(),),
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        process_group=0,
        restore_signals=True,
    )
