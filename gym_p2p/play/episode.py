"""One episode as the wrapper shows it: plays frames in real time, waits where it must, shows the view.

Runs on the user's thread. Knows the network half's events, the episode's frames and the view; refuses to know
how a match comes about and what follows from its end: that is :mod:`gym_p2p.play.session`.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from gym_p2p.core.match.events import EpisodeBegan
from gym_p2p.core.sync.pacing import Pacer
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ProtocolError
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.rollout import Correction, FinalFrame
from gym_p2p.net.worker.messages import WorkerFailed, WorkerStopped
from gym_p2p.play.ending import Ending
from gym_p2p.play.match_client import SHORT_WAIT_S, MatchClient
from gym_p2p.play.played_match import PlayedMatch
from gym_p2p.play.recorder import Recorder
from gym_p2p.play.runner import EpisodeRunner
from gym_p2p.play.waits import Waits

__all__ = ["LiveEpisode", "Viewer"]


class Viewer(Protocol):
    """Who is shown an episode."""

    def look(self, episode: LiveEpisode) -> None:
        """See something new, before the rest of a frame's time is waited for."""

    def waits(self) -> None:
        """Called now and then while others are waited for; raises to wait no longer."""


_ENDS = (WorkerFailed, WorkerStopped)

_LOOK_EVERY_S = 0.002

_CORRECTIONS_KEPT = 4096
"""Of those that nobody fetches, the oldest go: a minute of the worst network."""


