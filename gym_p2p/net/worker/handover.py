"""How the user's thread and the network's thread hand each other what they have.

Values pass by two deques, and a byte through a socket pair wakes whoever waits at the other end. A thread
that is woken is run at once, often in place of the one that wakes it, and the interpreter lets go of its
lock for a system call of a socket: so it can go on. ``call_soon_threadsafe`` and the queues of the standard
library wake with the lock held. Whoever is woken by them waits for it, the other one is run again to let go
of it, and so the system switches from one to the other several times a step.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from gym_p2p.net.worker.timed_socket import TimedSocket
from gym_p2p.processes.forks import let_go_in_forks

__all__ = ["Handover"]

_Command = TypeVar("_Command")
_Event = TypeVar("_Event")

_WAKE = b"\0"
_WAKES_BYTES = 64
"""Read at once: there is seldom more than one."""


class Handover(Generic[_Command, _Event]):
    """Commands from any thread to an event loop in another one, and events from there to one thread."""

    def __init__(self) -> None:
        self._commands: deque[_Command] = deque()
        self._events: deque[_Event] = deque()
        self._user_end, self._loop_end = socket.socketpair()
        for end in (self._user_end, self._loop_end):
            let_go_in_forks(end)
            end.settimeout(0)
        self._woken = TimedSocket(self._user_end)
        self._loop: asyncio.AbstractEventLoop
        self._carry_out: Callable[[_Command], None]
        self._loop_waits = self._user_waits = False
        """Whether that side has to be woken: it waits, or is about to."""
        self._ended = False
        """Whether no command is carried out any more."""

    # Whoever is to wait says so first, and looks for values then; whoever has put a value there looks then
    # whether somebody is to be woken. So one of the two sees the other.

    def give(self, command: _Command) -> None:
        """Give a command, from any thread; nothing comes of it once the loop has ended."""
        if self._ended:
            return
        self._commands.append(command)
        if self._loop_waits:
            try:
                self._loop_waits = False
                self._wake(self._user_end)
            except BaseException:  # Ctrl-C, perhaps before the loop was woken
                self._loop_waits = True
                raise

    def take(self, timeout_s: float) -> _Event | None:
        """Return the next event; ``None`` if there is none within the time. On the one thread that does."""
        if not self._events and timeout_s > 0:
            self._await_event(timeout_s)
        return self._events.popleft() if self._events else None

    def _await_event(self, timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        left_s = timeout_s
        while left_s > 0:
            self._user_waits = True
            if self._events:
                break
            woken = self._woken.recv(_WAKES_BYTES, left_s)
            if self._events or woken is None:
                break
            # Woken late, for what was taken without waiting; or nobody is there who could wake us.
            left_s = until - time.monotonic()
            if not woken and left_s > 0:
                time.sleep(left_s)
        self._user_waits = False

    def attach(self, loop: asyncio.AbstractEventLoop, carry_out: Callable[[_Command], None]) -> None:
        """Have every command carried out on a loop from now on; called on it."""
        self._loop, self._carry_out = loop, carry_out
        loop.add_reader(self._loop_end.fileno(), self._on_wake)  # uvloop keeps a socket open, also in a fork
        loop.call_soon(self._on_wake)

    def detach(self) -> None:
        """Carry out no more commands; called on the loop, which ends."""
        self._ended = True
        self._loop.remove_reader(self._loop_end.fileno())

    def put(self, event: _Event) -> None:
        """Put an event there, on the loop's thread."""
        self._events.append(event)
        if self._user_waits:
            self._user_waits = False
            self._wake(self._loop_end)

    def close(self) -> None:
        """Close the sockets; called when both sides are done. Idempotent."""
        self._ended = True
        self._loop_waits = self._user_waits = False
        self._user_end.close()
        self._loop_end.close()

    def _on_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._loop_end.recv(_WAKES_BYTES)
        self._loop_waits = True
        self._carry_out_all()

    def _carry_out_all(self) -> None:
        try:
            while self._commands:
                self._carry_out(self._commands.popleft())
        finally:
            if self._commands:  # one has failed, and the loop says how: those behind it are not lost
                self._loop.call_soon(self._carry_out_all)

    @staticmethod
    def _wake(end: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed, or full of wake-ups: then nobody waits for this one
            end.send(_WAKE, socket.MSG_DONTWAIT)
