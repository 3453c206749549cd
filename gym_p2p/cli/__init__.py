"""The ``gym-p2p`` command."""

from gym_p2p.cli.commands import main

__all__ = ["main"]
