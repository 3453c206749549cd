"""Keeps one player's record of a match: folds what is told into the documents and keeps them on disk.

Knows the record, the game's way to write actions as JSON, and the exporter. The user's thread folds; the
exporter's thread builds documents from the same record meanwhile, which is made for that.
"""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from gym_p2p.config import P2PConfig, to_mapping
from gym_p2p.config.names import name_of
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.core.latency.series import QualityMonitor
from gym_p2p.core.match.events import (
    ChecksumsAgreed,
    Desynced,
    InputsArrived,
    Interrupted,
    Pinged,
    PlayerGone,
    ProtocolErrorSeen,
    Resumed,
)
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.exports import Exporter, Finished, check_directory
from gym_p2p.exports.files import path_component
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.recipe import Recipe
from gym_p2p.game.replay.reader import SUFFIX, replay_header
from gym_p2p.game.replay.writer import ReplayWriter, check_replay_path
from gym_p2p.net.worker.messages import LinkOpened, Polled, WorkerEvent
from gym_p2p.version import __version__

__all__ = ["Recorder", "check_record", "now_ms", "open_replay"]

_log = logging.getLogger(__name__)


_NOTHING = Finished(paths={}, uploaded=False, spooled=False, problems=())


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

    def __init__(
        self,
        *,
        found: MatchFound,
        game: Game,
        config: P2PConfig,
        clock_ms: Callable[[], int] = now_ms,
        exports: bool = True,
    ) -> None:
        """Begin the record, and the checkpoints of it.

        Args:
            found: the match.
            game: the local copy.
            config: as configured.
            clock_ms: tells the Unix time in milliseconds.
            exports: whether documents are written and uploaded, as the configuration has it.
        """
        self.found = found
        self._game = game
        self._clock_ms = clock_ms
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
            session_start_ms=clock_ms(),
            environment={**game.describe(), **_software()},
            config=_told_config(config),
            max_samples=telemetry.max_samples,
        )
        self.record.probe = _told_probe(found)
        self._exporter = self._make_exporter(config) if exports else None
        self.finished: Finished | None = None
        self.checksums_agreed = 0
        self.desyncs = 0
        self.desynced_with: SeatId | None = None

    def fold(self, at_ms: int, event: WorkerEvent) -> None:
        """Take in an event of the network half."""
        match event:
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
            case ChecksumsAgreed(episode, frame):
                self.checksums_agreed += 1
                self.record.verified(frame, episode=episode)
            case Desynced(episode, frame, player, ours, theirs):
                self.desyncs += 1
                self.desynced_with = self._players[player]
                _log.warning("desync with %r found at frame %d", self.desynced_with, frame)
                self.record.desync(frame, ours.hex(), theirs.hex(), at_ms, episode=episode)
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
        return build(self._clock_ms(), self._decode)

    def documents(self) -> dict[str, dict[str, Any]]:
        """Build all three."""
        return {kind: self.document(kind) for kind in ("session", "validation", "multiplayer")}

    def rtt_ms(self, player: int) -> float | None:
        """Return the newest round trip of the protocol's own pings; ``None`` before the first."""
        return self._peers[player].rtt_ms

    def finish(self, deadline_s: float) -> Finished:
        """Write the final documents and hand them to the service, or spool them. Idempotent."""
        if self.finished is None:
            exporter = self._exporter
            self.finished = _NOTHING if exporter is None else exporter.finish(deadline_s)
        return self.finished

    def _make_exporter(self, config: P2PConfig) -> Exporter:
        return Exporter(
            config.exports,
            game_id=self.found.match_id,
            player_id=self.found.player_id,
            build=self.documents,
            server_url=config.server_url,
            token=self.found.token,
        )

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


def check_record(config: P2PConfig) -> None:
    """Refuse early what could not be recorded to.

    Raises:
        ConfigurationError: no file can be written there, or there is one already.
    """
    if config.record is None:
        return
    if config.record.endswith(SUFFIX):
        check_replay_path(config.record)
    else:
        check_directory(config.record)


def open_replay(
    game: Game, found: MatchFound, config: P2PConfig, *, snapshots: str | None, environment: Recipe | None
) -> ReplayWriter | None:
    """Begin to record a match; ``None`` if that was not asked for.

    Args:
        game: before its first reset.
        found: the match.
        config: says where.
        snapshots: the strategy's name where the players compare states.
        environment: how the environment was made, where that is known better than it knows itself.

    Raises:
        ConfigurationError: no file can be written there.
    """
    if config.record is None:
        return None
    path = Path(config.record)
    if path.suffix != SUFFIX:
        path = path / path_component(found.match_id) / f"{path_component(found.player_id)}{SUFFIX}"
    header = replay_header(
        game,
        match_id=found.match_id,
        recorded_ms=now_ms(),
        player_id=found.player_id,
        players=[
            {"player_id": p.player_id, "subject_id": p.subject_id, "seats": list(p.seats)}
            for p in found.players
        ],
        sync=_told_config(config)["sync"],
        environment=environment,
        isolated=config.sync.isolate_random,
        snapshots=snapshots,
    )
    return ReplayWriter(path, header, checked_every=config.sync.checked_every)


def _software() -> dict[str, str]:
    return {
        "gym_p2p": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def _told_config(config: P2PConfig) -> dict[str, Any]:
    """Return the configuration as it is exported: without credentials."""
    told = to_mapping(config)
    told.pop("token")
    if callable(config.pre_match):
        told["pre_match"] = name_of(config.pre_match)
    sync = told["sync"]
    if callable(sync["stand_in"]):
        sync["stand_in"] = name_of(sync["stand_in"])
    if sync["snapshot_hooks"] is not None:
        hooks = sync["snapshot_hooks"]
        sync["snapshot_hooks"] = [hook if isinstance(hook, str) else name_of(hook) for hook in hooks]
    for server in told["link"]["ice_servers"]:
        server.pop("credential", None)
    return told


def _told_probe(found: MatchFound) -> dict[str, Any] | None:
    """Return what was measured before the match as it is exported, both sides' values."""
    if found.probe is None:
        return None
    return {
        "queue": found.queue,
        "waitedMs": found.probe.waited_s * 1e3,
        "pairs": [
            {
                "subjects": list(pair.subjects),
                "rttMs": pair.rtt_ms,
                "reports": {subject: _told_report(report) for subject, report in pair.reports.items()},
            }
            for pair in found.probe.pairs
        ],
    }


def _told_report(report: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "rttMs": report.get("rtt_ms"),
        "samplesMs": report.get("samples_ms"),
        "jitterMs": report.get("jitter_ms"),
        "loss": report.get("loss"),
        "path": report.get("path"),
    }
