"""The service: where players meet, signal each other, and leave their documents.

Public names are imported on first use: a host that mounts the service needs none of what serves it on a port
of its own.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gym_p2p.server.aiohttp_handler import aiohttp_handler
    from gym_p2p.server.app import Service, serve_in_thread
    from gym_p2p.server.asgi import asgi_app
    from gym_p2p.server.hosts.mounting import mount
    from gym_p2p.server.storage import Storage
    from gym_p2p.server.wsgi import wsgi_app

__all__ = ["Service", "Storage", "aiohttp_handler", "asgi_app", "mount", "serve_in_thread", "wsgi_app"]

_WHERE = {
    "Service": "gym_p2p.server.app",
    "Storage": "gym_p2p.server.storage",
    "aiohttp_handler": "gym_p2p.server.aiohttp_handler",
    "asgi_app": "gym_p2p.server.asgi",
    "mount": "gym_p2p.server.hosts.mounting",
    "serve_in_thread": "gym_p2p.server.app",
    "wsgi_app": "gym_p2p.server.wsgi",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
