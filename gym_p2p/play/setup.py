"""How a match comes about: what this player brings, meeting the others, and what all agree on.

Runs on the user's thread. Refuses to know what becomes of the match: that is
:mod:`gym_p2p.play.live_match`'s and :mod:`gym_p2p.play.session`'s to know.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gym_p2p.config import P2PConfig
from gym_p2p.config.ice import require_turn_credentials
from gym_p2p.config.names import load_callable
from gym_p2p.core.api.queues import MatchProposed, QueueStatus, Verdict
from gym_p2p.core.api.rooms import MatchFound, MatchPlayer
from gym_p2p.core.matchmaking.commands import NoVerdictError, as_verdict
from gym_p2p.core.sync.prediction import predictor_named
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError
from gym_p2p.files.private import check_directory
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.recipe import Recipe
from gym_p2p.game.replay.writer import ReplayWriter
from gym_p2p.game.stand_ins import stand_in_for
from gym_p2p.net.worker.messages import PlayerPlan
from gym_p2p.play.aftermath import aftermath_command
from gym_p2p.play.broadcast import Broadcast
from gym_p2p.play.coming_back import learn_past
from gym_p2p.play.ending import Ending
from gym_p2p.play.handshake import Seated, agreed, as_before, holders, make_plan
from gym_p2p.play.kept_match import KeptFile, KeptMatch, find_kept_match, is_played, joined
from gym_p2p.play.live_match import LiveMatch
from gym_p2p.play.match_client import MatchClient, Voter
from gym_p2p.play.paused import Paused, told_pause
from gym_p2p.play.played_match import EpisodeSink, PlayedMatch
from gym_p2p.play.recorder import Recorder
from gym_p2p.play.recording import check_fallback, check_record, discard_left, open_replay
from gym_p2p.play.state_exchange import Beside
from gym_p2p.play.sync_mode import SyncChoice, SyncOffer, make_offer
from gym_p2p.play.waits import Waits

__all__ = ["UPLOAD_LIMIT_S", "MatchSetup"]

_log = logging.getLogger(__name__)

UPLOAD_LIMIT_S = 5.0
"""How long an end waits for the service to store the documents before it leaves them to the spool."""


class MatchSetup:
    """One player's way to a match. After a failure it may be tried again.

    Args:
        seats: the seats that this player takes; ``None`` takes any free one.

    Attributes:
        seats: the player's, as wanted, and once a match is found, as they are.
        recorder: of the newest match that was found, also if its players have not met.

    Raises:
        ConfigurationError: a function cannot be loaded, or several seats are wanted of a queue.
        UsageError: the stand-in cannot play in this game.
    """

    def __init__(self, game: Game, seats: Sequence[SeatId] | None, config: P2PConfig) -> None:
        self._game = game
        self._config = config
        self._vote = _load_pre_match(config.pre_match)
        on_pause = config.on_pause
        self._on_pause = None if on_pause is None else load_callable("on_pause", on_pause)
        self._stand_in = stand_in_for(game, config.sync.stand_in)
        if config.queue is not None and seats is not None and len(seats) > 1:
            raise ConfigurationError("queue", "puts one player on each seat; take a single one")
        self._wanted = None if seats is None else tuple(seats)
        self._client: MatchClient | None = None
        self._about: Mapping[str, Any] = {}
        """What the others are told about this player."""
        self.seats: tuple[SeatId, ...] | None = self._wanted
        self.recorder: Recorder | None = None
        self.comes_back = False
        """Whether there is a match, as far as is known, that a process of this player's was killed in."""

    @property
    def queue_status(self) -> QueueStatus | None:
        """Where this player stands in a queue, while they wait in one."""
        return None if self._client is None else self._client.queue_status

    def meet(self, check: Callable[[], None], *, environment: Recipe | None, seated: Seated) -> LiveMatch:
        """Meet the others, and agree with them.

        Args:
            check: called before every wait; raises to give up.
            environment: how the environment was made, where that is known better than it knows itself.
            seated: who acts for this player.

        Raises:
            NetworkError, PeerError: no match came about; nothing is left running.
            UnsupportedEnvironment, ConfigurationError: this player cannot do what is configured.
        """
        self.require_match()
        config = self._config
        offer = make_offer(self._game, config.sync)
        name = self._joined()
        kept = self._find_kept_match(name) if self._may_come_back() else None
        self.comes_back = kept is not None
        try:
            plan = self._make_plan(offer, seated, kept)
        except BaseException:
            if kept is not None:
                kept.let_go()
            raise
        self._about = plan.description["about"]
        file = KeptFile(name, plan, kept)
        record = self._begin_record if kept is None else self._make_record
        try:
            client = MatchClient(plan, vote=self._vote, record=record, check=check)
        except BaseException:
            file.close()
            raise
        self._client = client
        client.fold = file.fold
        try:
            if kept is not None:
                match = self._come_back(client, kept, offer, environment)
            else:
                match = self._agree(client, *client.meet(), offer, environment)
        except BaseException as error:
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else "connect_failed"
            client.close(Ending(reason), comes_back=kept is not None)
            if kept is None:
                file.remove()  # the others were told that this player does not play
            else:
                file.close()
            if self.recorder is not None:
                self.recorder.record.terminate(reason, partial=True, now_ms=self.recorder.clock_ms())
                self.recorder.finish(UPLOAD_LIMIT_S)
            raise
        match.kept = file
        return match

    def require_match(self) -> None:
        """Pass where a match can come about, as far as that depends on this player and the game.

        Raises:
            ConfigurationError: it cannot.
        """
        if len(self._game.seats) < 2:
            seat = self._game.seats[0]
            raise ConfigurationError(
                "watchers",
                f"{self._game.describe()['environment']} has the single seat {seat!r}, and a match has two "
                "seats at least: say how many others look on, all players of the match the same number",
            )
        require_turn_credentials(self._config.link.ice_servers)  # here, for a spec leaves them out
        predictor_named(self._config.sync.prediction)

    def look_ahead(self) -> None:
        """Pass where a match can come about, and know whether it is one that this player comes back to.

        Raises:
            ConfigurationError: it cannot.
        """
        self.require_match()
        if self._may_come_back() and (kept := find_kept_match(self._joined())) is not None:
            self.comes_back = True
            kept.let_go()  # until they meet the others

    def _may_come_back(self) -> bool:
        return self._config.rejoin and bool(self._config.sync.rejoin_timeout_s)

    def _joined(self) -> str:
        return joined(self._config, self._game.describe()["environment"], self._wanted)

    def _make_plan(self, offer: SyncOffer, seated: Seated, kept: KeptMatch | None) -> PlayerPlan:
        """Return what the network half is to do, once all that is to be written can be.

        Raises:
            ConfigurationError: it cannot.
        """
        config = self._config
        if kept is None:
            check_record(config)  # before anybody else is kept waiting
        if config.exports.directory is not None:
            check_directory(config.exports.directory)
        check_fallback(config)
        votes = self._vote is not None
        return make_plan(
            self._game, config, take=self._wanted, votes=votes, offer=offer, seated=seated, kept=kept
        )

    def _find_kept_match(self, name: str) -> KeptMatch | None:
        """Return the match that this player comes back to, if there is one.

        Raises:
            ConfigurationError: they are there. Two processes of one subject would cut each other off.
        """
        kept, subject_id = find_kept_match(name), self._config.subject_id
        if kept is None and subject_id is not None and is_played(name):
            raise ConfigurationError(
                "subject_id",
                f"another process of {subject_id!r} on this machine plays this, or comes back to it; end "
                "that one first, or join under another name",
            )
        return kept

    def _begin_record(self, found: MatchFound) -> Recorder:
        self.recorder = self._make_record(found)
        self.recorder.begin()
        return self.recorder

    def _make_record(self, found: MatchFound) -> Recorder:
        return Recorder(found=found, game=self._game, config=self._config, about=self._about)

    def _come_back(
        self, client: MatchClient, kept: KeptMatch, offer: SyncOffer, environment: Recipe | None
    ) -> LiveMatch:
        """Meet the others of a match again, in which this player's process was killed.

        What that one left (journal, recording) is made anew from the beginning, of what the others tell, once
        they have.
        """
        found = kept.returns.found
        offer = as_before(offer, kept.about[found.players.index(_ours(found))])
        recorder, come_back = learn_past(client, kept, self._config.sync.rejoin_timeout_s)
        discard_left(found, self._config, recorder.folder, recorder.clock_ms())
        self.recorder = recorder
        recorder.begin()
        match = self._agree(client, recorder, kept.about, offer, environment)
        match.come_back = come_back
        return match

    def _agree(
        self,
        client: MatchClient,
        recorder: Recorder,
        about: Sequence[Mapping[str, Any] | None],
        offer: SyncOffer,
        environment: Recipe | None,
    ) -> LiveMatch:
        """Return the match of players who have met."""
        found, game = recorder.found, self._game
        self.seats = found.seats_taken
        held = holders(game, found)
        choice = agreed(found, about, offer)
        _log.info("played in %s: %s", choice.mode, choice.why)
        recorder.record.sync = choice.to_export()
        replay = self._begin_recording(client, recorder, choice, environment)
        sinks: list[EpisodeSink] = [] if replay is None else [replay]
        if self._config.spectators:
            sinks.append(Broadcast(client.command, snapshots=choice.compared_by))
        played = PlayedMatch(
            game=game,
            holders=held,
            local=held[game.seats.index(found.seats_taken[0])],
            config=self._config.sync,
            choice=choice,
            stand_in=self._stand_in if self._config.sync.on_peer_loss == "stand_in" else None,
            away_stand_in=self._stand_in if self._config.sync.while_away == "stand_in" else None,
            acts_for=client.acts_for,
            record=recorder.record,
            sinks=sinks,
            shows=True,
            workplace=Beside(),
            command=client.command,
            now_ms=recorder.clock_ms,
            monotonic_s=time.monotonic,
        )
        waits = Waits(
            self._config.sync,
            client=client,
            recorder=recorder,
            takes_turns=game.takes_turns,
            on_pause=self._told_of_pauses(client),
        )
        return LiveMatch(client=client, recorder=recorder, played=played, waits=waits, replay=replay)

    def _begin_recording(
        self, client: MatchClient, recorder: Recorder, choice: SyncChoice, environment: Recipe | None
    ) -> ReplayWriter | None:
        """Begin to record a match, where it is; see to what is written should this process die."""
        replay = open_replay(
            self._game,
            recorder.found,
            self._config,
            folder=recorder.folder,
            at_ms=recorder.clock_ms(),
            snapshots=choice.compared_by,
            environment=environment,
        )
        left = aftermath_command(
            recorder.folder,
            recorder.found.player_id,
            None if replay is None else replay.path,
            wait_s=self._config.sync.rejoin_timeout_s,
        )
        client.run_after_owner(left)
        return replay

    def _told_of_pauses(self, client: MatchClient) -> list[Callable[[Paused | None], object]]:
        """Return who is told whenever the match stands: the user's function, and who looks on."""
        told: list[Callable[[Paused | None], object]] = []
        if self._on_pause is not None:
            told.append(self._on_pause)
        if self._config.spectators:
            told.append(lambda paused: client.command(told_pause(paused)))
        return told


