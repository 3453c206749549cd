"""Which network half a plan is for: a player's or a spectator's."""

from __future__ import annotations

from gym_p2p.net.worker.messages import Emit, PlayerPlan, SpectatorPlan
from gym_p2p.net.worker.player import PlayerWorker
from gym_p2p.net.worker.spectator import SpectatorWorker
from gym_p2p.net.worker.worker import NetworkWorker

__all__ = ["make_worker"]


def make_worker(plan: PlayerPlan | SpectatorPlan, emit: Emit) -> NetworkWorker:
    """Return the network half for a plan; nothing happens before it runs."""
    return PlayerWorker(plan, emit) if isinstance(plan, PlayerPlan) else SpectatorWorker(plan, emit)
