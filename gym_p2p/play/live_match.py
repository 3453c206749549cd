"""A match on the network as one player holds it: from the moment the players have met up to goodbye.

Everything here exists from that moment on. Runs on the user's thread; refuses to know in which state the
session is: what follows from an end is :mod:`gym_p2p.play.session`'s to know.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.core.match.commands import BeginEpisode
from gym_p2p.core.match.events import EpisodeBegan
from gym_p2p.errors import ConnectFailed, NetworkError, PeerLost
from gym_p2p.game.replay.writer import ReplayWriter
from gym_p2p.play.coming_back import ComeBack, Stretch, stretches, take_seat
from gym_p2p.play.ending import Ending, no_more_episodes
from gym_p2p.play.episode import LiveEpisode
from gym_p2p.play.kept_match import KeptFile
from gym_p2p.play.match_client import MatchClient
from gym_p2p.play.played_match import PlayedMatch
from gym_p2p.play.recorder import Recorder
from gym_p2p.play.waits import Waits

__all__ = ["LiveMatch"]

EXCHANGE_LIMIT_S = 1.0
"""How long the goodbye waits for states at a desync, which are sent as soon as both have noticed it."""

COMPARE_LIMIT_S = 1.0
"""How long the end of a match waits, after the goodbye, until they are compared. Both together are the most
that a desync adds to it, whatever the other player sends or does not."""

LOOK_EVERY_S = 0.05


@attrs.define(eq=False, kw_only=True)
class LiveMatch:
    """One player's match.

    Attributes:
        played: what its episodes are played with.
        waits: for whom it is waited, and for how long.
        replay: its recording; ``None`` where there is none.
        episode: the newest; ``None`` before the first.
        episodes_begun: how many there were.
        come_back: what was played before this player came back, until it was played again; else ``None``.
        kept: what the player's next process would come back with.
    """

    client: MatchClient
    recorder: Recorder
    played: PlayedMatch
    waits: Waits
    replay: ReplayWriter | None = None
    episode: LiveEpisode | None = None
    episodes_begun: int = 0
    come_back: ComeBack | None = None
    kept: KeptFile | None = None
    _returned: LiveEpisode | None = attrs.field(init=False, default=None)
    _waits: bool = attrs.field(init=False, default=False)
    """Whether the process before had gone on to the next episode, as was learnt just now."""
    _frames_before: int = attrs.field(init=False, default=0)

    @property
    def frame(self) -> int:
        """The next frame of the newest episode."""
        return 0 if self.episode is None else self.episode.runner.session.frame

    @property
    def frames_total(self) -> int:
        """How many frames were played in all episodes."""
        return self._frames_before + self.frame

    @property
    def own_seats_ended(self) -> bool:
        """Whether every local seat of the newest episode has ended."""
        if self.episode is None:
            return False
        return all(map(self.episode.outcome.over_for, self.played.own))

    @property
    def ended(self) -> bool:
        """Whether the match ends by what has come; not while its episode goes on without who is gone."""
        if self.client.gone is None or self.episode is None:
            return self.client.ended or self.client.gone is not None
        return self.client.ended or bool(self.episode.runner.session.endings.told)

    def await_episode(self, seed: int | None, options: Mapping[str, Any] | None) -> EpisodeBegan:
        """Wait at the barrier until everybody is there; :meth:`begin_episode` comes next.

        Raises:
            HandshakeRefused: the players want different seeds or options.
            PeerLost, NetworkError: there will be no episode.
        """
        try:
            return self._await_episode(seed, options)
        except PeerLost as lost:
            raise no_more_episodes(lost, self.client.gone, first=self.episode is None) from None

    def _await_episode(self, seed: int | None, options: Mapping[str, Any] | None) -> EpisodeBegan:
        come_back, self.come_back, self._waits = self.come_back, None, False
        if come_back is not None:
            running = self._play_again(come_back)
            if running is not None:
                return running
            seed = options = None  # of this program's first episode, which this is not
        if not self._waits:
            given = None if options is None else dict(options)
            self.client.command(BeginEpisode(seed, given, self.played.input_delay))
        try:
            began = self.client.wait_for(
                EpisodeBegan,
                self.waits.reset_limit_s + self.waits.last_s,
                "the episode",
                "The others must call reset() too, each in a process or thread of their own.",
                meanwhile=self.waits.for_resets,
            )
        finally:
            self.waits.over()
        self.settle()  # what came at the barrier made frames of the episode before final
        return began

    def _play_again(self, come_back: ComeBack) -> EpisodeBegan | None:
        """Play what was played before, and take the seat; return the episode that goes on, if one does."""
        limit_s, running = self.played.config.rejoin_timeout_s, None
        for stretch in stretches(self.client, come_back, limit_s):
            running = self._play_stretch(stretch, running)
        self.client.drain()
        caught_up = self.frames_total
        seat = take_seat(self.client, caught_up, limit_s)
        took_s = time.monotonic() - come_back.began
        self.recorder.came_back(seat, caught_up, took_s=took_s)
        if self.episode is None or running is None:
            return None
        self.episode.catch_up()
        told = {
            "rejoined": {
                "episode": running.episode,
                "frame": self.frame,
                "caught_up": caught_up,
                "took_s": took_s,
            }
        }
        self.episode.outcome = self.episode.outcome.with_told(told)
        if self.episode.runner.rollout.over:
            return None
        self._returned = self.episode
        return running

    def _play_stretch(self, stretch: Stretch, running: EpisodeBegan | None) -> EpisodeBegan | None:
        """Play on with what was told; return the episode that is running now, given the one before."""
        complete = stretch.complete
        self._waits = complete is not None and complete.waits
        for past in stretch.episodes:
            if running is None or running.episode != past.episode:
                running = EpisodeBegan(past.episode, past.seed, past.options, past.delays)
                self._begin(running, again=True)
            assert self.episode is not None  # noqa: S101 - it was begun just now, or in the stretch before
            self.episode.runner.play_again(past)
            if past.frames is not None or (self._waits and complete and past.episode == complete.episode):
                why = "reset" if past.left_first else "peer_reset"
                self.recorder.record.break_off_episode(self.recorder.clock_ms(), why)
                running = None
        return running

    def ending_at_barrier(self, error: PeerLost | NetworkError | KeyboardInterrupt) -> Ending:
        """Return the end that :meth:`await_episode` puts to the match by raising."""
        match error:
            case PeerLost() if self.client.gone is not None:
                gone = self.client.gone
                return self.client.ending(gone.reason, gone.player if gone.lost is None else gone.lost)
            case PeerLost():
                return Ending("peer_lost", error.peer)
            case ConnectFailed():
                return Ending("input_timeout")
            case NetworkError():
                return Ending("network_failed")
            case _:
                return Ending("interrupted")

    def begin_episode(self, began: EpisodeBegan) -> LiveEpisode:
        """Begin the episode that everybody has begun, or go on with the one that was come back to."""
        returned, self._returned = self._returned, None
        return self._begin(began) if returned is None else returned

    def _begin(self, began: EpisodeBegan, *, again: bool = False) -> LiveEpisode:
        frames_before = self.frames_total
        episode = LiveEpisode(
            self.played, began, client=self.client, recorder=self.recorder, waits=self.waits, again=again
        )
        self.episode, self._frames_before = episode, frames_before
        self.episodes_begun += 1
        return episode

    def say_goodbye(self, ending: Ending) -> None:
        """Leave: tell the others why, take in what they still had to say, end the recording.

        A Ctrl-C breaks off the part in which it comes; the others are done all the same before it is raised.
        """
        with contextlib.ExitStack() as last:  # from the end on
            if self.kept is not None:
                last.callback(self.kept.end, network_failed=ending.reason == "network_failed")
            if self.replay is not None:
                last.callback(self.replay.close, ending.reason)
            last.callback(self.played.states.finish, COMPARE_LIMIT_S)
            last.callback(self.settle)
            last.callback(self.client.close, ending)
            self._await_states()
            self.waits.over()

    def _await_states(self) -> None:
        """Give the states that are exchanged at a desync a moment to be sent and to arrive."""
        deadline = time.monotonic() + EXCHANGE_LIMIT_S
        client = self.client
        while self.played.states.waits and client.gone is None and not client.ended:
            if deadline <= time.monotonic():
                return
            client.drain()  # nothing else is waited for any more, but this
            time.sleep(LOOK_EVERY_S)

    def drain(self) -> None:
        """Take in all events that are there, and record what became final by them."""
        self.client.drain()
        self.settle()

    def settle(self) -> None:
        """Record what has become final of the newest episode."""
        if self.episode is not None:
            self.episode.settle()