def _ours(found: MatchFound) -> MatchPlayer:
    return next(player for player in found.players if player.player_id == found.player_id)


def _load_pre_match(configured: Any) -> Voter | None:
    """Return the option ``pre_match`` as a function that never raises; ``None`` for ``None``.

    Args:
        configured: a callable, ``"module:function"``, or the largest acceptable round trip in ms. With a
            limit a match in which a pair was not measured is refused.

    Raises:
        ConfigurationError: it is none of these, or names nothing that can be called.
    """
    if configured is None:
        return None
    if isinstance(configured, int | float) and not isinstance(configured, bool):
        limit_ms = float(configured)
        if not limit_ms >= 0:
            raise ConfigurationError("pre_match", f"wanted a limit of 0 ms or more, got {configured!r}")
        return lambda match: _within(match, limit_ms)
    function = load_callable("pre_match", configured)
    return lambda match: _vote(function, match)


def _within(match: MatchProposed, limit_ms: float) -> Verdict:
    measured = [pair.rtt_ms for pair in match.probe.pairs]
    near = bool(measured) and all(rtt_ms is not None and rtt_ms <= limit_ms for rtt_ms in measured)
    return Verdict.ACCEPT if near else Verdict.REJECT


def _vote(function: Callable[[MatchProposed], object], match: MatchProposed) -> Verdict:
    try:
        return as_verdict(function(match))
    except NoVerdictError as error:
        _log.error("pre_match failed; the match is refused: %s", error)
        return Verdict.REJECT
    except Exception:  # noqa: BLE001 - the user's bug is a no, and must not leave the others waiting
        _log.exception("pre_match failed; the match is refused")
        return Verdict.REJECT
