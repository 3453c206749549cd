"""What the service's packets may be: JSON within bounds, nothing binary. It knows no events."""

from __future__ import annotations

import logging
from typing import Any

import socketio.packet

from gym_p2p.core.wire.bounded_json import FROM_SERVICE, StrictJson

__all__ = ["BoundedPacket"]

_LOG = logging.getLogger(__name__)

_NOBODYS = "\x00refused"
"""An event that nobody listens to: the library knows no packet that is nothing."""

_RESERVED = frozenset({"connect", "connect_error", "disconnect"})
"""The library's own, which are no packets of this type."""


class BoundedPacket(socketio.packet.Packet):  # type: ignore[misc]  # the library publishes no types
    """A Socket.IO packet whose decoding never raises: a refused one is an event that nobody listens to."""

    packet_type: int
    namespace: str | None
    id: int | None
    data: Any

    uses_binary_events = False
    json = StrictJson(FROM_SERVICE)

    def decode(self, encoded_packet: Any) -> int:
        """Decode a packet that arrived."""
        try:
            super().decode(encoded_packet)
            _check(self.packet_type, self.data)
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            _LOG.warning("the service sent a packet that is none: %s", type(error).__name__)
            self.packet_type = socketio.packet.EVENT
            self.namespace = self.id = None
            self.data = [_NOBODYS]
        return 0


def _check(kind: int, data: Any) -> None:
    match kind:
        case socketio.packet.CONNECT:
            fits = data is None or isinstance(data, dict)
        case socketio.packet.EVENT:
            fits = isinstance(data, list) and 0 < len(data) <= 2 and isinstance(data[0], str)
            fits = fits and data[0] not in _RESERVED
        case socketio.packet.ACK:
            fits = isinstance(data, list) and len(data) <= 1
        case socketio.packet.DISCONNECT | socketio.packet.CONNECT_ERROR:
            fits = True
        case _:
            fits = False
    if not fits:
        raise ValueError("another shape")
