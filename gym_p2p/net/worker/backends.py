"""Which bridge leads to the network half, as the configuration has it: a thread's or a process's."""

from __future__ import annotations

import logging

from gym_p2p.net.worker.bridge import Bridge
from gym_p2p.net.worker.messages import PlayerPlan, SpectatorPlan
from gym_p2p.net.worker.process_bridge import ProcessBridge
from gym_p2p.net.worker.thread_bridge import ThreadBridge
from gym_p2p.processes.python import can_start_python

__all__ = ["open_bridge"]

_log = logging.getLogger(__name__)


def open_bridge(plan: PlayerPlan | SpectatorPlan) -> Bridge:
    """Start the network half as the plan's configuration has it; as a thread where no process can be."""
    if plan.config.network == "thread":
        return ThreadBridge(plan)
    if not can_start_python():
        _log.warning("no Python interpreter to start the network process with: it runs as a thread")
        return ThreadBridge(plan)
    return ProcessBridge(plan)
