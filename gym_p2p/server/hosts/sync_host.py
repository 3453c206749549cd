"""The service on a synchronous Socket.IO server: threads, or the greenlets of eventlet and gevent."""

from __future__ import annotations

from typing import Any

from gym_p2p.errors import UsageError
from gym_p2p.server.documents import Documents
from gym_p2p.server.hosts.callbacks import Callbacks
from gym_p2p.server.hosts.registration import Names
from gym_p2p.server.switchboard import Switchboard

__all__ = ["SyncService"]


class SyncService:
    """Meeting, signalling and probing, on a ``socketio.Server``.

    Args:
        sio: the server.
        switchboard: decides.
        names: what our events are called there.
        callbacks: the host's.
    """

    def __init__(
        self, sio: Any, switchboard: Switchboard, *, names: Names, callbacks: Callbacks, documents: Documents
    ) -> None:
        self.documents = documents
        self._sio, self._switchboard, self._names, self._callbacks = sio, switchboard, names, callbacks

    def start(self) -> None:
        """Register the handlers and begin to send.

        Raises:
            UsageError: there is no synchronous shell yet.
        """
        raise UsageError("a synchronous server: mount() takes an AsyncServer")
