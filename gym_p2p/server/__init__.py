"""The service: where players meet, signal each other, and leave their documents."""

from gym_p2p.server.app import Service, serve_in_thread

__all__ = ["Service", "serve_in_thread"]
