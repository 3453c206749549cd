"""gym_p2p: the peer-to-peer layer for Gymnasium.

Public names are listed in ``__all__`` and imported on first use: the network process of a player needs
neither Gymnasium nor PettingZoo, and starts in half the time without them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
    from gym_p2p.core.matchmaking import (
        FIFOMatchmaker,
        GroupHistory,
        GroupReunionMatchmaker,
        LatencyFIFOMatchmaker,
        MatchCandidate,
        Matchmaker,
        QueuedCandidate,
    )
    from gym_p2p.core.plans import Verdict
    from gym_p2p.core.queue_news import MatchProposed
    from gym_p2p.core.queue_requests import ProposedMatch
    from gym_p2p.core.widening import WideningMatchmaker
    from gym_p2p.errors import (
        ConfigurationError,
        ConnectFailed,
        DamagedReplay,
        HandshakeRefused,
        InvalidAction,
        MatchOver,
        MatchRefused,
        NetworkError,
        NoMatch,
        P2PError,
        PeerError,
        PeerLost,
        ProtocolError,
        ServiceRefused,
        ServiceUnreachable,
        UnreadableReplay,
        UnsupportedEnvironment,
        UsageError,
        WatchDiverged,
    )
    from gym_p2p.game.determinism import check_env_determinism
    from gym_p2p.game.replay import read_replay
    from gym_p2p.game.replay_verify import verify_replay
    from gym_p2p.game.replay_writer import ReplayWriter
    from gym_p2p.game.report_card import ReportCard
    from gym_p2p.game.transitions import write_transitions
    from gym_p2p.net.probe import ProbeConnection
    from gym_p2p.net.probe_manager import ProbeManager
    from gym_p2p.net.telemetry import LatencyTelemetry
    from gym_p2p.simulation import Simulation, simulate
    from gym_p2p.spectator import Spectator
    from gym_p2p.wrapper import P2PEnv, P2PParallelEnv

__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "ConnectFailed",
    "DamagedReplay",
    "ExportConfig",
    "FIFOMatchmaker",
    "GroupHistory",
    "GroupReunionMatchmaker",
    "HandshakeRefused",
    "IceServer",
    "InvalidAction",
    "LatencyFIFOMatchmaker",
    "LatencyTelemetry",
    "LinkConfig",
    "LinkEmulation",
    "MatchCandidate",
    "MatchOver",
    "MatchProposed",
    "MatchRefused",
    "Matchmaker",
    "MatchmakingConfig",
    "NetworkError",
    "NoMatch",
    "P2PConfig",
    "P2PEnv",
    "P2PError",
    "P2PParallelEnv",
    "PeerError",
    "PeerLost",
    "ProbeConnection",
    "ProbeManager",
    "ProposedMatch",
    "ProtocolError",
    "QueuedCandidate",
    "ReplayWriter",
    "ReportCard",
    "ServiceConfig",
    "ServiceRefused",
    "ServiceUnreachable",
    "Simulation",
    "Spectator",
    "SyncConfig",
    "TelemetryConfig",
    "UnreadableReplay",
    "UnsupportedEnvironment",
    "UsageError",
    "Verdict",
    "WatchDiverged",
    "WideningMatchmaker",
    "check_env_determinism",
    "read_replay",
    "simulate",
    "verify_replay",
    "write_transitions",
]

_HOMES = (
    "gym_p2p.errors",
    "gym_p2p.config",
    "gym_p2p.core.matchmaking",
    "gym_p2p.core.plans",
    "gym_p2p.core.queue_news",
    "gym_p2p.core.queue_requests",
    "gym_p2p.core.widening",
    "gym_p2p.net.telemetry",
    "gym_p2p.net.probe",
    "gym_p2p.net.probe_manager",
    "gym_p2p.wrapper",
    "gym_p2p.spectator",
    "gym_p2p.simulation",
    "gym_p2p.game.replay",
    "gym_p2p.game.replay_verify",
    "gym_p2p.game.replay_writer",
    "gym_p2p.game.transitions",
    "gym_p2p.game.determinism",
    "gym_p2p.game.report_card",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in _HOMES:
            module = importlib.import_module(home)
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
