"""Session descriptions and candidates of the other side, checked before aiortc sees them.

Knows what a description for data channels has to hold. Refuses to know connections: what comes out is known
to be applicable, and everything else is a :class:`~gym_p2p.errors.ProtocolError`, never one of the many
exceptions of a parser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from aiortc.rtcdtlstransport import X509_DIGEST_ALGORITHMS
from aiortc.rtcicetransport import RTCIceCandidate
from aiortc.sdp import MediaDescription, SessionDescription, candidate_from_sdp, candidate_to_sdp

from gym_p2p.errors import ProtocolError

__all__ = ["RemoteDescription", "candidate_payload", "parse_candidate", "parse_description", "without_end"]


_TYPES = {"host", "srflx", "relay"}
"""What can be signalled and aioice can pair; a peer-reflexive candidate is found, not signalled."""


_OF_CANDIDATES = ("a=candidate:", "a=end-of-candidates")


@attrs.frozen
class RemoteDescription:
    """A description that can be applied; its candidates are taken out, to be added one by one."""

    sdp: str
    candidates: tuple[RTCIceCandidate, ...]
    ufrag: str


def parse_description(kind: str, sdp: str) -> RemoteDescription:
    """Check an offer or answer.

    Raises:
        ProtocolError: it is no SDP, or not one of a connection with data channels alone.
    """
    try:
        sdp.encode()
        lines = sdp.splitlines()
        bare = "".join(f"{line}\r\n" for line in lines if not line.startswith(_OF_CANDIDATES))
        media = SessionDescription.parse(bare).media
    except Exception as error:
        raise ProtocolError("description that is not an SDP") from error
    if len(media) != 1 or media[0].kind != "application" or media[0].port == 0:
        raise ProtocolError("description without exactly one data section")
    ufrag = media[0].ice.usernameFragment if media[0].ice is not None else None
    if not ufrag or not _is_complete(kind, media[0]):
        raise ProtocolError("description without credentials")
    texts = [line.split(":", 1)[1] for line in lines if line.startswith("a=candidate:")]
    candidates = [candidate for text in texts if (candidate := parse_candidate(text)) is not None]
    return RemoteDescription(bare, tuple(candidates), ufrag)


def _is_complete(kind: str, media: MediaDescription) -> bool:
    """Return whether ICE, DTLS and SCTP can all start with what stands in this section."""
    if media.ice is None or not media.ice.password or media.dtls is None:
        return False
    if kind == "answer" and media.dtls.role not in {"client", "server"}:
        return False
    known = [f for f in media.dtls.fingerprints if f.algorithm.lower() in X509_DIGEST_ALGORITHMS]
    legacy = media.profile == "DTLS/SCTP"
    port = str(media.fmt[0]) if legacy else str(media.sctp_port)
    return bool(known) and port.isascii() and port.isdigit() and 0 < int(port) <= 65_535


def parse_candidate(text: str) -> RTCIceCandidate | None:
    """Return a candidate, given with or without its ``candidate:`` prefix.

    ``None`` for one that is well-formed and of no use here (TCP, another component, an unknown type).

    Raises:
        ProtocolError: it is no candidate.
    """
    try:
        text.encode("ascii")
        candidate = candidate_from_sdp(text.removeprefix("a=").removeprefix("candidate:"))
    except Exception as error:
        raise ProtocolError("candidate that cannot be read") from error
    if not 0 < candidate.port <= 65_535 or not 0 <= candidate.priority < 2**32:
        raise ProtocolError("candidate with numbers out of range")
    if candidate.component != 1 or candidate.protocol.lower() != "udp" or candidate.type not in _TYPES:
        return None
    return candidate


def candidate_payload(candidate: RTCIceCandidate, ufrag: str) -> Mapping[str, Any]:
    """Return W3C's ``RTCIceCandidateInit`` of one of our candidates."""
    return {
        "candidate": f"candidate:{candidate_to_sdp(candidate)}",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
        "usernameFragment": ufrag,
    }


def without_end(sdp: str) -> str:
    """Return a local description that does not claim to hold every candidate."""
    return sdp.replace("a=end-of-candidates\r\n", "")
