"""The sockets of a synchronous server: what is queued for them, and how they are closed.

It knows the insides of engine.io's sockets: the library's own ways to send look whether a socket still lives,
and would call our disconnect handler from wherever something is sent.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping
from typing import Any

import engineio

from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.switchboard import MAX_QUEUED_PACKETS

__all__ = ["SyncSockets"]

_LOG = client_log(__name__)

_BEHIND_S = 2.0
_MOST_QUEUED_PACKETS = 1024
"""A reader that is behind for so long is dropped, or at once when it is so far behind."""


class SyncSockets:
    """The sockets of one namespace of a server.

    Args:
        sio: the server.
        namespace: ours.
    """

    def __init__(self, sio: Any, namespace: str) -> None:
        self._sio = sio
        self._namespace = namespace
        self._behind: dict[str, float] = {}
        """Since when each socket has more queued than it should."""

    def forget(self, sid: str) -> None:
        """Forget a socket that is gone. Idempotent."""
        self._behind.pop(sid, None)

    def put(self, sid: str, kind: int, data: list[Any], ack_id: int | None = None) -> bool:
        """Queue a packet for a socket; return whether it reads what it is sent."""
        transport = self._sio.eio.sockets.get(self._sio.manager.eio_sid_from_sid(sid, self._namespace))
        if transport is None or transport.closed:
            return True
        packet = self._sio.packet_class(kind, data, self._namespace, ack_id, binary=False).encode()
        for piece in packet if isinstance(packet, list) else [packet]:
            transport.queue.put(engineio.packet.Packet(engineio.packet.MESSAGE, piece))
        return self._reads(sid, transport.queue.qsize(), time.monotonic())

    def _reads(self, sid: str, queued: int, now: float) -> bool:
        """Return whether a socket with so much in its queue has had the time to read it.

        What receives a burst of one client's hands all of it on before what sends has its turn.
        """
        if queued <= MAX_QUEUED_PACKETS:
            self._behind.pop(sid, None)
            return True
        return queued <= _MOST_QUEUED_PACKETS and now < self._behind.setdefault(sid, now) + _BEHIND_S

    def close(self, sid: str, at_once: bool) -> None:  # noqa: FBT001  # a task's argument
        """Close a socket; at once also under the library's feet."""
        connection = self._sio.manager.eio_sid_from_sid(sid, self._namespace)
        environ = self._sio.get_environ(sid, self._namespace) or {}
        try:
            self._sio.disconnect(sid, namespace=self._namespace, ignore_queue=True)
        except Exception:  # noqa: BLE001  # the host's disconnect handler: its bug keeps no socket open
            _LOG.exception("in the host's disconnect handler")
        transport = self._sio.eio.sockets.get(connection)
        if at_once and transport is not None:
            transport.close(wait=False, abort=True, reason=self._sio.reason.SERVER_DISCONNECT)
            _shut(environ)


def _shut(environ: Mapping[str, Any]) -> None:
    """End a websocket's connection where threads serve it: what receives there waits for a goodbye."""
    connection = environ.get("werkzeug.socket") or environ.get("gunicorn.socket")
    if connection is not None and str(environ.get("HTTP_UPGRADE", "")).lower() == "websocket":
        with contextlib.suppress(OSError):  # it has ended
            connection.shutdown(socket.SHUT_RDWR)
