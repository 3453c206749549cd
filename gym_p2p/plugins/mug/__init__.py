"""Probes and matching for experiments of ``multi-user-gymnasium``, in place of its own.

One line in an experiment's script, before its ``run()``::

    from gym_p2p.plugins import mug

    mug.install(config)  # or the module mug.server.app
    app.run(config)

The framework keeps its server, pages, waiting room and games. Whom it seats together is decided by our
planner, by what our probes have measured.
"""

from gym_p2p.plugins.mug.coordinator import ProbeCoordinator
from gym_p2p.plugins.mug.installing import install
from gym_p2p.plugins.mug.seating import matchmaker

__all__ = ["ProbeCoordinator", "install", "matchmaker"]
