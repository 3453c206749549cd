"""A blocking socket whose short waits the system ends: one that Python ends is a system call more.

The system counts a wait anew after each signal, Python does not: so a wait that has to end by its deadline is
Python's.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time

from gym_p2p.core.link.busy_polling import LOOKS_FOR_S, BusyPolling

__all__ = ["TimedSocket"]

_TIMEVAL = struct.Struct("@ll")
SHORT_S = 0.05
"""How long a wait may be to be the system's: a step waits so first."""

_LEAST_WAIT_S = 1e-6
"""What the system's clock of waits tells apart from none; none would be for ever."""


class TimedSocket:
    """What the user's thread waits at for the network half. One thread at a time reads.

    Args:
        end: of a socket pair; it blocks from now on, and nobody else reads from it.
        polling: whether to look again and again; ``None``: never, for who waits would keep away who gives.
    """

    def __init__(self, end: socket.socket, polling: BusyPolling | None = None) -> None:
        self._socket = end
        end.settimeout(None)
        self._poll = select.poll()
        self._poll.register(end, select.POLLIN)
        self._polling = polling
        self._waits_s = 0.0
        """For how long the system waits now; 0: until something comes."""

    def limit_sends(self, limit_s: float) -> None:
        """Have what sends here, and waits for room, wait no longer than this."""
        self._set_time_out(socket.SO_SNDTIMEO, limit_s)

    def recv(self, size: int, timeout_s: float) -> bytes | None:
        """Return what is there, once something is; ``None``: nothing within the time; empty: it is over."""
        try:
            if self._polling is not None and timeout_s >= LOOKS_FOR_S:
                return self._look(self._polling, size, timeout_s)
            return self._sleep(size, timeout_s)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _look(self, polling: BusyPolling, size: int, timeout_s: float) -> bytes | None:
        """Look again and again for a little while, where that pays, before it sleeps."""
        began = time.monotonic()
        if not polling.pays(began):
            return self._sleep(size, timeout_s)
        try:  # it may be there: no sleep is saved then, and no processor has to be offered
            return self._socket.recv(size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        found, took_s = False, 0.0
        while not found and took_s < LOOKS_FOR_S:
            os.sched_yield()
            found = bool(self._poll.poll(0))
            now = time.monotonic()
            took_s = now - began
        polling.looked(now, took_s, found=found)
        return self._sleep(size, 0.0 if found else timeout_s - took_s)

    def _sleep(self, size: int, timeout_s: float) -> bytes | None:
        if timeout_s > SHORT_S and not self._poll.poll(timeout_s * 1e3):
            return None
        if timeout_s < _LEAST_WAIT_S or timeout_s > SHORT_S:
            return self._socket.recv(size, socket.MSG_DONTWAIT)
        if timeout_s != self._waits_s:
            self._set_time_out(socket.SO_RCVTIMEO, timeout_s)
            self._waits_s = timeout_s
        return self._socket.recv(size)

    def _set_time_out(self, of: int, timeout_s: float) -> None:
        seconds, micros = divmod(int(timeout_s * 1e6), 1_000_000)
        self._socket.setsockopt(socket.SOL_SOCKET, of, _TIMEVAL.pack(seconds, micros))
