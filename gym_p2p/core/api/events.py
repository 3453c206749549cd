"""Every event that the service sends: its name, and the class of its payload."""

from __future__ import annotations

from collections.abc import Mapping

from gym_p2p.core.api.payloads import Payload, prepare
from gym_p2p.core.api.probes import (
    ProbeCancel,
    ProbePrepare,
    ProbeReport,
    ProbeSignal,
    ProbeStart,
    ProbeVerdict,
)
from gym_p2p.core.api.queues import MatchFailed, MatchProposed, QueueAck, QueueStatus
from gym_p2p.core.api.relaying import RelayedMessage
from gym_p2p.core.api.replies import Candidate, Description
from gym_p2p.core.api.rooms import (
    IceServers,
    JoinAck,
    MatchFound,
    MatchSignal,
    PeerLeft,
    PeerReturned,
    Replaced,
    RoomStatus,
    TurnedAway,
)
from gym_p2p.core.api.spectators import SpectatorJoined, SpectatorLeft, WatchedMatch, WatchOver

__all__ = ["SERVICE_EVENTS"]

_PAYLOADS: tuple[type[Payload], ...] = (
    MatchFailed,
    MatchFound,
    MatchProposed,
    MatchSignal,
    PeerLeft,
    PeerReturned,
    ProbeCancel,
    ProbePrepare,
    ProbeSignal,
    ProbeStart,
    ProbeVerdict,
    QueueStatus,
    RelayedMessage,
    Replaced,
    RoomStatus,
    SpectatorJoined,
    SpectatorLeft,
    TurnedAway,
    WatchOver,
)

SERVICE_EVENTS: Mapping[str, type[Payload]] = {payload.event: payload for payload in _PAYLOADS}
"""What a client decodes an event into."""

prepare(*_PAYLOADS, IceServers, JoinAck, QueueAck, WatchedMatch, Candidate, Description, ProbeReport)
