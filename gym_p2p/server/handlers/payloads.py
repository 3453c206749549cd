"""Clients' events as values: decoded strictly, unknown fields ignored, nothing coerced.

Knows the shapes of what arrives. Whether a well-formed request makes sense is the machines' to say.
"""

from __future__ import annotations

import re
from typing import Any, Literal, TypeVar

import attrs
import msgspec

from gym_p2p.core.api.matches import GroupHistory, QueueTicket
from gym_p2p.core.api.replies import Candidate, Description
from gym_p2p.core.matchmaking.commands import Verdict

__all__ = [
    "AnswerMatch",
    "DropSpectator",
    "JoinQueue",
    "JoinRoom",
    "LeaveRoom",
    "MatchLatency",
    "ProbeMember",
    "ProbeRequest",
    "ProbeSignal",
    "ProbeWait",
    "RegisterFixed",
    "RegisterSubject",
    "RequestError",
    "Watch",
    "WebrtcSignal",
    "decode",
]

_T = TypeVar("_T")
_MAX_CLIENT_CHARS = 64
_MAX_DIGEST_CHARS = 64
_MAX_PARTNERS = 64
"""Of the former partners, the most recent ones count."""
_SignalType = Literal["offer", "answer", "ice-candidate"]
_WHERE = re.compile(r" - at `(\$[^`]{0,64})`")
"""Where the decoder found fault; the rest of its text may quote what the client sent."""


class RequestError(ValueError):
    """The payload has not the shape of its event; the text may be told to the client."""


@attrs.frozen
class RegisterSubject:
    """Who this socket is."""

    subject_id: str
    client: Any = None
    """The software that it says it is; a browser may send anything under this name."""

    @property
    def named_client(self) -> str | None:
        """The software as a short text, or ``None``."""
        return _named_client(self.client)


@attrs.frozen
class RegisterFixed:
    """A registration on a socket whose join token has said who it is; what it says itself is not read."""

    client: Any = None

    @property
    def named_client(self) -> str | None:
        """The software as a short text, or ``None``."""
        return _named_client(self.client)


@attrs.frozen
class JoinRoom:
    """Seats wanted in a room."""

    room: str
    seats: list[int | str]
    take: list[int | str] | None = None
    client: str | None = None
    spectators: int = 0


@attrs.frozen
class LeaveRoom:
    """Seats given up."""

    room: str


@attrs.frozen
class JoinQueue:
    """A match wanted with whoever is near."""

    queue: str
    seats: list[int | str]
    take: int | str | None = None
    client: str | None = None
    asks: bool = False
    rtt_ms: float | None = None
    previous_partners: list[str] = attrs.field(factory=list)
    group_id: str | None = None
    plays: str | None = None
    spectators: int = 0

    def to_ticket(self) -> QueueTicket:
        """Return it as the queues take it."""
        partners = tuple(self.previous_partners[-_MAX_PARTNERS:])
        known = partners or self.group_id is not None
        return QueueTicket(
            queue=self.queue,
            seats=tuple(self.seats),
            take=self.take,
            client=self.client,
            asks=self.asks,
            rtt_ms=self.rtt_ms,
            plays=None if self.plays is None else self.plays[:_MAX_DIGEST_CHARS],
            group_history=GroupHistory(list(partners), group_id=self.group_id) if known else None,
            spectators=self.spectators,
        )


@attrs.frozen
class AnswerMatch:
    """A player's say about a proposed match."""

    proposal_id: str
    verdict: Verdict


@attrs.frozen
class MatchLatency:
    """The recent round trip to another player of a running match."""

    game_id: str
    player_id: int | str
    rtt_ms: float


@attrs.frozen
class WebrtcSignal:
    """A connection signal for another player of the match."""

    game_id: str
    target_player_id: int | str
    type: _SignalType
    payload: dict[str, Any] | None = None

    def parsed_payload(self) -> Description | Candidate | None:
        """Return the payload as a value; ``None`` is the end of candidates.

        Raises:
            RequestError: it is not what a signal of this type carries.
        """
        return _parse_payload(self.type, self.payload)


@attrs.frozen
class Watch:
    """A running match to be watched, by its room or itself."""

    room: str | None = None
    match_id: str | None = None
    avoid: int | str | None = None


@attrs.frozen
class DropSpectator:
    """A spectator whom a player shows his match no more."""

    spectator_id: str


@attrs.frozen
class ProbeMember:
    """What every event of a probe's member names: the probe."""

    probe_session_id: str


@attrs.frozen
class ProbeSignal:
    """A connection signal for the other member of a probe."""

    probe_session_id: str
    target_subject_id: str
    type: _SignalType
    payload: dict[str, Any] | None = None

    def parsed_payload(self) -> Description | Candidate | None:
        """Return the payload as a value; see :meth:`WebrtcSignal.parsed_payload`."""
        return _parse_payload(self.type, self.payload)


@attrs.frozen
class ProbeWait:
    """Whether anybody may ask for a probe of this subject."""

    waiting: bool


@attrs.frozen
class ProbeRequest:
    """A probe wanted, against one who waits for that."""

    target_subject_id: str


@attrs.frozen
class _DescriptionWire:
    type: str
    sdp: str


@attrs.frozen
class _CandidateWire:
    candidate: str
    sdpMid: str | None = None  # noqa: N815  # the names of W3C's RTCIceCandidateInit
    sdpMLineIndex: int | None = None  # noqa: N815
    usernameFragment: str | None = None  # noqa: N815


def _named_client(client: object) -> str | None:
    if not isinstance(client, str) or not 0 < len(client) <= _MAX_CLIENT_CHARS:
        return None
    return client if client.isprintable() else None


def _parse_payload(
    type: _SignalType,  # noqa: A002  # the wire's name
    payload: dict[str, Any] | None,
) -> Description | Candidate | None:
    if type == "ice-candidate":
        if payload is None:
            return None
        wire = decode(_CandidateWire, payload)
        return Candidate(wire.candidate, wire.sdpMid, wire.sdpMLineIndex, wire.usernameFragment)
    description = decode(_DescriptionWire, payload)
    if description.type != type:
        raise RequestError("payload.type differs from type")
    return Description(description.type, description.sdp)


def decode(kind: type[_T], payload: object) -> _T:
    """Build a request from an event's payload.

    Raises:
        RequestError: it has another shape.
    """
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        where = _WHERE.search(str(error))
        raise RequestError(f"malformed payload{f' at {where[1]}' if where else ''}") from None
