"""What a negotiation takes in and puts out: signals of the other peer, requests, and events.

Requests must be carried out, in their order; events may be ignored. It knows no state.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from gym_p2p.core.api.payloads import decode
from gym_p2p.core.api.replies import Candidate, Description
from gym_p2p.errors import ProtocolError

__all__ = [
    "AcceptAnswer",
    "AcceptOffer",
    "AddCandidate",
    "CreateOffer",
    "Negotiated",
    "NegotiationFailed",
    "NegotiationOutput",
    "ReplaceConnection",
    "Role",
    "SendSignal",
    "parse_payload",
    "parse_signal",
]


class Role(enum.Enum):
    """Which of the two descriptions was ours."""

    OFFERER = "offerer"
    ANSWERER = "answerer"


@attrs.frozen
class CreateOffer:
    """Request: make an offer on connection ``attempt`` and hand it to ``local_description``."""

    attempt: int


@attrs.frozen
class AcceptOffer:
    """Request: apply this offer to connection ``attempt``, hand the answer to ``local_description``."""

    attempt: int
    sdp: str


@attrs.frozen
class AcceptAnswer:
    """Request: apply this answer to connection ``attempt``; ``refuse`` if it cannot be applied."""

    attempt: int
    sdp: str


@attrs.frozen
class AddCandidate:
    """Request: add this remote candidate to connection ``attempt``, whose remote description is set."""

    attempt: int
    candidate: Candidate


@attrs.frozen
class ReplaceConnection:
    """Request: close the connection and go on with a fresh one, which is ``attempt`` from now on."""

    attempt: int


@attrs.frozen
class SendSignal:
    """Request: send this to the other peer."""

    description: Description


@attrs.frozen
class Negotiated:
    """Event: both descriptions of connection ``attempt`` are known here."""

    attempt: int
    role: Role


@attrs.frozen
class NegotiationFailed:
    """Event, the last one: the deadline passed."""

    reason: str


NegotiationOutput = (
    CreateOffer
    | AcceptOffer
    | AcceptAnswer
    | AddCandidate
    | ReplaceConnection
    | SendSignal
    | Negotiated
    | NegotiationFailed
)


def parse_payload(kind: str, payload: object) -> Description | Candidate | None:
    """Return the payload of a signal as a value; ``None`` is the end of candidates.

    Raises:
        ProtocolError: it is not W3C's for that type.
    """
    if kind == "ice-candidate":
        return None if payload is None else decode(Candidate, payload, "payload.payload")
    description = decode(Description, payload, "payload.payload")
    if description.type != kind:
        raise ProtocolError("payload.type differs from type")
    return description


def parse_signal(kind: object, payload: object) -> Description | Candidate | None:
    """Return a signal that a service relayed; ``None`` for the end of candidates, which needs no action.

    It may be another service than ours. So it need not repeat its type, what is larger than our service
    relays is refused here, too, and so is any other type.

    Raises:
        ProtocolError: an unknown type, or a payload that is not W3C's for that type.
    """
    fields = payload if isinstance(payload, Mapping) else {}
    if kind == "ice-candidate":
        ended = payload is None or (isinstance(payload, Mapping) and fields.get("candidate") in (None, ""))
        signal = None if ended else parse_payload(kind, payload)
    elif kind in {"offer", "answer"} and fields.get("sdp"):
        signal = parse_payload(str(kind), {"type": kind, **fields})
    else:
        raise ProtocolError("signal of an unknown type, or without a description")
    if signal is not None and signal.too_large:
        raise ProtocolError("signal too long")
    return signal
