"""The user's end of a spectator's network half: what was told of the match, episode by episode.

Every wait has a deadline. Refuses to know the environment.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.core.api.spectators import WatchedMatch
from gym_p2p.core.match.events import Leave
from gym_p2p.core.spectating.messages import EpisodeOver, EpisodeShown, FrameDigest, FramesShown
from gym_p2p.core.spectating.subscriber import Welcomed
from gym_p2p.errors import NetworkError
from gym_p2p.net.worker.bridge import open_bridge
from gym_p2p.net.worker.messages import Failed, HasShown, Stopped, Telling, Watched, WatchEnded, WatchPlan

__all__ = ["ToldEpisode", "WatchLine"]

_log = logging.getLogger(__name__)

_SHOWN_EVERY = 1024
"""Frames between two words to the network half on how many were shown: well below its backlog's limit."""


@attrs.define(eq=False)
class ToldEpisode:
    """What was told of one episode, and not shown yet.

    Attributes:
        begun: how it began.
        frames: of each, every seat's encoded action.
        digests: what the players compared, by frame.
        newest: how many frames the player has who shows it.
        over: its end, once that was told.
        left: whether frames that are still told are not wanted any more.
    """

    begun: EpisodeShown
    frames: deque[tuple[bytes, ...]] = attrs.field(factory=deque)
    digests: dict[int, bytes] = attrs.field(factory=dict)
    newest: int = 0
    over: EpisodeOver | None = None
    left: bool = False


class WatchLine:
    """One spectator's line to his network half, which starts at once.

    Attributes:
        match: the match, and who shows it; ``None`` before there is one.
        description: what is played, as the players agreed on it; ``None`` before it was told.
        episodes: those that were told of and not left, oldest first.
        ended: why nothing more will be told; ``None`` while it may.
    """

    def __init__(self, plan: WatchPlan) -> None:
        self._bridge = open_bridge(plan)
        self._shown = self._said = 0
        self._newest: ToldEpisode | None = None
        self.match: WatchedMatch | None = None
        self.description: Mapping[str, Any] | None = None
        self.episodes: deque[ToldEpisode] = deque()
        self.ended: str | None = None

    def drain(self) -> None:
        """Take in what has been told already.

        Raises:
            NetworkError, PeerError: nothing will be told, and why.
        """
        while (told := self._bridge.next(0)) is not None:
            self._take(told[1])

    def wait(self, limit_s: float) -> bool:
        """Take in what is told next, and all that came with it; False if nothing was in the time.

        Raises:
            NetworkError, PeerError: nothing will be told, and why.
        """
        told = self._bridge.next(limit_s) if self.ended is None else None
        if told is None:
            return False
        self._take(told[1])
        self.drain()
        return True

    def shown(self, frames: int) -> None:
        """Note that so many more frames are shown, or not wanted any more."""
        self._shown += frames
        if self._shown >= self._said + _SHOWN_EVERY:
            self._said = self._shown
            self._bridge.command(HasShown(self._shown))

    def leave(self, episode: ToldEpisode) -> None:
        """Want no more frames of an episode; what else is told of it is still taken in. Idempotent."""
        if episode.left:
            return
        episode.left = True
        self.shown(len(episode.frames))
        episode.frames.clear()
        self.episodes.remove(episode)

    def close(self) -> None:
        """Stop the network half. Idempotent."""
        for _, telling in self._bridge.close(Leave("normal")):
            if isinstance(telling, Failed):
                _log.debug("on closing: %s", telling.error)

    def _take(self, telling: Telling) -> None:
        match telling:
            case Watched(found):
                self.match = found
                _log.info("watching %s, shown by %s", found.match_id, found.source)
            case Welcomed(description) if self.description is None:
                self.description = description
            case EpisodeShown():
                self._newest = ToldEpisode(telling)
                self.episodes.append(self._newest)
            case FramesShown() | FrameDigest() | EpisodeOver() if self._newest is not None:
                self._take_of(self._newest, telling)
            case WatchEnded(reason):
                self.ended = reason
            case Failed(error):
                self.ended = "network_failed"
                raise error
            case Stopped() if self.ended is None:
                self.ended = "network_failed"
                raise NetworkError("the network half stopped by itself")

    def _take_of(self, episode: ToldEpisode, telling: FramesShown | FrameDigest | EpisodeOver) -> None:
        match telling:
            case FramesShown(_, start, newest, frames):
                episode.newest = max(newest, start + len(frames))
                if episode.left:
                    self.shown(len(frames))
                else:
                    episode.frames.extend(frames)
            case FrameDigest(_, frame, digest):
                episode.digests[frame] = digest
            case EpisodeOver():
                episode.over = telling
