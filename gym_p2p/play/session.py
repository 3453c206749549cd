"""The user's half of a match: meet the others, begin episodes, play frames, leave.

Runs on the user's thread and steps the game there; the network half is at the other end of the line. What
the two wrappers of :mod:`gym_p2p.wrapper` have in common is here. Closing is possible in every state.

States::

    NEW      --reset-->               PLAYING   (a failed one leaves NEW)
    PLAYING  --the episode ended-->   BETWEEN   (also when a peer goes on to the next one)
    PLAYING  --reset-->               PLAYING   (leaves the episode)
    BETWEEN  --reset-->               PLAYING
    PLAYING, BETWEEN  --a peer is gone, a desync, a time-out-->  OVER
    any      --close-->               CLOSED
"""

from __future__ import annotations

import enum
import logging
import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from gym_p2p.config import P2PConfig, SyncConfig
from gym_p2p.config.names import load_callable
from gym_p2p.core.api.queues import QueueStatus
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.core.match.events import BeginEpisode, EpisodeBegan
from gym_p2p.core.record.documents import Kind
from gym_p2p.core.record.match_record import SyncTotals
from gym_p2p.core.sync.prediction import predictor_named
from gym_p2p.core.sync.time_sync import AutoDelay
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import (
    ConfigurationError,
    ConnectFailed,
    MatchOver,
    NetworkError,
    PeerLost,
    UsageError,
)
from gym_p2p.exports import Finished, check_directory
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.recipe import Recipe
from gym_p2p.game.inputs import SeatInputs
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.replay.writer import ReplayWriter
from gym_p2p.game.rollout import Correction
from gym_p2p.play.broadcast import Showing
from gym_p2p.play.episode import Ending, Episode
from gym_p2p.play.handshake import agreed, check_seed, holders, make_plan, travelled
from gym_p2p.play.match_client import Line
from gym_p2p.play.pre_match import load_pre_match
from gym_p2p.play.recorder import Recorder, check_record, now_ms, open_replay
from gym_p2p.play.reentrancy import Door
from gym_p2p.play.runner import Playing, first_delay
from gym_p2p.play.state_exchange import StateExchange
from gym_p2p.play.sync_mode import SyncChoice, make_offer

__all__ = ["Progress", "Session", "SessionState"]

_log = logging.getLogger(__name__)

UPLOAD_LIMIT_S = 5.0
"""How long ``close()`` waits for the service to store the documents before it leaves them to the spool."""

FINAL_LIMIT_S = 0.5
"""How long ``close()`` in the middle of an episode waits for the frames that were played to become final: the
others' inputs of them are on the way, unless these have stopped to play."""

_LOSSES = frozenset({"peer_lost", "peer_left"})


class SessionState(enum.Enum):
    """Where a session is in its life."""

    NEW = "new"
    PLAYING = "playing"
    BETWEEN = "between episodes"
    OVER = "over"
    CLOSED = "closed"


@attrs.frozen(kw_only=True)
class Progress:
    """Where a match is, for a live view; ``None`` before the match is made."""

    match_id: str | None
    player_id: SeatId | None
    state: SessionState
    episode: int
    frame: int
    frames_total: int
    checksums_agreed: int
    desyncs: int
    sync: str | None = None
    """``lockstep`` or ``rollback``, once the players have agreed."""
    confirmed: int = 0
    """How many frames of the episode are final."""
    input_delay: int = 0
    totals: SyncTotals | None = None
    """What guessing has cost over all episodes."""
    queue_status: QueueStatus | None = None
    """Where this player stands in a queue, while he waits in one."""