class LiveEpisode:
    """A running episode.

    Attributes:
        runner: plays its frames.
        seed: the agreed one.
        outcome: what was shown last, at first what ``reset`` gave.
        frame_shown: the frame that it is of; -1 for ``reset``.
        ending: how it ended, where the environment did not end it; ``None`` as long as it goes on, and where
            the environment ended it.
    """

    def __init__(
        self,
        match: PlayedMatch,
        began: EpisodeBegan,
        *,
        client: MatchClient,
        recorder: Recorder,
        waits: Waits,
        again: bool = False,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._waits = waits
        self.runner = EpisodeRunner(match, began, again=again)
        self._config = match.config
        self._game = match.game
        self._pacer = Pacer(match.config.fps, even=match.waits_for_all)
        self._awaited_s = 0.0
        """For how long this step has waited for others."""
        self._unseen: deque[FinalFrame] = deque()
        self._corrections: deque[Correction] = deque(maxlen=_CORRECTIONS_KEPT)
        self._over: Ending | None = None
        client.listener = self.runner.receive
        self.seed = began.seed
        self.outcome = self.runner.rollout.outcome
        self.frame_shown = -1
        self.ending: Ending | None = None
        self._viewer: Viewer | None = None

    def show_to(self, viewer: Viewer) -> None:
        """Show somebody what is shown now, and everything from now on."""
        self._viewer = viewer
        viewer.look(self)

    # One step plays one frame, and may take several turns of the loop until there is something to show.
    #
    # - The input is given once, and first: somebody may be waiting for it. Not behind a possible end, which
    #   has to become final or be undone before anything follows: then in a later turn.
    # - What is there already is taken in before anything is played: a correction that is known belongs before
    #   this frame, and inputs that are known are not guessed.
    # - It ends: each turn shows something, or waits for one event and at most a slice of time. Who does not
    #   play is given up in time, and is gone then like anybody else; should even that lead to nothing, the
    #   deadline ends the wait. The network half's own end is an event like any other, and comes again to
    #   whoever goes on waiting.
    def step(self, actions: Mapping[SeatId, Any]) -> Outcome | Ending:
        """Play one frame with the local seats' canonical actions; return, on time, what is to be shown.

        In lockstep that is the frame, once everybody's inputs are here; where inputs are predicted, see
        ``view``. An end is shown once it is final.
        """
        runner, advanced = self.runner, False
        began = time.monotonic()
        self._awaited_s = 0.0
        result = self._shown(advanced=False) if self._over is not None or runner.rollout.over else None
        given = result is None and not self._desynced() and self._give(actions)
        idle = given and not runner.session.has_news and time.monotonic() < began + SHORT_WAIT_S
        if result is None and not idle:
            self._client.drain()  # else the first that comes is waited for at once
        try:
            while result is None:
                if self._desynced():
                    return Ending("desync", self._recorder.desynced_with)
                given = given or self._give(actions)
                runner.act_for_others()
                if runner.session.has_news:
                    advanced = self._advance() or advanced
                result = self._shown(advanced=advanced) or self._wait(began)
        finally:
            self._waits.over()  # by Ctrl-C, say: nobody is waited for any more
        if not isinstance(result, Ending):
            if runner.rollout.pictures is not None:
                runner.rollout.pictures.show(self.frame_shown)
            if self._viewer is not None:
                self._viewer.look(self)
            if self._config.fps is not None:
                self._pace()
        return result

    def _desynced(self) -> bool:
        """Whether the players' states were found to differ, where that is the end."""
        return self._recorder.desynced_with is not None and self._config.on_desync == "truncate"

    def _give(self, actions: Mapping[SeatId, Any]) -> bool:
        """Give the local input of the current frame, unless behind a possible end; return whether it was."""
        if self.runner.rollout.over or self.runner.awaits_end():
            return False
        self.runner.add_input(actions)
        return True

    def _wait(self, since: float) -> Ending | None:
        """Wait for an event, for a slice of time at most; return the end that comes of having waited."""
        waits, now = self._waits, time.monotonic()
        if since + 2 * waits.input_limit_s + waits.last_s <= now:
            return Ending("input_timeout")
        if now < since + SHORT_WAIT_S:  # nearly always
            event = self._client.receive(SHORT_WAIT_S)
        else:
            players = self.runner.session.waits_for()
            ready = not self.runner.session.have_yet_to_act(players)
            waits.for_inputs(players, since=since, ready=ready)
            event = self._client.receive()
        self._awaited_s += time.monotonic() - now
        return Ending("network_failed") if isinstance(event, _ENDS) else None

    def catch_up(self) -> None:
        """Play on until this player has something to decide, who has come back: up to there they had."""
        runner, began = self.runner, time.monotonic()
        while runner.session.was_played and not runner.rollout.over and self._over is None:
            if not runner.awaits_end():
                runner.session.add_local_input(b"")  # the one that was given then counts
            runner.act_for_others()
            with self._unseen_pictures():
                advanced = runner.session.has_news and self._advance()
            if not advanced and self._wait(began) is not None:
                break
        self._waits.over()
        self.outcome, self.frame_shown = runner.rollout.outcome, runner.session.frame - 1

    def render(self) -> Any:
        """Return the environment's picture of what was shown last."""
        pictures = self.runner.rollout.pictures
        return self._game.render() if pictures is None else pictures.render(self.frame_shown)

    def settle(self) -> None:
        """Record what has become final by events that came outside of :meth:`step`; nobody sees it."""
        if self.runner.session.has_news:
            with self._unseen_pictures():
                self._advance()

    def await_final(self, limit_s: float, *, repaired_s: float) -> None:
        """Wait until every frame that was played is final, or will not be; records them.

        Args:
            limit_s: at most, where somebody who is heard of has given no input: they have stopped to play.
            repaired_s: at most otherwise. What makes a frame final is on its way then, over paths that are
                repaired: also between two others, who have to have each other's inputs.
        """
        began = time.monotonic()
        rollout = self.runner.rollout
        while self._over is None and rollout.final_count < self.runner.session.frame:
            self._client.drain()
            self.runner.act_for_others()
            self.settle()
            until = began + (repaired_s if self._is_on_its_way() else limit_s)
            if rollout.over or rollout.broken or self._client.ended or until <= time.monotonic():
                return
            time.sleep(_LOOK_EVERY_S)

    def _is_on_its_way(self) -> bool:
        """Whether every input of what was played is here, or of somebody whose path is repaired."""
        silent = self._client.silent
        return all(player in silent and not silent[player].away for player in self.runner.session.waits_for())

    def take_corrections(self) -> list[Correction]:
        """Return what had been shown on wrong guesses since the last call, oldest first."""
        taken = [correction.handed_out() for correction in self._corrections]
        self._corrections.clear()
        return taken

    def _unseen_pictures(self) -> contextlib.AbstractContextManager[None]:
        pictures = self.runner.rollout.pictures
        return contextlib.nullcontext() if pictures is None else pictures.unseen()

    def _advance(self) -> bool:
        """Play what can be played, take note of an end; return whether the next frame was played."""
        try:
            tick = self.runner.advance()
        except ProtocolError as error:
            self._recorder.record.protocol_error(error.problem)
            self._over = Ending("protocol_error")
            return False
        for correction in tick.corrections:
            if correction.frame <= self.frame_shown:  # one that seemed to be the end was held back
                self._corrections.append(correction)
        if self._config.view == "confirmed":
            self._unseen.extend(tick.final)
        if tick.over is not None and not self.runner.rollout.over:
            self._over = self._client.ending(tick.over.reason, tick.over.player)
        return tick.advanced

    def _pace(self) -> None:
        """Wait until the next frame is due."""
        wait_s = self._pacer.wait_s(
            time.monotonic(),
            stretch=self.runner.session.stretch,
            awaited_s=self._awaited_s,
            round_trip_s=self._round_trip_s,
        )
        if wait_s > 0:
            time.sleep(wait_s)

    def _round_trip_s(self) -> float | None:
        session = self.runner.session
        return self._recorder.longest_rtt_s(without=session.absent_in(session.frame))

    def _shown(self, *, advanced: bool) -> Outcome | Ending | None:
        """Return what this step shows; ``None`` if that has to be waited for."""
        rollout = self.runner.rollout
        if self._config.view == "confirmed":
            return self._next_final(may_repeat=advanced)
        if rollout.over or (advanced and not self.runner.awaits_end()):
            ended_at = rollout.ended_at if rollout.over else None
            self.frame_shown = self.runner.session.frame - 1 if ended_at is None else ended_at
            self.outcome = rollout.outcome
            return self.outcome
        return self._over

    def _next_final(self, *, may_repeat: bool) -> Outcome | Ending | None:
        if self._unseen:
            final = self._unseen.popleft()
            self.frame_shown, self.outcome = final.frame, final.outcome
            return final.outcome
        if self._over is not None:
            return self._over
        if may_repeat and not self.runner.awaits_end():
            return self.outcome.repeated()
        return None
