"""What clients send to the service, as values.

Knows the shapes of what arrives. Whether a well-formed request makes sense is the machines' to decide.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from gym_p2p.core.api.payloads import prepare
from gym_p2p.core.api.probes import ProbeReport
from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.wire.seats import SeatId

__all__ = [
    "AnswerMatch",
    "DropSpectator",
    "JoinRoom",
    "LeaveQueue",
    "LeaveRoom",
    "MatchLatency",
    "ProbeReady",
    "ProbeRequest",
    "ProbeWait",
    "RegisterSubject",
    "RelayMessage",
    "ReportProbe",
    "SendMatchSignal",
    "SendProbeSignal",
    "SignalType",
    "StopWatching",
    "Watch",
]

_MAX_CLIENT_CHARS = 64
SignalType = Literal["offer", "answer", "ice-candidate"]


@attrs.frozen
class RegisterSubject:
    """Who this socket is; where its join token has said so, that is not read."""

    event: ClassVar[str] = "register_subject"

    subject_id: Any = None
    client: Any = None
    """The software that it says it is; a browser may send anything under this name."""
    match_token: Any = attrs.field(default=None, repr=False)
    """Of the match that it plays, as ``match_found`` gave it; anything else is of none."""

    @property
    def named_client(self) -> str | None:
        """The software as a short text, or ``None``."""
        client = self.client
        if not isinstance(client, str) or not 0 < len(client) <= _MAX_CLIENT_CHARS:
            return None
        return client if client.isprintable() else None


@attrs.frozen
class JoinRoom:
    """Seats wanted in a room."""

    event: ClassVar[str] = "join_room"

    room: str
    seats: list[SeatId]
    take: list[SeatId] | None = None
    client: str | None = None
    spectators: int = 0


@attrs.frozen
class LeaveRoom:
    """Seats given up."""

    event: ClassVar[str] = "leave_room"

    room: str
    why: str | None = None
    """In words for the others, where there is no match without this player; as they came."""


@attrs.frozen
class LeaveQueue:
    """A place given up; who does not name the queue leaves it as well."""

    event: ClassVar[str] = "leave_queue"

    queue: str


@attrs.frozen
class AnswerMatch:
    """A player's vote on a proposed match."""

    event: ClassVar[str] = "answer_match"

    proposal_id: str
    verdict: Verdict


@attrs.frozen
class MatchLatency:
    """The recent round trip to another player of a running match."""

    event: ClassVar[str] = "match_latency"

    game_id: str
    player_id: SeatId
    rtt_ms: float


@attrs.frozen
class RenewIceServers:
    """ICE servers for one more connection within a running match: credentials of the first may have ended."""

    event: ClassVar[str] = "renew_ice_servers"

    game_id: str


@attrs.frozen
class SendMatchSignal:
    """A connection signal for another player of the match."""

    event: ClassVar[str] = "webrtc_signal"

    game_id: str
    target_player_id: SeatId
    type: SignalType
    payload: dict[str, Any] | None = attrs.field(default=None, repr=False)


@attrs.frozen
class RelayMessage:
    """A message for another player of the match, which the service is to pass on.

    Attributes:
        data: base64; see :mod:`gym_p2p.core.api.relaying`.
    """

    event: ClassVar[str] = "relay_message"

    game_id: str
    target_player_id: SeatId
    data: str = attrs.field(repr=False)


@attrs.frozen
class Watch:
    """A running match to be watched, by its room or itself."""

    event: ClassVar[str] = "watch"

    room: str | None = None
    match_id: str | None = None
    avoid: SeatId | None = None


@attrs.frozen
class StopWatching:
    """Whatever is watched is watched no more."""

    event: ClassVar[str] = "stop_watching"


@attrs.frozen
class DropSpectator:
    """A spectator to whom a player shows the match no more."""

    event: ClassVar[str] = "drop_spectator"

    spectator_id: str


@attrs.frozen
class ProbeReady:
    """A member has prepared."""

    event: ClassVar[str] = "probe_ready"

    probe_session_id: str


@attrs.frozen
class SendProbeSignal:
    """A connection signal for the other member of a probe."""

    event: ClassVar[str] = "probe_signal"

    probe_session_id: str
    target_subject_id: str
    type: SignalType
    payload: dict[str, Any] | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class ReportProbe(ProbeReport):
    """What a member has measured."""

    event: ClassVar[str] = "probe_result"

    probe_session_id: str


@attrs.frozen
class ProbeWait:
    """Whether anybody may request a probe of this subject."""

    event: ClassVar[str] = "probe_wait"

    waiting: bool


@attrs.frozen
class ProbeRequest:
    """A probe wanted, against one who waits for that."""

    event: ClassVar[str] = "probe_request"

    target_subject_id: str


prepare(
    RegisterSubject,
    JoinRoom,
    LeaveRoom,
    LeaveQueue,
    AnswerMatch,
    MatchLatency,
    SendMatchSignal,
    RelayMessage,
    Watch,
    StopWatching,
    DropSpectator,
    ProbeReady,
    SendProbeSignal,
    ReportProbe,
    ProbeWait,
    ProbeRequest,
)
