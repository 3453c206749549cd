"""Keeps one player's record of a match: folds events into it and keeps its documents on disk.

Knows the record, the game's way to write actions as JSON, and the exporter. The user's thread folds; the
exporter's thread builds documents from the same record meanwhile, which is made for that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from gym_p2p.config import P2PConfig
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.core.match.events import (
    ChecksumsAgreed,
    Connected,
    Desynced,
    Disagreement,
    InputsArrived,
    Interrupted,
    Pinged,
    PlayerGone,
    ProtocolErrorSeen,
    Resumed,
)
from gym_p2p.core.match.return_events import PlayerAway, PlayerReturned, SeatTaken
from gym_p2p.core.match.ways import Forwarding, WayChanged
from gym_p2p.core.record.absences import ClockJump, Departure, Pause, Rejoin
from gym_p2p.core.record.clock_offsets import clock_base_of
from gym_p2p.core.record.documents import Kind
from gym_p2p.core.record.link import LinkRecord
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.exports import Account, Exporter, Finished
from gym_p2p.exports.encoding import to_data
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.origin import origin
from gym_p2p.net.worker.messages import (
    LinkOpened,
    PathBroken,
    PathRebuilt,
    PathTried,
    Polled,
    ServiceReachable,
    StoodStill,
    WorkerEvent,
)
from gym_p2p.play.broken_paths import BrokenPaths
from gym_p2p.play.detours import Detours
from gym_p2p.play.exported import exported_config, exported_probe, identities, software
from gym_p2p.play.few_lines import FewLines
from gym_p2p.play.paused import PauseReason
from gym_p2p.play.recording import fallback_of, match_folder_of
from gym_p2p.processes.clocks import WallClock
from gym_p2p.processes.standstill import StandstillWatch

__all__ = ["Recorder"]

_log = logging.getLogger(__name__)


_DESYNCED = {
    Disagreement.OUTCOMES: "the players' outcomes differ",
    Disagreement.STATE: "the players' states differ, their outcomes were the same up to here",
}

_NOTHING = Finished(paths={}, uploaded=False, spooled=False, problems=())


class Recorder:
    """The record of one match; made once the match is known, begun, and finished once.

    Attributes:
        clock_ms: the match's own Unix time in milliseconds, which never goes back.
    """

    def __init__(
        self,
        *,
        found: MatchFound,
        game: Game,
        config: P2PConfig,
        about: Mapping[str, Any],
        clock_ms: Callable[[], int] | None = None,
        exports: bool = True,
    ) -> None:
        """Make the record; :meth:`begin` it once somebody knows of it who will finish it.

        Args:
            found: the match.
            game: the local copy.
            config: as configured.
            about: what the others are told about this player.
            clock_ms: returns the Unix time in milliseconds; ``None``: the machine's, from now on.
            exports: whether documents are written and uploaded, as the configuration has it.
        """
        self.found = found
        self._game = game
        clock = WallClock()
        self.clock_ms = clock_ms = clock.ms if clock_ms is None else clock_ms
        self._players = [player.player_id for player in found.players]
        self.record = MatchRecord(
            game_id=found.match_id,
            player_id=found.player_id,
            players=game.seats,
            peers=[player.player_id for player in found.peers],
            session_start_ms=clock_ms(),
            environment={**game.describe(), **software(), **origin(game)},
            config=exported_config(config),
            max_samples=config.telemetry.max_samples,
            warning_ms=config.telemetry.warning_ms,
            critical_ms=config.telemetry.critical_ms,
        )
        self.record.probe = exported_probe(found)
        us = found.player_id
        self._links = {i: self.record.links[one] for i, one in enumerate(self._players) if one != us}
        self._paths = BrokenPaths(self.record, self._players)
        self.ways = Detours(self.record, self._players)
        self._account = Account(self.record, self._decode, clock_ms)
        self.folder = match_folder_of(found, config, clock_ms())
        self._about = about
        self._meet([None] * len(found.players))
        self._exporter = self._make_exporter(config) if exports else None
        self._watch = StandstillWatch(self._stood_still, clock, self._clock_set)
        sync = config.sync
        self._silence_least_s = sync.disconnect_timeout_s
        self._silence_limit_s = max(self._silence_least_s, sync.reconnect_timeout_s)
        """For how long the others wait for who is silent; as they agreed, once they have."""
        plays_apart = config.network == "process"
        self._input_limit_s = sync.input_limit_s(takes_turns=game.takes_turns) if plays_apart else None
        """The same for who does not play and is heard of; ``None`` where those are the same process."""
        self.finished: Finished | None = None
        self._lines = FewLines(_log)
        self.checksums_agreed = 0
        self.desyncs = dict.fromkeys(Disagreement, 0)
        self.desynced_with: SeatId | None = None

    def begin(self) -> None:
        """Begin the checkpoints, and to watch over this process."""
        self._watch.start()
        if self._exporter is not None:
            self._exporter.begin()

    def fold(self, at_ms: int, event: WorkerEvent) -> None:
        """Take in an event of the network half."""
        record = self.record
        match event:
            case InputsArrived():
                self.inputs_arrived(event)
            case Connected(about, reconnect_s):
                self._meet(about)
                self._silence_limit_s = max(self._silence_least_s, reconnect_s)
            case LinkOpened() | Pinged() | Polled():
                self._fold_link(at_ms, self._link(event.player), event)
            case ChecksumsAgreed() | Desynced():
                self._fold_comparison(at_ms, event)
            case Interrupted() | Resumed() | PathBroken() | PathRebuilt() | PathTried():
                self._paths.fold(at_ms, event)
            case WayChanged() | Forwarding():
                self.ways.fold(at_ms, event)
            case PlayerAway() | PlayerReturned() | PlayerGone():
                self._paths.fold(at_ms, event)
                self._fold_absence(at_ms, event)
            case ProtocolErrorSeen(_, problem, _):
                record.protocol_error(problem)
            case StoodStill() | ServiceReachable():
                self._fold_outage(at_ms, event)

    def inputs_arrived(self, event: InputsArrived) -> None:
        """Do as :meth:`fold` with what nearly all events are."""
        record = self.record
        record.inputs_arrived(len(event.inputs), by_service=event.by_service)
        if record.episodes:  # a player who goes before the first has given some, by others' account
            record.episodes[-1].confirmed(event.confirmed - 1)
        self._links[event.player].packets_received += 1

    def _fold_comparison(self, at_ms: int, event: ChecksumsAgreed | Desynced) -> None:
        episode = self.record.called(event.episode)
        if isinstance(event, ChecksumsAgreed):
            self.checksums_agreed += 1
            if episode is not None:
                episode.verified(event.frame)
            return
        self.desyncs[event.of] += 1
        self.desynced_with = self._players[event.player]
        line = "desync with %r found at frame %d: %s"
        self._lines.warn(at_ms / 1e3, line, self.desynced_with, event.frame, _DESYNCED[event.of])
        if episode is not None:
            episode.desync(event.frame, event.ours.hex(), event.theirs.hex(), at_ms, event.of)

    def _fold_link(self, at_ms: int, link: LinkRecord, event: LinkOpened | Pinged | Polled) -> None:
        match event:
            case LinkOpened():
                link.open = True
            case Pinged(_, rtt_ms, clock):
                link.pinged(rtt_ms, now_ms=at_ms, clock=clock)
            case Polled(_, poll):
                link.polled(poll, frame=self.record.frame_now)

    def document(self, kind: Kind) -> dict[str, Any]:
        """Return one document as of now, as plain data; callable from any thread, at any time."""
        data: dict[str, Any] = to_data(self._account.document(kind))
        return data

    def latency(self) -> dict[SeatId, dict[str, Any] | None]:
        """Return every link's statistics as plain data, ``None`` without samples."""
        links = self.record.links.items()
        return {peer: msgspec.to_builtins(link.series.statistics()) for peer, link in links}

    def rtt_ms(self, player: int) -> float | None:
        """Return the newest round trip of the protocol's own pings; ``None`` before the first."""
        health = self._link(player).health
        return None if health is None else health.rtt

    def longest_rtt_s(self, *, without: Container[int] = ()) -> float | None:
        """Return the newest round trip to whoever is farthest away, in seconds; ``None`` before the first.

        Args:
            without: players who do not count, by index.
        """
        of = [self.rtt_ms(player) for player in self._links if player not in without]
        return max((rtt_ms / 1e3 for rtt_ms in of if rtt_ms is not None), default=None)

    def finish(self, deadline_s: float, *, problem: str | None = None, moved: str | None = None) -> Finished:
        """Write the final documents and hand them to the service, or spool them. Idempotent.

        Args:
            deadline_s: for the upload.
            problem: what else of the match could not be written.
            moved: what else of it lies elsewhere than was wanted.
        """
        self._watch.stop()
        if self.finished is None:
            exporter = self._exporter
            finished = _NOTHING if exporter is None else exporter.finish(deadline_s)
            if moved is not None:
                finished = attrs.evolve(finished, problems=(*finished.problems, f"the recording: {moved}"))
            if problem is not None:
                finished = attrs.evolve(finished, problems=(*finished.problems, problem), lost=True)
            self.finished = finished
        return self.finished

    def _make_exporter(self, config: P2PConfig) -> Exporter:
        exports = config.exports
        if not self.found.uploads and exports.upload:
            _log.info("this service takes no documents: they stay in %s", self.folder)
            exports = attrs.evolve(exports, upload=False)
        return Exporter(
            exports,
            account=self._account,
            folder=self.folder,
            fallback=fallback_of(self.folder, config),
            server_url=config.server_url,
            token=self.found.token,
        )

    def _meet(self, about: Sequence[Mapping[str, Any] | None]) -> None:
        """Take in what the players say of themselves; ``None`` for the local one, and for who has not yet."""
        us = self.found.player_id
        told = {one: self._about if one == us else of for one, of in zip(self._players, about, strict=True)}
        self.record.identities = identities(self.found, self._game.seats, told)
        for player, link in self.record.links.items():
            link.clock.base_ms = clock_base_of((told[player] or {}).get("clock"), self._about["clock"])

    def _link(self, player: int) -> LinkRecord:
        return self._links[player]

    def paused(self, players: Sequence[SeatId], why: PauseReason, *, lasted_s: float, limit_s: float) -> None:
        """Record that the match stood still until now."""
        self.record.paused(
            Pause(
                player_ids=list(players),
                reason=why,
                frame=self.record.frame_now,
                timestamp=self.clock_ms() - round(lasted_s * 1e3),
                duration_ms=lasted_s * 1e3,
                limit_ms=limit_s * 1e3,
            )
        )

    def _clock_set(self, set_by_s: float) -> None:
        _log.warning("the machine's clock was set by %+.1f s; the documents' goes on as it was", set_by_s)
        self.record.clock_set(ClockJump(timestamp=self.clock_ms(), jump_ms=set_by_s * 1e3))

    def _fold_outage(self, at_ms: int, event: StoodStill | ServiceReachable) -> None:
        match event:
            case StoodStill(lasted_s):
                self._stood_still(lasted_s, end_ms=at_ms, half="network")
            case ServiceReachable(True, away_s):
                self.record.service_changed(at_ms, up=True, away_s=away_s)
                _log.info("the service is back after %.1f s", away_s or 0.0)
            case ServiceReachable(False):
                self.record.service_changed(at_ms, up=False, away_s=None)
                _log.warning("the service is away; the match goes on without it, and documents wait here")

    def _stood_still(self, lasted_s: float, *, end_ms: int | None = None, half: str = "user") -> None:
        """Record that a process of this player stood still until now: once, where both did."""
        end_ms = self.clock_ms() if end_ms is None else end_ms
        start_ms = end_ms - round(lasted_s * 1e3)
        _log.warning("the %s process stood still for %.1f s", half, lasted_s)
        heard_of = half == "user" and self._input_limit_s is not None
        limit_s = self._input_limit_s if heard_of else self._silence_limit_s
        pause = Pause(
            player_ids=[self.found.player_id],
            reason="silent",
            frame=self.record.frame_now,
            timestamp=start_ms,
            duration_ms=lasted_s * 1e3,
            limit_ms=(limit_s or 0.0) * 1e3,
            cause="frozen",
        )
        self.record.stood_still(pause, by_network=half == "network")

    def _fold_absence(self, at_ms: int, event: PlayerAway | PlayerReturned | PlayerGone) -> None:
        match event:
            case PlayerReturned():
                away_ms = event.away_s * 1e3
                self._rejoined(event.player, event, event.caught_up, at_ms, away_ms=away_ms)
            case PlayerGone():
                self.ways.fold(at_ms, event)
                self._departed(event, at_ms)

    def came_back(self, seat: SeatTaken, caught_up: int, *, took_s: float) -> None:
        """Record that this player is back, whose process before this one ended."""
        us = self._players.index(self.found.player_id)
        self._rejoined(us, seat, caught_up, self.clock_ms(), took_ms=took_s * 1e3)

    def _rejoined(
        self,
        player: int,
        back: PlayerReturned | SeatTaken,
        caught_up: int,
        at_ms: int,
        *,
        away_ms: float | None = None,
        took_ms: float | None = None,
    ) -> None:
        episode_left, frame_left = back.left_at
        self.record.rejoined(
            Rejoin(
                player_id=self._players[player],
                episode=back.episode,
                episode_left=episode_left,
                frame_left=frame_left,
                frame_returned=back.frame,
                frames_caught_up=caught_up,
                away_ms=away_ms,
                catch_up_ms=took_ms,
                timestamp=at_ms,
            )
        )

    def _departed(self, gone: PlayerGone, at_ms: int) -> None:
        names = self._players
        self.record.departures.append(
            Departure(
                player_id=names[gone.player],
                reason=gone.reason,
                stated_reason=gone.stated_reason,
                source=gone.source.value,
                source_player_id=None if gone.via is None else names[gone.via],
                lost_player_id=None if gone.lost is None else names[gone.lost],
                frame=gone.frames,
                timestamp=at_ms,
            )
        )

    def _decode(self, seat: int, data: bytes) -> Any:
        codec = self._game.codec(self._game.seats[seat])
        return codec.to_json(codec.decode(data))
