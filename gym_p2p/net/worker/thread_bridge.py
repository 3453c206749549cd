"""The network half in a thread of the user's process."""

from __future__ import annotations

import asyncio
import logging
import queue
import sys
import threading
import time
from collections.abc import Sequence

from gym_p2p.errors import NetworkError
from gym_p2p.net.loop import run_loop
from gym_p2p.net.worker.bridge import STOP_TIMEOUT_S, Bridge
from gym_p2p.net.worker.factory import make_worker
from gym_p2p.net.worker.handover import Handover
from gym_p2p.net.worker.messages import PlayerPlan, SpectatorPlan, StampedEvent, WorkerCommand, WorkerStopped
from gym_p2p.processes.threads import OwnThread

__all__ = ["ThreadBridge"]

_log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 1e-4
"""With the default of 5 ms a busy user thread makes a 50 ms round trip last seconds; this keeps it at 51."""


class _SwitchInterval:
    """Shortens the interpreter's switch interval while at least one network thread runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 0.0

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(SWITCH_INTERVAL_S, self._before))

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                sys.setswitchinterval(self._before)


_switch_interval = _SwitchInterval()


class ThreadBridge(Bridge):
    """The network half in a thread."""

    def __init__(self, plan: PlayerPlan | SpectatorPlan) -> None:
        """Start the thread; it signs in and connects at once."""
        super().__init__()
        self._started: queue.SimpleQueue[bool] = queue.SimpleQueue()
        """Whether it has a network half; what comes first counts."""
        self._abandoned = False
        """Whether nobody waits for its end any more."""
        self._thread = OwnThread(target=self._main, args=(plan,), name="gym_p2p-network", daemon=True)
        try:
            self._handover: Handover[WorkerCommand, StampedEvent] = Handover()
        except OSError as error:
            raise NetworkError(f"the network thread could not start: {error}") from error
        try:
            self._thread.start()
        except RuntimeError as error:  # no room for another thread
            self._handover.close()
            raise NetworkError(f"the network thread could not start: {error}") from error
        if not self._started.get():
            self._handover.close()
            raise NetworkError("the network thread could not start; its traceback is on standard error")

    def command(self, command: WorkerCommand) -> None:
        """Give a command."""
        self._handover.give(command)

    def run_after_owner(self, command: Sequence[str]) -> None:
        """Do nothing: a thread ends with its process."""

    def receive(self, timeout_s: float) -> StampedEvent | None:
        """Return the next event."""
        if self._stopped:
            return None
        event = self._handover.take(timeout_s)
        if event is None:
            return None
        self._stopped = isinstance(event[1], WorkerStopped)
        return event

    def _clean_up(self) -> None:
        self._thread.join(STOP_TIMEOUT_S)
        if self._thread.is_alive():
            _log.error("the network thread did not stop")
        self._abandoned = True
        if not self._thread.is_alive():
            self._handover.close()

    def _main(self, plan: PlayerPlan | SpectatorPlan) -> None:
        try:
            with _switch_interval:
                run_loop(self._run(plan))
        finally:
            # The user's thread may wait for either.
            self._started.put(False)  # noqa: FBT003 - a queue takes no names
            self._handover.put((time.time_ns() // 1_000_000, WorkerStopped()))
            if self._abandoned:
                self._handover.close()

    async def _run(self, plan: PlayerPlan | SpectatorPlan) -> None:
        worker = make_worker(plan, self._handover.put)
        self._handover.attach(asyncio.get_running_loop(), worker.command)
        self._started.put(True)  # noqa: FBT003 - a queue takes no names
        try:
            await worker.run()
        finally:
            self._handover.detach()
