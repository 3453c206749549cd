"""gym_p2p: the peer-to-peer layer for Gymnasium.

Public names are listed in ``__all__`` and imported on first use: the network process of a player needs
neither Gymnasium nor PettingZoo, and starts in half the time without them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gym_p2p.version import __version__

if TYPE_CHECKING:
    from gym_p2p.config import (
        ExportConfig,
        IceServer,
        LinkConfig,
        LinkEmulation,
        MatchmakingConfig,
        P2PConfig,
        ServiceConfig,
        SyncConfig,
        TelemetryConfig,
    )
    from gym_p2p.core.api.matches import GroupHistory
    from gym_p2p.core.api.queues import MatchProposed, Verdict
    from gym_p2p.core.matchmaking.commands import ProposedMatch
    from gym_p2p.core.matchmaking.strategy import (
        FIFOMatchmaker,
        GroupReunionMatchmaker,
        LatencyFIFOMatchmaker,
        MatchCandidate,
        Matchmaker,
        QueuedCandidate,
    )
    from gym_p2p.core.matchmaking.widening import WideningMatchmaker
    from gym_p2p.errors import (
        ConfigurationError,
        ConnectFailed,
        DamagedReplay,
        HandshakeRefused,
        InvalidAction,
        MatchOver,
        MatchRefused,
        NetworkEnded,
        NetworkError,
        NoMatch,
        NotWritten,
        P2PError,
        PeerError,
        PeerLost,
        PersonGone,
        ProtocolError,
        ServiceRefused,
        ServiceUnreachable,
        UnreadableReplay,
        UnsupportedEnvironment,
        UsageError,
        WatchDiverged,
    )
    from gym_p2p.game.determinism.check import check_env_determinism
    from gym_p2p.game.determinism.report_card import ReportCard
    from gym_p2p.game.replay.reader import read_replay
    from gym_p2p.game.replay.transitions import write_transitions
    from gym_p2p.game.replay.verify import verify_replay
    from gym_p2p.game.replay.writer import ReplayWriter
    from gym_p2p.human.seat import HumanSeat
    from gym_p2p.net.client.signaling import SignalingClient
    from gym_p2p.net.probing.manager import ProbeManager, ProbeResult
    from gym_p2p.net.probing.probe import ProbeConnection
    from gym_p2p.net.telemetry import LatencyTelemetry
    from gym_p2p.net.webrtc.plain import AiortcStats
    from gym_p2p.policies.reactions import LimitedPolicy
    from gym_p2p.policies.seat import PolicySeat
    from gym_p2p.simulation import Simulation, simulate
    from gym_p2p.spectate.spectator import Spectator
    from gym_p2p.study.study import Study, load
    from gym_p2p.wrapper import P2PEnv, P2PParallelEnv

__all__ = [
    "AiortcStats",
    "ConfigurationError",
    "ConnectFailed",
    "DamagedReplay",
    "ExportConfig",
    "FIFOMatchmaker",
    "GroupHistory",
    "GroupReunionMatchmaker",
    "HandshakeRefused",
    "HumanSeat",
    "IceServer",
    "InvalidAction",
    "LatencyFIFOMatchmaker",
    "LatencyTelemetry",
    "LimitedPolicy",
    "LinkConfig",
    "LinkEmulation",
    "MatchCandidate",
    "MatchOver",
    "MatchProposed",
    "MatchRefused",
    "Matchmaker",
    "MatchmakingConfig",
    "NetworkEnded",
    "NetworkError",
    "NoMatch",
    "NotWritten",
    "P2PConfig",
    "P2PEnv",
    "P2PError",
    "P2PParallelEnv",
    "PeerError",
    "PeerLost",
    "PersonGone",
    "PolicySeat",
    "ProbeConnection",
    "ProbeManager",
    "ProbeResult",
    "ProposedMatch",
    "ProtocolError",
    "QueuedCandidate",
    "ReplayWriter",
    "ReportCard",
    "ServiceConfig",
    "ServiceRefused",
    "ServiceUnreachable",
    "SignalingClient",
    "Simulation",
    "Spectator",
    "Study",
    "SyncConfig",
    "TelemetryConfig",
    "UnreadableReplay",
    "UnsupportedEnvironment",
    "UsageError",
    "Verdict",
    "WatchDiverged",
    "WideningMatchmaker",
    "__version__",
    "check_env_determinism",
    "load",
    "read_replay",
    "simulate",
    "verify_replay",
    "write_transitions",
]

_HOMES = {
    "ExportConfig": "gym_p2p.config",
    "IceServer": "gym_p2p.config",
    "LinkConfig": "gym_p2p.config",
    "LinkEmulation": "gym_p2p.config",
    "MatchmakingConfig": "gym_p2p.config",
    "P2PConfig": "gym_p2p.config",
    "ServiceConfig": "gym_p2p.config",
    "SyncConfig": "gym_p2p.config",
    "TelemetryConfig": "gym_p2p.config",
    "GroupHistory": "gym_p2p.core.api.matches",
    "MatchProposed": "gym_p2p.core.api.queues",
    "Verdict": "gym_p2p.core.api.queues",
    "ProposedMatch": "gym_p2p.core.matchmaking.commands",
    "FIFOMatchmaker": "gym_p2p.core.matchmaking.strategy",
    "GroupReunionMatchmaker": "gym_p2p.core.matchmaking.strategy",
    "LatencyFIFOMatchmaker": "gym_p2p.core.matchmaking.strategy",
    "MatchCandidate": "gym_p2p.core.matchmaking.strategy",
    "Matchmaker": "gym_p2p.core.matchmaking.strategy",
    "QueuedCandidate": "gym_p2p.core.matchmaking.strategy",
    "WideningMatchmaker": "gym_p2p.core.matchmaking.widening",
    "ConfigurationError": "gym_p2p.errors",
    "ConnectFailed": "gym_p2p.errors",
    "DamagedReplay": "gym_p2p.errors",
    "HandshakeRefused": "gym_p2p.errors",
    "InvalidAction": "gym_p2p.errors",
    "MatchOver": "gym_p2p.errors",
    "MatchRefused": "gym_p2p.errors",
    "NetworkEnded": "gym_p2p.errors",
    "NetworkError": "gym_p2p.errors",
    "NoMatch": "gym_p2p.errors",
    "NotWritten": "gym_p2p.errors",
    "P2PError": "gym_p2p.errors",
    "PeerError": "gym_p2p.errors",
    "PeerLost": "gym_p2p.errors",
    "PersonGone": "gym_p2p.errors",
    "ProtocolError": "gym_p2p.errors",
    "ServiceRefused": "gym_p2p.errors",
    "ServiceUnreachable": "gym_p2p.errors",
    "UnreadableReplay": "gym_p2p.errors",
    "UnsupportedEnvironment": "gym_p2p.errors",
    "UsageError": "gym_p2p.errors",
    "WatchDiverged": "gym_p2p.errors",
    "check_env_determinism": "gym_p2p.game.determinism.check",
    "ReportCard": "gym_p2p.game.determinism.report_card",
    "read_replay": "gym_p2p.game.replay.reader",
    "write_transitions": "gym_p2p.game.replay.transitions",
    "verify_replay": "gym_p2p.game.replay.verify",
    "ReplayWriter": "gym_p2p.game.replay.writer",
    "HumanSeat": "gym_p2p.human.seat",
    "SignalingClient": "gym_p2p.net.client.signaling",
    "ProbeManager": "gym_p2p.net.probing.manager",
    "ProbeResult": "gym_p2p.net.probing.manager",
    "ProbeConnection": "gym_p2p.net.probing.probe",
    "LatencyTelemetry": "gym_p2p.net.telemetry",
    "AiortcStats": "gym_p2p.net.webrtc.plain",
    "LimitedPolicy": "gym_p2p.policies.reactions",
    "PolicySeat": "gym_p2p.policies.seat",
    "Simulation": "gym_p2p.simulation",
    "simulate": "gym_p2p.simulation",
    "Spectator": "gym_p2p.spectate.spectator",
    "Study": "gym_p2p.study.study",
    "load": "gym_p2p.study.study",
    "P2PEnv": "gym_p2p.wrapper",
    "P2PParallelEnv": "gym_p2p.wrapper",
}
"""Where each is: a name brings what it needs, and nothing else."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
