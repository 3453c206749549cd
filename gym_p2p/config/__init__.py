"""Configuration as values: validated when built, so that a built configuration is a valid one.

Every class goes to and from a plain mapping (:func:`to_mapping`, :func:`from_mapping`), because a
wrapper's constructor arguments must be plain data (``env.spec`` travels as JSON) and because a network
process gets its configuration over a pipe.
"""

from gym_p2p.config.ice import IceServer
from gym_p2p.config.link import LinkConfig, LinkEmulation
from gym_p2p.config.mappings import from_mapping, to_mapping
from gym_p2p.config.options import config_from_options
from gym_p2p.config.player import DEFAULT_SERVER_URL, ExportConfig, P2PConfig, SyncConfig, TelemetryConfig
from gym_p2p.config.secret import Secret
from gym_p2p.config.service import DEFAULT_DATA_DIR, MatchmakingConfig, ServiceConfig

__all__ = [
    "DEFAULT_DATA_DIR",
    "DEFAULT_SERVER_URL",
    "ExportConfig",
    "IceServer",
    "LinkConfig",
    "LinkEmulation",
    "MatchmakingConfig",
    "P2PConfig",
    "Secret",
    "ServiceConfig",
    "SyncConfig",
    "TelemetryConfig",
    "config_from_options",
    "from_mapping",
    "to_mapping",
]
