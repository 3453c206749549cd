"""The service: where players meet, signal each other, and leave their documents."""

from gym_p2p.server.app import Service, serve_in_thread
from gym_p2p.server.factory import mount

__all__ = ["Service", "mount", "serve_in_thread"]
