"""Whole matches of real environments in one process, on virtual time, over a seeded network in memory.

The same core, netcode and record as on the network: every player has a copy of the environment, a match
machine and a session; only links and clocks are made up. So a match takes as long as its steps take, equal
arguments give equal results, and a researcher can ask what delay does to a policy.

It knows games, machines and the network in memory. It refuses to know what a policy is.

Imported on first use, for populations and queues are simulated without any environment.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gym_p2p.simulation.match import simulate
    from gym_p2p.simulation.results import ConfirmedFrame, Counters, SimulatedPlayer, Simulation

__all__ = ["ConfirmedFrame", "Counters", "SimulatedPlayer", "Simulation", "simulate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        home = "match" if name == "simulate" else "results"
        return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