class Session:
    """One player's part in one match.

    Args:
        game: the local copy of the game; stepped here, closed with the session.
        seats: the seats that this player takes; ``None`` takes any free one.
        config: everything else.
    """

    def __init__(self, game: Game, *, seats: Sequence[SeatId] | None, config: P2PConfig) -> None:
        self.game = game
        self.config = config
        self._say = load_pre_match(config.pre_match)
        stand_in = config.sync.stand_in
        self._stand_in = None if stand_in is None else load_callable("stand_in", stand_in)
        self._delay = _auto_delay(config.sync)
        self.choice: SyncChoice | None = None
        if config.queue is not None and seats is not None and len(seats) > 1:
            raise ConfigurationError("queue", "puts one player on each seat; take a single one")
        self.state = SessionState.NEW
        self._wanted = None if seats is None else tuple(seats)
        self.seats: tuple[SeatId, ...] | None = self._wanted
        self.recorder: Recorder | None = None
        self.replay: ReplayWriter | None = None
        self._showing: Showing | None = None
        self.environment: Recipe | None = None
        self._line: Line | None = None
        self._meeting: Line | None = None
        """The newest line, also while it has not met the others yet."""
        self._inputs: SeatInputs | None = None
        self._states: StateExchange | None = None
        self._episode: Episode | None = None
        self._ending: Ending | None = None
        self._episodes_begun = 0
        self._frames_before = 0
        self._door = Door()
        self._closing = False

    # What a wrapper calls.

    def reset(self, seed: int | None, options: Mapping[str, Any] | None) -> Outcome:
        """Begin an episode together with everybody; the first call connects.

        Local seats that ended before the episode did are played on with their default actions, until the
        others' have ended too.

        Raises:
            ConfigurationError: a seed or options that cannot travel.
            HandshakeRefused: the players want different seeds or options of this episode, which can be tried
                again; or, at the first reset, they play different games.
            NetworkError, PeerError: no match came about; nothing is left running, and reset may be called
                again. Once a match has begun, its loss is final.
            MatchOver: the match has ended.
        """
        check_seed(seed)
        options = travelled(options)
        with self._exclusive("reset"):
            self._refuse_if_over()
            if self._line is None:
                self._line = self._connect()
            if self._episode is not None:
                self._leave_episode(self._episode)
            return self._begin_episode(self._line, seed, options)

    def step(self, actions: Mapping[SeatId, Any]) -> Outcome | Ending:
        """Play one frame with the local seats' canonical actions, once everybody's inputs are here.

        Raises:
            MatchOver: the match has ended.
            UsageError: no episode is running.
            PeerLost: a peer is gone, where ``on_peer_loss="raise"``.
        """
        with self._exclusive("step"):
            self._refuse_if_over()
            if self.state is not SessionState.PLAYING or self._episode is None:
                raise UsageError("no episode is running: call reset() first")
            return self._play(self._episode, actions)

    def close(self, reason: str = "normal") -> Finished | None:
        """Say goodbye, write and upload the documents, leave nothing behind. Idempotent.

        Args:
            reason: why, for the exports and for the others, unless the match had ended before.

        Returns:
            Where the documents are; ``None`` when there was no match, and when this was called by a signal
            handler in the middle of ``reset`` or ``step``: these close on their way out then.
        """
        self._closing = True
        if not self._door.open(wait=True):
            self._door.last_thing = partial(self.close, reason)
            return None
        with self._door:
            if self.state is not SessionState.CLOSED:
                try:
                    self._finish(reason)
                finally:
                    self.state = SessionState.CLOSED
                    self.game.close()
        return None if self.recorder is None else self.recorder.finished

    def close_with(self, owner: object) -> None:
        """Close when the owner is dropped, or the program ends: no match without goodbye and documents."""
        weakref.finalize(owner, _close_abandoned, self, os.getpid())

    # What a wrapper shows.

    @property
    def progress(self) -> Progress:
        """Where the match is."""
        found = None if self.recorder is None else self.recorder.found
        frame = 0 if self._episode is None else self._episode.frame
        return Progress(
            match_id=None if found is None else found.match_id,
            player_id=None if found is None else found.player_id,
            state=self.state,
            episode=self._episodes_begun,
            frame=frame,
            frames_total=self._frames_before + frame,
            checksums_agreed=0 if self.recorder is None else self.recorder.checksums_agreed,
            desyncs=0 if self.recorder is None else self.recorder.desyncs,
            sync=None if self.choice is None else self.choice.mode,
            confirmed=0 if self._episode is None else self._episode.confirmed,
            input_delay=0 if self._episode is None else self._episode.input_delay,
            totals=None if self.recorder is None else self.recorder.record.totals(),
            queue_status=None if self._meeting is None else self._meeting.queue_status,
        )

    def take_corrections(self) -> list[Correction]:
        """Return what had been shown on wrong guesses since the last call, oldest first.

        Of each such frame the outcome that was shown for it, and the one that replaced it. Only where
        inputs are predicted and ``view="predicted"``.
        """
        return [] if self._episode is None else self._episode.take_corrections()

    @property
    def peers(self) -> tuple[SeatId, ...]:
        """The other players' ids; empty before the match is made."""
        return () if self.recorder is None else tuple(p.player_id for p in self.recorder.found.peers)

    @property
    def seat(self) -> SeatId:
        """The first local seat.

        Raises:
            UsageError: any free one was asked for, and the match is not made yet.
        """
        if not self.seats:
            raise UsageError("no seat is taken yet: call reset() first")
        return self.seats[0]

    @property
    def seed(self) -> int | None:
        """The seed that all players agreed on for the newest episode; ``None`` before the first."""
        return None if self._episode is None else self._episode.seed

    @property
    def outcome(self) -> Outcome:
        """What the newest frame gave.

        Raises:
            UsageError: there was none yet.
        """
        if self._episode is None:
            raise UsageError("no episode has begun: call reset() first")
        return self._episode.outcome

    def latency(self) -> dict[SeatId, dict[str, Any] | None]:
        """Return every link's statistics (``LatencyTelemetry.get_stats()``), ``None`` without samples."""
        recorder = self.recorder
        if recorder is None:
            return {}
        self._drain()
        return recorder.latency()

    def document(self, kind: Kind) -> dict[str, Any]:
        """Build one of the three documents as of now (as of the end, after it).

        Raises:
            UsageError: there was no match yet.
        """
        if self.recorder is None:
            raise UsageError("nothing to export: no match was made yet, call reset() first")
        self._drain()
        return self.recorder.document(kind)

    # Meeting the others.

    def _connect(self) -> Line:
        if self.config.exports.directory is not None:
            check_directory(self.config.exports.directory)  # before anybody else is kept waiting
        check_record(self.config)
        predictor_named(self.config.sync.prediction)
        offer = make_offer(self.game, self.config.sync)
        plan = make_plan(self.game, self.config, take=self._wanted, asks=self._say is not None, offer=offer)
        line = Line(plan, say=self._say, record=self._begin_record, check=self._check_closing)
        self._meeting = line
        try:
            line.meet()
            self.seats = line.found.seats_taken
            self._inputs = SeatInputs(self.game, holders(self.game, line.found), line.local)
            self.choice = agreed(line.found, line.about, offer)
            _log.info("played in %s: %s", self.choice.mode, self.choice.why)
            if self.recorder is not None:
                self.recorder.record.sync = self.choice.to_export()
                self._states = StateExchange(self.recorder.record, line.command)
            self.replay = self._open_replay(line.found, self.choice)
            self._showing = self._make_showing(line, self.choice)
        except BaseException as error:
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else "connect_failed"
            line.close(reason)
            self._end_record(reason, partial=True)
            if self.recorder is not None:
                self.recorder.finish(UPLOAD_LIMIT_S)
            raise
        return line

    def _open_replay(self, found: MatchFound, choice: SyncChoice) -> ReplayWriter | None:
        return open_replay(
            self.game,
            found,
            self.config,
            snapshots=choice.compared_by,
            environment=self.environment,
        )

    def _make_showing(self, line: Line, choice: SyncChoice) -> Showing | None:
        if not self.config.spectators:
            return None
        return Showing(line.command, snapshots=choice.compared_by)

    def _begin_record(self, found: MatchFound) -> Recorder:
        self.recorder = Recorder(found=found, game=self.game, config=self.config)
        return self.recorder

    # Episodes.

    def _begin_episode(self, line: Line, seed: int | None, options: Mapping[str, Any] | None) -> Outcome:
        assert self._inputs is not None and self.recorder is not None  # noqa: S101, PT018 - connected
        delay = first_delay(self.config.sync, self._delay)
        line.command(BeginEpisode(seed, None if options is None else dict(options), delay))
        limit_s = self.config.sync.input_timeout_s
        try:
            began = line.wait_for(EpisodeBegan, limit_s, "the episode", "The others must call reset() too.")
        except PeerLost as error:
            self._over(Ending("peer_lost" if line.gone is None else line.gone.reason, error.peer))
            raise
        except NetworkError as error:
            self._over(Ending("input_timeout" if isinstance(error, ConnectFailed) else "network_failed"))
            raise
        except KeyboardInterrupt:
            # The others may have passed the barrier with us: there is no way back to before it.
            self._over(Ending("interrupted"))
            raise
        if self._episode is not None:
            self._episode.settle()  # the barrier has told what became final of it
        frames_before = self.progress.frames_total
        try:
            self._episode = self._make_episode(line, began, self._inputs, self.recorder)
        except BaseException as error:
            self._end(_broken_off(error))  # the others have begun it
            raise
        self._episodes_begun += 1
        self._frames_before = frames_before
        self.state = SessionState.PLAYING
        return self._episode.outcome

    def _make_episode(
        self, line: Line, began: EpisodeBegan, inputs: SeatInputs, recorder: Recorder
    ) -> Episode:
        assert self.choice is not None and self._states is not None  # noqa: S101, PT018 - made when they met
        playing = Playing(
            game=self.game,
            inputs=inputs,
            local=line.local,
            began=began,
            config=self.config.sync,
            choice=self.choice,
            delay=self._delay,
            stand_in=self._stand_in,
            record=recorder.record,
            states=self._states,
            sinks=[sink for sink in (self.replay, self._showing) if sink is not None],
            command=line.command,
            now_ms=now_ms,
        )
        own = [self.game.seats.index(seat) for seat in line.found.seats_taken]
        return Episode(
            line=line,
            recorder=recorder,
            playing=playing,
            own=own,
            sync=self.config.sync,
            seed=began.seed,
        )

    def _leave_episode(self, episode: Episode) -> None:
        """Play on while only the others' seats are alive; leave an episode in which local ones are."""
        defaults = {seat: self.game.default_action(seat) for seat in self.seats or ()}
        while self.state is SessionState.PLAYING and self._own_seats_ended():
            self._play(episode, defaults)
        self._refuse_if_over()
        if self.recorder is not None:
            self.recorder.record.end_episode(now_ms(), completed=False)
        self.state = SessionState.BETWEEN

    def _play(self, episode: Episode, actions: Mapping[SeatId, Any]) -> Outcome | Ending:
        try:
            result = episode.play(actions)
        except BaseException as error:
            if episode.broken:
                self._end(_broken_off(error))
            raise
        if isinstance(result, Ending):
            return self._end(result)
        if result.ended:
            self.state = SessionState.BETWEEN
        return result

    def _own_seats_ended(self) -> bool:
        outcome = self.outcome
        own = [self.game.seats.index(seat) for seat in self.seats or ()]
        return all(outcome.terminations[i] or outcome.truncations[i] for i in own)

    # Ends.

    def _end(self, ending: Ending) -> Ending:
        """Take note of an end that is not the environment's."""
        if self.recorder is not None:
            self.recorder.record.end_episode(now_ms(), completed=False)
        if ending.reason == "peer_reset":
            self.state = SessionState.BETWEEN
            return ending
        self._over(ending)
        if self.config.sync.on_peer_loss == "raise" and ending.reason in _LOSSES:
            raise PeerLost(ending.player, ending.reason)
        return ending

    def _over(self, ending: Ending) -> None:
        self.state = SessionState.OVER
        self._ending = ending
        self._end_record(ending.reason, partial=True, player=ending.player)

    def _finish(self, reason: str) -> None:
        try:
            if reason == "normal" and self.state is SessionState.PLAYING and self._episode is not None:
                self._episode.await_final(FINAL_LIMIT_S)
        finally:
            self._say_goodbye(self._ending or Ending(reason), reason)

    def _say_goodbye(self, ending: Ending, reason: str) -> None:
        if self._line is not None:
            lost = ending.player if ending.reason in _LOSSES else None
            self._line.close(ending.reason, lost=lost)
        try:
            if self._line is not None and self._episode is not None:
                self._episode.settle()
        finally:
            if self.replay is not None:
                self.replay.close(ending.reason)
            self._end_record(reason, partial=reason != "normal")
            if self.recorder is not None:
                self.recorder.finish(UPLOAD_LIMIT_S)

    def _end_record(self, reason: str, *, partial: bool, player: SeatId | None = None) -> None:
        if self.recorder is not None:
            frame = max(0, self.progress.frame - 1)
            self.recorder.record.terminate(
                reason, partial=partial, frame=frame, now_ms=now_ms(), disconnected_player=player
            )

    def _refuse_if_over(self) -> None:
        if self.state is SessionState.OVER or self.state is SessionState.CLOSED:
            raise MatchOver("closed" if self._ending is None else self._ending.reason)

    # One thread at a time.

    def _exclusive(self, verb: str) -> Door:
        if not self._door.open(wait=False):
            raise UsageError(f"{verb}() while another thread is inside reset(), step() or close()")
        return self._door

    def _check_closing(self) -> None:
        if self._closing:
            raise MatchOver("closed")

    def _drain(self) -> None:
        """Fold what has been told already, without waiting; not while another call is inside."""
        if self._line is None or not self._door.open(wait=False):
            return
        with self._door:
            while self._line.next(0) is not None:
                pass
            if self._episode is not None:
                self._episode.settle()


def _broken_off(error: BaseException) -> Ending:
    """Return the end that an exception of the environment, or a Ctrl-C in it, puts to a match."""
    return Ending("interrupted" if isinstance(error, KeyboardInterrupt) else "environment_failed")


def _auto_delay(sync: SyncConfig) -> AutoDelay | None:
    if sync.input_delay != "auto" or sync.fps is None:
        return None
    return AutoDelay(fps=sync.fps, most=sync.prediction_window)


def _close_abandoned(session: Session, process: int) -> None:
    if os.getpid() != process:
        return  # a forked process has no part in its parent's matches
    if threading.current_thread() is threading.main_thread():
        session.close("interrupted")
    else:
        # The garbage collector may have come by on one of the threads that closing waits for.
        threading.Thread(target=session.close, args=("interrupted",), name="gym_p2p closing").start()
