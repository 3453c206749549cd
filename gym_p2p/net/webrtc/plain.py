"""The W3C stats report of an aiortc connection that somebody else made.

aiortc reports on what sends and receives media alone: of a connection with data channels nothing, and of no
connection the pair of addresses in use. Knows where the layers of such a connection are. Refuses to change
anything of it: it only sends the request that ICE itself uses, over the pair that ICE has chosen.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import attrs
from aiortc import RTCPeerConnection
from aiortc.rtcdtlstransport import RTCDtlsTransport

from gym_p2p.errors import ConfigurationError
from gym_p2p.net.webrtc.internals import Path
from gym_p2p.net.webrtc.round_trips import RoundTrips
from gym_p2p.net.webrtc.stats import build_report

__all__ = ["AiortcStats", "reports_no_pair"]

_TRAFFIC = ("packetsSent", "packetsReceived", "bytesSent", "bytesReceived")


class AiortcStats:
    """An ``aiortc.RTCPeerConnection`` whose ``getStats()`` holds the candidate pair in use.

    ``LatencyTelemetry`` makes one by itself of every aiortc connection that it is given. The other side may
    be anything that speaks ICE. Nothing has to be closed; the connection stays its owner's, and is used on
    its own event loop alone.

    Args:
        peer_connection: the connection, in any state.

    Raises:
        ConfigurationError: it is no ``aiortc.RTCPeerConnection``.
    """

    def __init__(self, peer_connection: RTCPeerConnection) -> None:
        if not isinstance(peer_connection, RTCPeerConnection):
            raise ConfigurationError(
                "peer_connection", f"wanted an aiortc.RTCPeerConnection, got {type(peer_connection).__name__}"
            )
        self._pc = peer_connection
        self._measured: _Measured | None = None

    @property
    def connectionState(self) -> str:  # noqa: N802 - W3C's name
        """The connection's own ``RTCPeerConnectionState``."""
        return self._pc.connectionState

    async def getStats(self) -> dict[str, Any]:  # noqa: N802 - W3C's name
        """Return aiortc's own report and the pair in use, after measuring a fresh round trip over it.

        Takes a round trip, or two seconds when nothing comes back: ``responsesReceived`` is then unchanged.
        Without a connection there is no ``candidate-pair`` in it.
        """
        report: dict[str, Any] = dict(await self._pc.getStats())
        dtls = _transport_of(self._pc)
        if dtls is None:
            return report
        if self._measured is None or self._measured.path.dtls is not dtls:
            self._measured = _Measured.over(dtls)
        path, round_trips = self._measured.path, self._measured.round_trips
        await round_trips.measure()
        counted = dtls._get_stats()[dtls._stats_id]
        traffic = {name: getattr(counted, name) for name in _TRAFFIC}
        return report | build_report(path, round_trips, traffic)


@attrs.frozen(eq=False)
class _Measured:
    path: Path
    round_trips: RoundTrips

    @classmethod
    def over(cls, dtls: RTCDtlsTransport) -> _Measured:
        path = Path.under(dtls)
        return cls(path, RoundTrips(path.connection))


def reports_no_pair(connection: object) -> TypeGuard[RTCPeerConnection]:
    """Return whether a connection is aiortc's own, with the ``getStats`` that it came with."""
    if not isinstance(connection, RTCPeerConnection):
        return False
    return getattr(connection.getStats, "__func__", None) is RTCPeerConnection.getStats


def _transport_of(pc: RTCPeerConnection) -> RTCDtlsTransport | None:
    """Return what carries the data channels, or else the media; ``None`` where there is neither yet."""
    if pc.sctp is not None:
        return pc.sctp.transport
    return next((sender.transport for sender in pc.getSenders() if sender.transport is not None), None)
