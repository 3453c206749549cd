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
    "NotWritten",
    "P2PConfig",
    "P2PEnv",
    "P2PError",
    "P2PParallelEnv",
    "PeerError",
    "PeerLost",
    "PersonGone",
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

_HOMES = (
    "gym_p2p.errors",
    "gym_p2p.config",
    "gym_p2p.core.api.matches",
    "gym_p2p.core.matchmaking.strategy",
    "gym_p2p.core.api.queues",
    "gym_p2p.core.matchmaking.commands",
    "gym_p2p.core.matchmaking.widening",
    "gym_p2p.net.telemetry",
    "gym_p2p.net.client.signaling",
    "gym_p2p.net.webrtc.plain",
    "gym_p2p.net.probing.probe",
    "gym_p2p.net.probing.manager",
    "gym_p2p.wrapper",
    "gym_p2p.spectate.spectator",
    "gym_p2p.simulation",
    "gym_p2p.game.replay.reader",
    "gym_p2p.game.replay.verify",
    "gym_p2p.game.replay.writer",
    "gym_p2p.game.replay.transitions",
    "gym_p2p.game.determinism.check",
    "gym_p2p.game.determinism.report_card",
    "gym_p2p.study.study",
    "gym_p2p.human.seat",
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
