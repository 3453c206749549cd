"""What every network half has in common: a line to the service, and one way to end."""

from __future__ import annotations

import abc
import asyncio
import logging

from gym_p2p.config import P2PConfig
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.errors import NetworkEnded, P2PError
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.net.loop import unless
from gym_p2p.net.worker.messages import Emit, WorkerCommand, WorkerEvent, WorkerFailed, WorkerStopped
from gym_p2p.processes.clocks import WallClock

__all__ = ["NetworkWorker"]

_log = logging.getLogger(__name__)


class NetworkWorker(abc.ABC):
    """One match's network half. Every method, the constructor included, is called on its event loop."""

    def __init__(self, emit: Emit, config: P2PConfig) -> None:
        self._emit_stamped = emit
        self._client = SignalingClient(prefix=config.server_prefix, namespace=config.server_namespace)
        self._clock = WallClock()
        """What events are stamped by: it never goes back during a match."""
        self._over = asyncio.Event()
        """Set once there is nothing more to do; ends :meth:`run`."""

    async def run(self) -> None:
        """See one match through; whatever happens, the last event is ``WorkerStopped``."""
        try:
            await unless(self._over, self._work())
        except P2PError as error:
            self._emit(WorkerFailed(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the user's half learns of it, whatever it is
            _log.exception("the network half failed")
            told = printable(str(error))
            self._emit(WorkerFailed(NetworkEnded(f"the network half failed: {type(error).__name__}: {told}")))
        finally:
            await self._clean_up()
            self._emit(WorkerStopped())

    @abc.abstractmethod
    def command(self, command: WorkerCommand) -> None:
        """Carry out a command of the user's half."""

    @abc.abstractmethod
    async def _work(self) -> None:
        """Do it all; cancelled when :attr:`_over` is set."""

    @abc.abstractmethod
    async def _clean_up(self) -> None:
        """Close whatever is open, the line to the service included."""

    def _emit(self, event: WorkerEvent) -> None:
        self._emit_stamped((self._clock.ms(), event))
