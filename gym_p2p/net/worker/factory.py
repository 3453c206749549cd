"""Which network half a plan asks for: a player's or a spectator's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gym_p2p.net.worker.messages import Order, Plan, Telling, WatchPlan
from gym_p2p.net.worker.player import Participant
from gym_p2p.net.worker.spectator import Watcher

__all__ = ["NetworkHalf", "network_half"]


class NetworkHalf(Protocol):
    """What runs on the network's event loop."""

    async def run(self) -> None:
        """Do it all; tells ``Stopped`` last."""

    def command(self, command: Order) -> None:
        """Carry out a command of the user's half."""


def network_half(plan: Plan | WatchPlan, tell: Callable[[int, Telling], None]) -> NetworkHalf:
    """Return the network half for a plan; nothing happens before it runs."""
    return Participant(plan, tell) if isinstance(plan, Plan) else Watcher(plan, tell)
