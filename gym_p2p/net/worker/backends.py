"""Which bridge leads to the network half, as the configuration has it: a thread's or a process's."""

from __future__ import annotations

from gym_p2p.net.worker.bridge import Bridge
from gym_p2p.net.worker.messages import PlayerPlan, SpectatorPlan
from gym_p2p.net.worker.process_bridge import ProcessBridge
from gym_p2p.net.worker.thread_bridge import ThreadBridge

__all__ = ["open_bridge"]


def open_bridge(plan: PlayerPlan | SpectatorPlan) -> Bridge:
    """Start the network half as the plan's configuration has it."""
    return ThreadBridge(plan) if plan.config.network == "thread" else ProcessBridge(plan)
