"""Keeps one player's record of a match: folds what is told into the documents and keeps them on disk.

Knows the record, the game's way to write actions as JSON, and the exporter. The user's thread folds; the
exporter's thread builds documents from the same record meanwhile, which is made for that.
"""

from __future__ import annotations

import logging
import platform
import time
from typing import Any

import attrs

from gym_p2p import __version__
from gym_p2p.config import P2PConfig, to_mapping
from gym_p2p.core.announce import MatchFound
from gym_p2p.core.events import (
    ChecksumsAgreed,
    Desynced,
    InputsArrived,
    Interrupted,
    Pinged,
    PlayerGone,
    ProtocolErrorSeen,
    Resumed,
)
from gym_p2p.core.latency import QualityMonitor
from gym_p2p.core.metrics import MatchRecord
from gym_p2p.exports import Exporter, Finished
from gym_p2p.game.base import Game
from gym_p2p.game.outcome import Seat
from gym_p2p.net.participant import LinkOpened, Polled, Telling

__all__ = ["Recorder", "now_ms"]

_log = logging.getLogger(__name__)


def now_ms() -> int:
    """Return the Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


@attrs.define(eq=False)
class _Peer:
    """What the health of one peer's link is made of."""

    quality: QualityMonitor
    packets_received: int = 0
    gap_count: int = 0
    rtt_ms: float | None = None


class Recorder:
    """The record of one match; made once the match is known, finished once."""

    def __init__(self, *, found: MatchFound, game: Game, config: P2PConfig) -> None:
        """Begin the record, and the checkpoints of it."""
        self.found = found
        self._game = game
        self._players = [player.player_id for player in found.players]
        telemetry = config.telemetry
        self._peers = {
            index: _Peer(QualityMonitor(telemetry.warning_ms, telemetry.critical_ms))
            for index, player in enumerate(found.players)
            if player.player_id != found.player_id
        }
        self.record = MatchRecord(
            game_id=found.match_id,
            player_id=found.player_id,
            players=game.seats,
            peers=[player.player_id for player in found.peers],
            session_start_ms=now_ms(),
            environment={**game.describe(), **_software()},
            config=_told_config(config),
            max_samples=telemetry.max_samples,
        )
        self._exporter = Exporter(
            config.exports,
            game_id=found.match_id,
            player_id=found.player_id,
            build=self.documents,
            server_url=config.server_url,
            token=found.token,
        )
        self.finished: Finished | None = None
        self.checksums_agreed = 0
        self.desyncs = 0
        self.desynced_with: Seat | None = None

    def fold(self, at_ms: int, telling: Telling) -> None:
        """Take in what the network half tells."""
        match telling:
            case InputsArrived(player, _, inputs, confirmed):
                self.record.inputs_received(len(inputs))
                self.record.confirmed(confirmed - 1)
                self._peers[player].packets_received += 1
            case Polled(player, poll):
                self.record.poll(self._players[player], poll)
            case LinkOpened(player, _):
                self.record.linked(self._players[player])
            case Pinged(player, rtt_ms, _):
                self._health(player, rtt_ms)
            case ChecksumsAgreed(_, frame):
                self.checksums_agreed += 1
                self.record.verified(frame)
            case Desynced(_, frame, player, ours, theirs):
                self.desyncs += 1
                self.desynced_with = self._players[player]
                _log.warning("desync with %r found at frame %d", self.desynced_with, frame)
                self.record.desync(frame, ours.hex(), theirs.hex(), at_ms)
            case Interrupted(player):
                self._peers[player].gap_count += 1
                self._disconnection("interrupted", at_ms)
            case Resumed(_, silent_s):
                self.record.reconnection_attempt(
                    duration_ms=silent_s * 1e3, outcome="success", attempts=1, now_ms=at_ms
                )
            case PlayerGone(_, "peer_lost", _, None):
                self._disconnection("closed", at_ms)
            case ProtocolErrorSeen(_, problem, _):
                self.record.protocol_error(problem)

    def document(self, kind: str) -> dict[str, Any]:
        """Build one document as of now; callable from any thread, at any time."""
        build = {
            "session": self.record.session,
            "validation": self.record.validation,
            "multiplayer": self.record.multiplayer,
        }[kind]
        return build(now_ms(), self._decode)

    def documents(self) -> dict[str, dict[str, Any]]:
        """Build all three."""
        return {kind: self.document(kind) for kind in ("session", "validation", "multiplayer")}

    def rtt_ms(self, player: int) -> float | None:
        """Return the newest round trip of the protocol's own pings; ``None`` before the first."""
        return self._peers[player].rtt_ms

    def finish(self, deadline_s: float) -> Finished:
        """Write the final documents and hand them to the service, or spool them. Idempotent."""
        if self.finished is None:
            self.finished = self._exporter.finish(deadline_s)
        return self.finished

    def _health(self, player: int, rtt_ms: float) -> None:
        peer = self._peers[player]
        peer.rtt_ms = rtt_ms
        peer.quality.observe(rtt_ms)
        self.record.health(
            self._players[player],
            rtt_ms=rtt_ms,
            packets_received=peer.packets_received,
            gap_count=peer.gap_count,
            status=str(peer.quality.status),
        )

    def _disconnection(self, dc_state: str, at_ms: int) -> None:
        self.record.disconnection(
            frame=None,
            detecting_peer=self.found.player_id,
            ice_state=None,
            dc_state=dc_state,
            now_ms=at_ms,
        )

    def _decode(self, seat: int, data: bytes) -> Any:
        codec = self._game.codec(self._game.seats[seat])
        return codec.to_json(codec.decode(data))


def _software() -> dict[str, str]:
    return {
        "gym_p2p": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def _told_config(config: P2PConfig) -> dict[str, Any]:
    """Return the configuration as it is exported: without credentials."""
    told = to_mapping(config)
    for server in told["link"]["ice_servers"]:
        server.pop("credential", None)
    return told
