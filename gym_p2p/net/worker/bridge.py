"""The one place where the user's thread and the network's event loop meet: the user's side of it.

Two backends behind one interface: :mod:`~gym_p2p.net.worker.thread_bridge` runs the loop in a thread of this
process, :mod:`~gym_p2p.net.worker.process_bridge` in a process of its own with its own interpreter lock, so
that nothing the user computes can hold it up. Every wait has a deadline; closing is idempotent and leaves
nothing behind.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Sequence

from gym_p2p.core.match.commands import Leave
from gym_p2p.net.worker.messages import StampedEvent, WorkerCommand

__all__ = ["STOP_TIMEOUT_S", "Bridge"]

STOP_TIMEOUT_S = 5.0
"""More than a goodbye (3 s, :mod:`gym_p2p.core.match.leaving`) and closing the sockets need; after it the
network half is abandoned."""

_LOOK_EVERY_S = 0.5
"""A look for the end of the network half. Who looks for longer stood still, and it mostly did, too."""


class Bridge(abc.ABC):
    """The user's side of the network half. All but :meth:`command` is called on the user's thread."""

    def __init__(self) -> None:
        self._stopped = False
        """Whether :class:`WorkerStopped` was received: there are no more events."""
        self._closed = False

    @abc.abstractmethod
    def command(self, command: WorkerCommand) -> None:
        """Give a command, from any thread; does nothing once the network half has stopped.

        Blocks only if the network half takes nothing, for :data:`STOP_TIMEOUT_S` at most.
        """

    @abc.abstractmethod
    def run_after_owner(self, command: Sequence[str]) -> None:
        """Have this run should the user's process be killed, by a network half that outlives it.

        Args:
            command: of a program that ends by itself, and soon; empty takes it back.
        """

    @abc.abstractmethod
    def receive(self, timeout_s: float) -> StampedEvent | None:
        """Return the next event, in order; ``None`` if there is none within the time."""

    def close(self, goodbye: Leave, take: Callable[[StampedEvent], None]) -> None:
        """Say goodbye, and stop. Idempotent.

        Args:
            goodbye: what is said.
            take: is given each event of meanwhile, as it comes: whoever interrupts this loses none of them.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self.command(goodbye)
            self._drain(take)
        finally:
            self._clean_up()

    def _drain(self, take: Callable[[StampedEvent], None]) -> None:
        """Take the events until the network half has stopped, or for the stop time-out.

        Of a look that took longer than it was to, because this process stood still, the rest is not counted.
        """
        left_s, looked_at = STOP_TIMEOUT_S, time.monotonic()
        while not self._stopped and left_s > 0:
            event = self.receive(min(left_s, _LOOK_EVERY_S))
            if event is not None:
                take(event)
            now = time.monotonic()
            left_s -= min(now - looked_at, _LOOK_EVERY_S)
            looked_at = now

    @abc.abstractmethod
    def _clean_up(self) -> None:
        """See that nothing is left of the network half, which has stopped or had its time to."""
