"""The record of a match: one player's part of it, of which the three documents are built.

It knows the facts of a match; it refuses to know how they came about, and what becomes of them (that is
:mod:`gym_p2p.core.record.documents`). Episodes count from 1, times are Unix milliseconds and are passed in.

One thread records and any thread may build documents at the same time, without a lock: see
:mod:`gym_p2p.core.record.episode`. Links may be recorded from another thread than the playing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import msgspec

from gym_p2p.config.player import DEFAULT_MAX_SAMPLES
from gym_p2p.core.latency.quality import QualityMonitor
from gym_p2p.core.latency.series import LatencySeries
from gym_p2p.core.record.absences import (
    JUMPS_KEPT,
    OUTAGES_KEPT,
    PAUSES_KEPT,
    REJOINS_KEPT,
    ClockJump,
    Departure,
    Pause,
    Rejoin,
    ServiceOutage,
)
from gym_p2p.core.record.episode import Begin, EpisodeRecord
from gym_p2p.core.record.episode_view import EpisodeView, view_of
from gym_p2p.core.record.human import HumanRecord
from gym_p2p.core.record.link import LinkRecord
from gym_p2p.core.record.parts import Disconnection, ReconnectionAttempt, UploadStatus
from gym_p2p.core.record.plain import plain
from gym_p2p.core.record.player_identity import PlayerIdentity
from gym_p2p.core.record.policy import PolicyRecord
from gym_p2p.core.record.ways_taken import WAYS_KEPT, PassedOn, WayTaken
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, UsageError

__all__ = ["BREAKS_KEPT", "MatchRecord", "SyncTotals", "Termination"]

BREAKS_KEPT = 1000
"""Of links that broke, and of ways back; a path that breaks every other second does so for half an hour."""

_MAX_PROTOCOL_PROBLEMS = 64
"""Problems are short, fixed descriptions; beyond this many they are no longer that."""


@attrs.frozen(kw_only=True)
class Termination:
    """How the match ended for this player."""

    reason: str
    partial: bool
    disconnected_player: SeatId | None
    timestamp_ms: int


@attrs.frozen(kw_only=True)
class SyncTotals:
    """What guessing cost over all episodes of a match.

    Attributes:
        rollbacks: how often the past was corrected.
        max_frames: the deepest correction, in frames.
        mispredictions: inputs that had been guessed wrong.
        resimulated: frames that were played again.
        stalls: frames that had to be waited for.
    """

    rollbacks: int
    max_frames: int
    mispredictions: int
    resimulated: int
    stalls: int


class MatchRecord:
    """One player's part of a match.

    Args:
        game_id: the match's id.
        player_id: the local player.
        players: every seat's player, in the order of the seats.
        peers: the players at the other ends of the links, in any order.
        session_start_ms: Unix milliseconds.
        environment: its id, versions, the platform; plain data, copied.
        config: sync mode, input delay, frame rate and so on; plain data, copied.
        max_samples: round trips that are kept of every link.
        warning_ms: a link is graded ``warning`` above this round trip.
        critical_ms: a link is graded ``critical`` above this round trip.

    Attributes:
        links: by the player at the other end.
        episodes: those that were begun here.
        disconnections: links that broke, the first :data:`BREAKS_KEPT` of them.
        attempts: ways back, as many of them.
        unlisted_pause_ms: how long the match paused for those beyond.
        departures: players who are gone; of one who was told twice, the later one counts.
        pauses: times in which the match stood still for somebody, the first :data:`PAUSES_KEPT` of them.
        rejoins: players who came back in another process, the first :data:`REJOINS_KEPT` times.
        service_outages: times without the service that are over, the first :data:`OUTAGES_KEPT` of them.
        clock_jumps: how the machine's wall clock was set, the first :data:`JUMPS_KEPT` times.
        service_away_ms: since when there is none, in Unix milliseconds; ``None`` while there is.
        protocol_errors: what peers sent and the protocol does not allow, counted by problem.
        ways_taken: other ways that messages took, the first :data:`WAYS_KEPT` of them.
        passed_on: between which others this player passed messages on, the first :data:`WAYS_KEPT` of them.
        inputs_sent: to peers, over all episodes, but for what the service passed on.
        inputs_received: from peers, over all episodes, but for the same.
        inputs_sent_by_service: what it passed on for us.
        inputs_received_by_service: what it passed on to us.
        peers_by_service: to how many peers it passes messages on now.
        identities: who the players are, as far as is known, in the order of their first seats.
        human: the person who plays and their page, if one does.
        policies: those that play seats of the local player, in the order in which they began.
        probe: what the pre-match probe measured; ``None`` without one.
        sync: how frames are kept together, and why so; ``None`` before that is known.
        checkpoints_late: how many checkpoints came late: more than is meant to could have been lost.
        upload: what became of handing in the documents; ``None`` before, and where nothing is handed in.
        termination: ``None`` while the match goes on.

    Raises:
        ConfigurationError: without a player, with a player twice, or a peer that is the local player.
    """

    def __init__(
        self,
        *,
        game_id: str,
        player_id: SeatId,
        players: Sequence[SeatId],
        peers: Sequence[SeatId],
        session_start_ms: int,
        environment: Mapping[str, Any],
        config: Mapping[str, Any],
        max_samples: int = DEFAULT_MAX_SAMPLES,
        warning_ms: float = 150.0,
        critical_ms: float = 300.0,
    ) -> None:
        if not players or len(set(players)) != len(players):
            raise ConfigurationError("players", f"wanted different players, at least one, got {players!r}")
        if player_id in peers or len(set(peers)) != len(peers):
            raise ConfigurationError("peers", f"wanted the other players, each once, got {peers!r}")
        self.game_id = game_id
        self.player_id = player_id
        self.players = tuple(players)
        self.session_start_ms = session_start_ms
        self.environment: dict[str, Any] = plain(environment)
        self.config: dict[str, Any] = plain(config)
        self.links = {
            peer: LinkRecord(LatencySeries(max_samples), QualityMonitor(warning_ms, critical_ms))
            for peer in peers
        }
        self.episodes: list[EpisodeRecord] = []
        self.disconnections: list[Disconnection] = []
        self.attempts: list[ReconnectionAttempt] = []
        self.unlisted_pause_ms = 0.0
        self.departures: list[Departure] = []
        self.pauses: list[Pause] = []
        self.rejoins: list[Rejoin] = []
        self.service_outages: list[ServiceOutage] = []
        self.clock_jumps: list[ClockJump] = []
        self.service_away_ms: int | None = None
        self.protocol_errors: dict[str, int] = {}
        self.inputs_sent = 0
        self.inputs_received = 0
        self.ways_taken: list[WayTaken] = []
        self.passed_on: list[PassedOn] = []
        self.inputs_sent_by_service = 0
        self.inputs_received_by_service = 0
        self.peers_by_service = 0
        self.checkpoints_late = 0
        self.identities: tuple[PlayerIdentity, ...] = ()
        self.human = HumanRecord()
        self.policies: list[PolicyRecord] = []
        self.probe: Any = None
        self.sync: Any = None
        self.upload: UploadStatus | None = None
        self.termination: Termination | None = None

    # Recording.

    def begin_episode(self, begin: Begin, *, number: int | None = None) -> EpisodeRecord:
        """Begin the next episode, ending the one before if that was not done.

        Args:
            begin: how it begins.
            number: what the players call it among themselves, where that may be another: they count those
                of which they did not agree how to begin them, too.
        """
        self.break_off_episode(begin.at_ms, "reset")
        own = len(self.episodes) + 1
        inputs: tuple[list[bytes], ...] = tuple([] for _ in self.players)
        episode = EpisodeRecord(own, inputs, called=own if number is None else number, begin=begin)
        self.episodes.append(episode)
        return episode

    def break_off_episode(self, now_ms: int, reason: str) -> None:
        """Note that something other than the environment ended the running episode, if there is one."""
        if self.episodes:
            self.episodes[-1].break_off(now_ms, reason)

    @property
    def episode(self) -> EpisodeRecord:
        """The newest episode.

        Raises:
            UsageError: none has begun.
        """
        if not self.episodes:
            raise UsageError("no episode has begun: call begin_episode() first")
        return self.episodes[-1]

    def called(self, number: int) -> EpisodeRecord | None:
        """Return the episode that the players call so; ``None`` if it was not begun here."""
        return next((episode for episode in reversed(self.episodes) if episode.called == number), None)

    @property
    def frame_now(self) -> int | None:
        """The frame of the newest episode; ``None`` before the first."""
        return self.episodes[-1].frames if self.episodes else None

    def link_broke(self, disconnection: Disconnection) -> None:
        """Record that a link broke."""
        if len(self.disconnections) < BREAKS_KEPT:
            self.disconnections.append(disconnection)

    def link_attempted(self, attempt: ReconnectionAttempt) -> None:
        """Record a way back, or the vain search for it."""
        if len(self.attempts) < BREAKS_KEPT:
            self.attempts.append(attempt)
        else:
            self.unlisted_pause_ms += attempt.duration

    def paused(self, pause: Pause) -> None:
        """Record that the match stood still for somebody."""
        if len(self.pauses) < PAUSES_KEPT:
            self.pauses.append(pause)

    def stood_still(self, pause: Pause, *, by_network: bool) -> None:
        """Record that a process of this player stood still: once, where both did.

        Args:
            pause: it.
            by_network: whether it was the network's: nothing came of the player then, and how long that may
                last counts.
        """
        end_ms = pause.timestamp + pause.duration_ms
        for place, one in enumerate(self.pauses):
            ends_ms = one.timestamp + one.duration_ms
            if one.cause == "frozen" and one.timestamp <= end_ms and pause.timestamp <= ends_ms:
                if by_network:
                    self.pauses[place] = msgspec.structs.replace(one, limit_ms=pause.limit_ms)
                return
        self.paused(pause)

    def clock_set(self, jump: ClockJump) -> None:
        """Record that the machine's wall clock was set."""
        if len(self.clock_jumps) < JUMPS_KEPT:
            self.clock_jumps.append(jump)

    def rejoined(self, rejoin: Rejoin) -> None:
        """Record that a player is back whose process had ended."""
        if len(self.rejoins) < REJOINS_KEPT:
            self.rejoins.append(rejoin)

    def way_taken(self, way: WayTaken) -> None:
        """Record that messages to a player take another way."""
        if len(self.ways_taken) < WAYS_KEPT:
            self.ways_taken.append(way)

    def passes_on(self, between: PassedOn) -> None:
        """Record that this player passes messages on between two others."""
        if len(self.passed_on) < WAYS_KEPT:
            self.passed_on.append(between)

    def input_sent(self, peers: int) -> None:
        """Count an input that went to so many peers."""
        self.inputs_sent += peers - self.peers_by_service
        self.inputs_sent_by_service += self.peers_by_service

    def inputs_arrived(self, count: int, *, by_service: bool) -> None:
        """Count inputs that arrived, and how."""
        if by_service:
            self.inputs_received_by_service += count
        else:
            self.inputs_received += count

    def service_changed(self, now_ms: int, *, up: bool, away_s: float | None) -> None:
        """Record that the line to the service broke, or is up again after so long."""
        since_ms = self.service_away_ms
        if not up:
            self.service_away_ms = now_ms if since_ms is None else since_ms
        elif since_ms is not None and away_s is not None:
            self.service_away_ms = None
            if len(self.service_outages) < OUTAGES_KEPT:
                away_ms = away_s * 1e3
                self.service_outages.append(ServiceOutage(start=since_ms, end=now_ms, duration_ms=away_ms))

    def protocol_error(self, problem: str) -> None:
        """Count something that a peer sent and the protocol does not allow."""
        counts = self.protocol_errors
        if problem not in counts and len(counts) >= _MAX_PROTOCOL_PROBLEMS:
            problem = "other"
        counts[problem] = counts.get(problem, 0) + 1

    def terminate(
        self, reason: str, *, partial: bool, now_ms: int, disconnected_player: SeatId | None = None
    ) -> None:
        """End the match: the first reason counts, and documents are of this time from now on."""
        if self.termination is None:
            self.break_off_episode(now_ms, "closed" if reason == "normal" else reason)
            self.termination = Termination(
                reason=reason, partial=partial, disconnected_player=disconnected_player, timestamp_ms=now_ms
            )

    # Reading, from any thread.

    def views(self) -> list[EpisodeView]:
        """Return every episode as it is now."""
        return [view_of(episode) for episode in self.episodes.copy()]

    def totals(self) -> SyncTotals:
        """Return what guessing has cost so far."""
        episodes = self.episodes.copy()
        rollbacks = [event.frames for episode in episodes for event in episode.rollbacks.copy()]
        costs = [episode.corrections for episode in episodes]
        return SyncTotals(
            rollbacks=len(rollbacks),
            max_frames=max(rollbacks, default=0),
            mispredictions=sum(cost.mispredictions for cost in costs),
            resimulated=sum(cost.resimulated for cost in costs),
            stalls=sum(cost.stalls for cost in costs),
        )

    def worst_link(self) -> LinkRecord | None:
        """Return the link with the highest median round trip, or else the first one."""

        def median(link: LinkRecord) -> float:
            stats = link.series.statistics()
            return -1.0 if stats is None else stats.median_ms

        return max(self.links.values(), key=median, default=None)

    def time(self, now_ms: int) -> int:
        """Return ``now_ms``, or the end of the match once it has ended."""
        return now_ms if self.termination is None else self.termination.timestamp_ms
