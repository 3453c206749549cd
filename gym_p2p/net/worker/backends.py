"""Which bridge leads to the network half, as the configuration has it: a thread's or a process's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

from gym_p2p.net.worker.bridge import Bridge
from gym_p2p.net.worker.messages import PlayerPlan, SpectatorPlan
from gym_p2p.net.worker.process_bridge import ProcessBridge
from gym_p2p.net.worker.warm import prepare_process
from gym_p2p.processes.python import can_start_python

__all__ = ["open_bridge", "prepare_network"]

_log = logging.getLogger(__name__)

Network = Literal["thread", "process"]


def prepare_network(network: Network) -> None:
    """Have behind what takes long before a first match: imports, for a thread; a process that has them."""
    if _runs_as_thread(network):
        _thread_bridge()
        return
    try:
        prepare_process()
    except OSError as error:  # the match will say so, if it is still so by then
        _log.debug("no network process could be started ahead: %s", error)


def open_bridge(plan: PlayerPlan | SpectatorPlan) -> Bridge:
    """Start the network half as the plan's configuration has it; as a thread where no process can be."""
    if not _runs_as_thread(plan.config.network):
        return ProcessBridge(plan)
    if plan.config.network == "process":
        _log.warning("no Python interpreter to start the network process with: it runs as a thread")
    return _thread_bridge()(plan)


def _runs_as_thread(network: Network) -> bool:
    return network == "thread" or not can_start_python()


def _thread_bridge() -> Callable[[PlayerPlan | SpectatorPlan], Bridge]:
    from gym_p2p.net.worker.thread_bridge import ThreadBridge  # noqa: PLC0415 - brings aiortc, which a process has

    return ThreadBridge
