"""The user's end of a spectator's network half: what is received of the match, episode by episode.

Every wait has a deadline. Refuses to know the environment.
"""

from __future__ import annotations

import logging
import time
from collections import deque

import attrs

from gym_p2p.core.api.spectators import WatchedMatch
from gym_p2p.core.match.commands import Leave
from gym_p2p.core.spectating.messages import EpisodeOver, EpisodeShown, FrameDigest, FramesShown, Standing
from gym_p2p.core.spectating.subscriber import Welcomed
from gym_p2p.errors import ConnectFailed, MatchOver, NetworkError
from gym_p2p.net.worker.backends import open_bridge
from gym_p2p.net.worker.messages import (
    ReleaseFrames,
    SpectatorPlan,
    StampedEvent,
    WatchEnded,
    WorkerEvent,
    WorkerFailed,
    WorkerStopped,
)
from gym_p2p.play.paused import Paused, shown_pause
from gym_p2p.spectate.terms import WatchedTerms

__all__ = ["ReceivedEpisode", "WatchClient"]

_log = logging.getLogger(__name__)

WAIT_SLICE_S = 0.25
"""No wait is longer in one piece, so that an interruption is noticed."""

_SHOWN_EVERY = 1024
"""Frames between two commands on how many were shown: well below the limit of the network half's backlog."""


@attrs.define(eq=False)
class ReceivedEpisode:
    """What was received of one episode, and not shown yet.

    Attributes:
        begun: how it began.
        frames: of each, every seat's encoded action.
        digests: what the players compared, by frame.
        newest: how many frames the player has who shows it.
        over: its end, once that was received.
        left: whether frames that still come are not wanted any more.
    """

    begun: EpisodeShown
    frames: deque[tuple[bytes, ...]] = attrs.field(factory=deque)
    digests: dict[int, bytes] = attrs.field(factory=dict)
    newest: int = 0
    over: EpisodeOver | None = None
    left: bool = False


class WatchClient:
    """One spectator's client of the network half, which starts at once.

    Attributes:
        match: the match, and who shows it; ``None`` before there is one.
        terms: what is played, as the players agreed on it; ``None`` before that is known.
        episodes: those that were received and not left, oldest first.
        ended: why nothing more will come; ``None`` while it may.
        paused: for whom the match stands by now; ``None`` where it does not.
    """

    def __init__(self, plan: SpectatorPlan) -> None:
        self._bridge = open_bridge(plan)
        self._shown = self._released = 0
        self._newest: ReceivedEpisode | None = None
        self.match: WatchedMatch | None = None
        self.terms: WatchedTerms | None = None
        self.episodes: deque[ReceivedEpisode] = deque()
        self.ended: str | None = None
        self.paused: Paused | None = None

    def meet(self, limit_s: float) -> WatchedTerms:
        """Wait until the match is shown; return what is played.

        Raises:
            MatchOver: it ended before.
            ConnectFailed: that is not known in time.
            NetworkError, PeerError: nothing will come, and why.
        """
        deadline = time.monotonic() + limit_s
        while self.terms is None:
            if self.ended is not None:
                raise MatchOver(self.ended)
            if deadline <= time.monotonic():
                raise ConnectFailed("the match", waited_s=limit_s, seen="nothing", advice="Try again.")
            self.wait()
        return self.terms

    def drain(self) -> None:
        """Take in what is there already.

        Raises:
            NetworkError, PeerError: nothing will come, and why.
        """
        while (stamped := self._bridge.receive(0)) is not None:
            self._take(stamped[1])

    def wait(self, limit_s: float = WAIT_SLICE_S) -> bool:
        """Take in the next event, and all that came with it; False if there was none in the time.

        Raises:
            NetworkError, PeerError: nothing will come, and why.
        """
        stamped = self._bridge.receive(limit_s) if self.ended is None else None
        if stamped is None:
            return False
        self._take(stamped[1])
        self.drain()
        return True

    def shown(self, frames: int) -> None:
        """Note that so many more frames are shown, or not wanted any more."""
        self._shown += frames
        if self._shown >= self._released + _SHOWN_EVERY:
            self._released = self._shown
            self._bridge.command(ReleaseFrames(self._shown))

    def leave(self, episode: ReceivedEpisode) -> None:
        """Want no more frames of an episode; what else comes of it is still taken in. Idempotent."""
        if episode.left:
            return
        episode.left = True
        self.shown(len(episode.frames))
        episode.frames.clear()
        self.episodes.remove(episode)

    def close(self) -> None:
        """Stop the network half. Idempotent."""
        self._bridge.close(Leave("normal"), _note_failure)

    def _take(self, event: WorkerEvent) -> None:
        match event:
            case WatchedMatch():
                self.match, self.paused = event, None
                _log.info("watching %s, shown by %s", event.match_id, event.source)
            case Welcomed(description) if self.terms is None:
                self.terms = WatchedTerms.received(description)
            case EpisodeShown():
                self._newest = ReceivedEpisode(event)
                self.episodes.append(self._newest)
            case FramesShown() | FrameDigest() | EpisodeOver() if self._newest is not None:
                self._take_of(self._newest, event)
            case Standing():
                self.paused = shown_pause(event)
            case WatchEnded(reason):
                self.ended, self.paused = reason, None
            case WorkerFailed(error):
                self.ended = "network_failed"
                raise error
            case WorkerStopped() if self.ended is None:
                self.ended = "network_failed"
                raise NetworkError("the network half stopped by itself")

    def _take_of(self, episode: ReceivedEpisode, event: FramesShown | FrameDigest | EpisodeOver) -> None:
        match event:
            case FramesShown(_, start, newest, frames):
                episode.newest = max(newest, start + len(frames))
                if episode.left:
                    self.shown(len(frames))
                else:
                    episode.frames.extend(frames)
            case FrameDigest(_, frame, digest):
                episode.digests[frame] = digest
            case EpisodeOver():
                episode.over = event


def _note_failure(stamped: StampedEvent) -> None:
    _, event = stamped
    if isinstance(event, WorkerFailed):
        _log.debug("on closing: %s", event.error)
