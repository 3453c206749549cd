"""The aiortc peer connection: a link between two peers over WebRTC, and its W3C stats report.

The one place that knows aiortc and aioice; both stay behind this package's own names and errors.
"""

from gym_p2p.net.webrtc.connection import OnCandidate, PeerConnection

__all__ = ["OnCandidate", "PeerConnection"]
