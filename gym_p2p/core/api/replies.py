"""The vocabulary of the service's machines: answers to a client, requests to the shell, what is relayed.

Shared by every machine behind the service. It knows the codes and the size limits of the wire, and refuses
to know any state.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.core.api.payloads import Payload

__all__ = [
    "MAX_CANDIDATE_BYTES",
    "MAX_SDP_BYTES",
    "Accepted",
    "Answer",
    "Candidate",
    "Close",
    "Code",
    "Departed",
    "Description",
    "Emit",
    "Notify",
    "Refused",
]

MAX_SDP_BYTES = 16 * 1024
"""Of a description without its candidates; a data channel's stays below 1 KiB."""
MAX_CANDIDATE_BYTES = 512
_CANDIDATE_LINES = re.compile(r"^a=candidate:.*\n?", re.MULTILINE)


def _size_bytes(text: str) -> int:
    if text.isascii():
        return len(text)
    return len(text.encode(errors="surrogatepass"))  # a host's own JSON may let lone surrogates in


class Code(enum.StrEnum):
    """Why a client's event was refused, as it stands on the wire."""

    BAD_REQUEST = "bad_request"
    TOO_LARGE = "too_large"
    UNAUTHENTICATED = "unauthenticated"
    """The socket has not registered a subject, or has no valid join token."""
    DUPLICATE_SESSION = "duplicate_session"
    """The subject has a socket already, and this one did not show that it belongs to the same client."""
    WRONG_STATE = "wrong_state"
    ROOM_FULL = "room_full"
    ROOM_MISMATCH = "room_mismatch"
    QUEUE_MISMATCH = "queue_mismatch"
    SEAT_TAKEN = "seat_taken"
    NO_SUCH_MATCH = "no_such_match"
    """Unknown, or another's: the two are not distinguished."""
    NO_SUCH_PROBE = "no_such_probe"
    """Unknown, or another's: the two are not distinguished."""
    NO_SUCH_SUBJECT = "no_such_subject"
    """Nobody of that name, or nobody who wants to be found: the two are not distinguished."""
    STALE = "stale"
    """What it belongs to has ended."""
    NOT_A_MEMBER = "not_a_member"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"


@attrs.frozen
class Accepted:
    """A yes, with what belongs to it: a payload, or the fields of one."""

    value: attrs.AttrsInstance | Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Refused:
    """A no: a code for programs and a sentence for people."""

    code: Code
    message: str
    retry_after_ms: int | None = None
    """When the same may be granted; ``None`` where waiting is no remedy, or nobody knows."""


Answer = Accepted | Refused


@attrs.frozen
class Emit:
    """Request: send this event to this socket."""

    socket: str
    payload: Payload


@attrs.frozen
class Notify:
    """Request: send this event to this subject, on whatever socket it has now."""

    subject_id: str
    payload: Payload


@attrs.frozen
class Close:
    """Request: drop this socket, after what was sent to it before.

    Attributes:
        at_once: without the time to read that.
    """

    socket: str
    reason: str
    at_once: bool = False


@attrs.frozen
class Departed:
    """Event: a player who shows the match to spectators has left it, or is out of the service's sight."""

    match_id: str
    subject_id: str


@attrs.frozen
class Description:
    """A relayed offer or answer: W3C's ``RTCSessionDescriptionInit``."""

    type: str
    sdp: str = attrs.field(repr=False)

    @property
    def too_large(self) -> bool:
        """Whether it is beyond what the service relays, without its candidates, of which some are dropped."""
        if self.sdp.isascii() and len(self.sdp) <= MAX_SDP_BYTES:
            return False
        return _size_bytes(_CANDIDATE_LINES.sub("", self.sdp)) > MAX_SDP_BYTES


@attrs.frozen
class Candidate:
    """A relayed ICE candidate, W3C's ``RTCIceCandidateInit``; without a text, the end of candidates."""

    candidate: str = attrs.field(repr=False)
    sdpMid: str | None = None  # noqa: N815  # W3C's names
    sdpMLineIndex: int | None = None  # noqa: N815
    usernameFragment: str | None = attrs.field(default=None, repr=False)  # noqa: N815

    @property
    def too_large(self) -> bool:
        """Whether it is beyond what the service relays."""
        texts = (self.candidate, self.sdpMid or "", self.usernameFragment or "")
        return max(map(_size_bytes, texts)) > MAX_CANDIDATE_BYTES
