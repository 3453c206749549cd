"""The user's half of a match: meet the others, begin episodes, play frames, leave.

Runs on the user's thread and steps the game there. What the two wrappers of :mod:`gym_p2p.wrapper` have in
common is here: which state the session is in, and what follows from an end. How a match comes about is
:mod:`gym_p2p.play.setup`; what exists only once the players have met is in :mod:`gym_p2p.play.live_match`.
Closing is possible in every state.

States::

    NEW      --reset-->               PLAYING   (a failed one leaves NEW)
    PLAYING  --the episode ended-->   BETWEEN   (also when a peer goes on to the next one)
    PLAYING  --reset-->               PLAYING   (leaves the episode)
    BETWEEN  --reset-->               PLAYING
    PLAYING, BETWEEN  --a peer is gone, a desync, a time-out-->  OVER
    any      --close-->               CLOSED
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gym_p2p.config import P2PConfig
from gym_p2p.core.record.documents import Kind
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import MatchOver, NetworkError, P2PError, PeerLost, UsageError
from gym_p2p.exports import Finished
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.recipe import Recipe
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.rollout import Correction
from gym_p2p.play.closing import await_final
from gym_p2p.play.ending import Ending
from gym_p2p.play.episode import LiveEpisode, Viewer
from gym_p2p.play.handshake import Seated, seed_of, travelled
from gym_p2p.play.last_step import LastStep
from gym_p2p.play.live_match import LiveMatch
from gym_p2p.play.neighbours import Newcomer
from gym_p2p.play.progress import Progress, SessionState, progress_of
from gym_p2p.play.recorder import Recorder
from gym_p2p.play.reentrancy import Access
from gym_p2p.play.setup import UPLOAD_LIMIT_S, MatchSetup
from gym_p2p.play.sync_mode import SyncChoice

__all__ = ["Session"]


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
        self.state = SessionState.NEW
        self._setup = MatchSetup(game, seats, config)
        self.environment: Recipe | None = None
        """How the environment was made, for recordings, where that is known better than it knows itself."""
        self.viewer: Viewer | None = None
        """Sees every frame that is shown, in the calls of ``reset`` and ``step``."""
        self.seated = Seated()
        """Who acts for this player, for the documents and the service."""
        self._match: LiveMatch | None = None
        self._ending: Ending | None = None
        self.newcomer = Newcomer.of(config, self.seats)
        """This player, as others of this process see them until they have met somebody."""
        self._last_step = LastStep()
        self._access = Access()
        self._closing = False

    # What a wrapper calls.

    def reset(self, seed: int | None, options: Mapping[str, Any] | None) -> Outcome:
        """Begin an episode together with everybody; the first call connects.

        Local seats that ended before the episode did are played on with their default actions, until the
        others' have ended too.

        Directly after the step that ended an episode this does not raise because no episode follows: it gives
        the last outcome once more, with the reason in every info, and the next call raises
        (:mod:`gym_p2p.play.last_step`).

        Raises:
            ConfigurationError: a seed or options that cannot travel; at the first one, what cannot be played.
            UsageError: another player is to be played in this very thread.
            HandshakeRefused: the players want different seeds or options of this episode, which can be tried
                again; or, at the first reset, they play different games.
            NetworkError, PeerError: no match came about; nothing is left running, and reset may be called
                again. Once a match has begun, its loss is final (``PeerLost.match_over``).
            MatchOver: the match has ended.
        """
        seed = seed_of(seed)
        options = travelled(options)
        with self._access.exclusive("reset"):
            just_ended = self._last_step.take_ended()
            try:
                self._refuse_if_over()
                match = self._match = self._match or self._meet()
                if match.episode is not None:
                    self._leave_episode(match, match.episode)
                return self._begin_episode(match, seed, options)
            except P2PError as error:
                if not just_ended or self._ending is None or self.state is not SessionState.OVER:
                    raise
                self._last_step.put_off = error
                return self._newest_episode.outcome.cut_short(self._ending.reason, self._ending.player)

    def step(self, actions: Mapping[SeatId, Any]) -> Outcome:
        """Play one frame with the local seats' canonical actions, once everybody's inputs are here.

        Where the match ends before the environment does, all seats are truncated and every info says why.

        Raises:
            MatchOver: the match has ended.
            UsageError: no episode is running.
            PeerLost: a peer is gone, where ``on_peer_loss="raise"``.
        """
        with self._access.exclusive("step"):
            self._last_step.ended = False
            match = self._match
            if self.state is not SessionState.PLAYING or match is None or match.episode is None:
                self._refuse_if_over()
                raise UsageError("no episode is running: call reset() first")
            return self._step(match.episode, actions)

    def close(self, reason: str = "normal") -> Finished | None:
        """Say goodbye, write and upload the documents, leave nothing behind. Idempotent.

        Args:
            reason: why, for the exports and for the others, unless the match had ended before.

        Returns:
            Where the documents are; ``None`` when there was no match, in a process that was forked from the
            one that plays it, and when this was called by a signal handler in the middle of ``reset`` or
            ``step``: these close on their way out then.
        """
        if self._access.forked:
            return None
        self._closing = True
        door = self._access.door
        if not door.open(wait=True):
            door.last_thing = partial(self.close, reason)
            return None
        with door:
            if self.state is not SessionState.CLOSED:
                try:
                    self._finish(reason)
                finally:
                    self.state = SessionState.CLOSED
                    self.newcomer.gone()
                    self.game.close()
        return None if self.recorder is None else self.recorder.finished

    def render(self) -> Any:
        """Return the environment's picture of what ``reset`` or ``step`` gave last."""
        if self._match is None or not self._access.door.open(wait=True):
            return self.game.render()
        with self._access.door:
            episode = self._episode
            return self.game.render() if episode is None else episode.render()

    # What a wrapper shows.

    @property
    def progress(self) -> Progress:
        """Where the match is."""
        return progress_of(self.state, self._setup, self._match)

    @property
    def recorder(self) -> Recorder | None:
        """The record of the newest match that was found; ``None`` before there is one."""
        return self._setup.recorder

    @property
    def recording(self) -> Path | None:
        """Where the match is recorded, whole once closed; ``None`` where it is not, or not all of it."""
        replay = None if self._match is None else self._match.replay
        return None if replay is None or replay.problem is not None else replay.path

    @property
    def seats(self) -> tuple[SeatId, ...] | None:
        """The local seats; ``None`` where any free one was wanted, and the match is not made yet."""
        return self._setup.seats

    @property
    def choice(self) -> SyncChoice | None:
        """How the players agreed to keep frames together; ``None`` before they have."""
        return None if self._match is None else self._match.played.choice

    def take_corrections(self) -> list[Correction]:
        """Return what had been shown on wrong guesses since the last call, oldest first.

        Of each such frame the outcome that was shown for it, and the one that replaced it. Only where
        inputs are predicted and ``view="predicted"``.
        """
        episode = self._episode
        return [] if episode is None else episode.take_corrections()

    @property
    def peers(self) -> tuple[SeatId, ...]:
        """The other players' ids; empty before the match is made."""
        return () if self.recorder is None else tuple(p.player_id for p in self.recorder.found.peers)

    @property
    def seat(self) -> SeatId:
        """The first local seat.

        Raises:
            UsageError: any free one was wanted, and the match is not made yet.
        """
        if not self.seats:
            raise UsageError("no seat is taken yet: call reset() first")
        return self.seats[0]

    @property
    def ending(self) -> Ending | None:
        """How the match ended, or the newest episode, where the environment did not end it.

        ``None`` while it goes on, and where the environment ended it. After ``"peer_reset"`` the match goes
        on with the next ``reset``; after any other reason it is over.
        """
        if self._ending is None and self._episode is not None:
            return self._episode.ending
        return self._ending

    @property
    def seed(self) -> int | None:
        """The seed that all players agreed on for the newest episode; ``None`` before the first."""
        episode = self._episode
        return None if episode is None else episode.seed

    @property
    def outcome(self) -> Outcome:
        """What the newest frame gave.

        Raises:
            UsageError: there was none yet.
        """
        return self._newest_episode.outcome

    def latency(self) -> dict[SeatId, dict[str, Any] | None]:
        """Return every link's statistics (``LatencyTelemetry.get_stats()``), ``None`` without samples."""
        recorder = self.recorder
        if recorder is None:
            return {}
        self.drain()
        return recorder.latency()

    def document(self, kind: Kind) -> dict[str, Any]:
        """Build one of the three documents as of now (as of the end, after it).

        Raises:
            UsageError: there was no match yet.
        """
        if self.recorder is None:
            raise UsageError("nothing to export: no match was made yet, call reset() first")
        self.drain()
        return self.recorder.document(kind)

    # Episodes.

    def _meet(self) -> LiveMatch:
        self._access.process = os.getpid()
        try:
            with self.newcomer.calling():
                return self._setup.meet(self._check_wait, environment=self.environment, seated=self.seated)
        except BaseException:
            self._access.process = None
            raise

    @property
    def _episode(self) -> LiveEpisode | None:
        return None if self._match is None else self._match.episode

    @property
    def _newest_episode(self) -> LiveEpisode:
        if self._match is None or self._match.episode is None:
            raise UsageError("no episode has begun: call reset() first")
        return self._match.episode

    def _begin_episode(
        self, match: LiveMatch, seed: int | None, options: Mapping[str, Any] | None
    ) -> Outcome:
        try:
            began = match.await_episode(seed, options)
        except (PeerLost, NetworkError, KeyboardInterrupt) as error:
            # Of these the others may have passed the barrier with us: there is no way back to before it.
            self._over(match.ending_at_barrier(error))
            raise
        try:
            episode = match.begin_episode(began)
        except BaseException as error:
            self._end(Ending.broken_off(error))  # the others have begun it
            raise
        self.state = SessionState.PLAYING
        if self.viewer is not None:
            episode.show_to(self.viewer)
        return episode.outcome

    def _leave_episode(self, match: LiveMatch, episode: LiveEpisode) -> None:
        """Play on while only the others' seats are alive; leave an episode in which local ones are."""
        defaults = {seat: self.game.default_action(seat) for seat in match.recorder.found.seats_taken}
        while self.state is SessionState.PLAYING and match.own_seats_ended:
            self._step(episode, defaults)
        self._refuse_if_over()
        match.recorder.record.break_off_episode(match.recorder.clock_ms(), "reset")
        self.state = SessionState.BETWEEN

    def _step(self, episode: LiveEpisode, actions: Mapping[SeatId, Any]) -> Outcome:
        """Play one frame, and see to what follows from an end."""
        try:
            result = episode.step(actions)
        except BaseException as error:
            if episode.runner.rollout.broken:
                self._end(Ending.broken_off(error))
            raise
        if isinstance(result, Ending):
            episode.ending = result
            self._end(result)
            self._last_step.ended = True
            return episode.outcome.cut_short(result.reason, result.player)
        if result.ended:
            self.state = SessionState.BETWEEN
            self._last_step.ended = True
        return result

    # Ends.

    def _end(self, ending: Ending) -> None:
        """Take note of an end that is not the environment's."""
        if self.recorder is not None:
            self.recorder.record.break_off_episode(self.recorder.clock_ms(), ending.reason)
        if ending.reason == "peer_reset":
            self.state = SessionState.BETWEEN
            return
        self._over(ending)
        if self.config.sync.on_peer_loss == "raise" and ending.loss is not None:
            raise PeerLost(ending.player, ending.reason, match_over=True)

    def _over(self, ending: Ending) -> None:
        self.state = SessionState.OVER
        self._ending = ending
        self._terminate(ending.reason, partial=True, player=ending.player)

    def _finish(self, reason: str) -> None:
        try:
            if self.state is SessionState.PLAYING:
                await_final(self._newest_episode, reason, self.config.sync)
        finally:
            try:
                if self._match is not None:
                    self._match.say_goodbye(self._ending or Ending(reason))
            finally:
                self._terminate(reason, partial=reason != "normal")
                if self.recorder is not None:
                    replay = None if self._match is None else self._match.replay
                    told = {} if replay is None else {"problem": replay.problem, "moved": replay.moved}
                    self.recorder.finish(UPLOAD_LIMIT_S, **told)

    def _terminate(self, reason: str, *, partial: bool, player: SeatId | None = None) -> None:
        """Note in the record that, and why, the match is over."""
        if self.recorder is not None:
            self.recorder.record.terminate(
                reason, partial=partial, now_ms=self.recorder.clock_ms(), disconnected_player=player
            )

    def _refuse_if_over(self) -> None:
        error = self._last_step.take_put_off()
        if error is not None and self.state is SessionState.OVER:
            raise error
        if self.state is SessionState.OVER or self.state is SessionState.CLOSED:
            raise MatchOver("closed" if self._ending is None else self._ending.reason)

    def _check_wait(self) -> None:
        """Give up a wait for the others that a ``close()`` has made vain."""
        if self._closing:
            raise MatchOver("closed")
        self.newcomer.waits()
        if self.viewer is not None:
            self.viewer.waits()

    def look_ahead(self) -> None:
        """See :meth:`~gym_p2p.play.setup.MatchSetup.look_ahead`."""
        self._setup.look_ahead()

    def drain(self) -> bool:
        """Take in the events that are there, without waiting; return whether the match has ended by them."""
        match = self._match
        if match is not None and (door := self._access.if_free()) is not None:
            with door:
                match.drain()
        return match is not None and match.ended
