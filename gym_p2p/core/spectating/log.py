"""What a player has to show of a match: the confirmed frames of its newest episodes, encoded once for all.

Knows episodes and sizes; refuses to know who is shown what. Frames stand as they travel; what is too old to
be kept is forgotten from its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from gym_p2p.core.spectating.messages import EpisodeOver, EpisodeShown, FrameDigest, Standing, encode_frame

__all__ = ["BroadcastLog", "LoggedEpisode", "ShowFrame", "Shown", "Told"]

MAX_LOG_BYTES = 64 * 2**20
"""Hours of ordinary play; beyond it those who come late wait for the next episode."""

_OBJECT_BYTES = 64
"""What a short ``bytes`` object, or a digest, and its place in a list take beside its contents (CPython)."""

_EPISODES_KEPT = 2
"""The running one, and the one before for those who are about to see its end."""


@attrs.frozen
class ShowFrame:
    """Command: the next frame is final; every seat's encoded action."""

    by_seat: tuple[bytes, ...]


Shown = EpisodeShown | ShowFrame | FrameDigest | EpisodeOver
"""What is kept of a match."""
Told = Shown | Standing
"""All that a player tells; for whom the match stands is of the moment."""


@attrs.define(eq=False)
class LoggedEpisode:
    """One episode.

    Attributes:
        begun: how it began.
        base: the number of the first frame that is still kept.
        frames: the encoded frames from there on.
        digests: what was compared, in the order in which it became known; the oldest may be forgotten.
        completed: whether the environment ended it; ``None`` while it runs.
    """

    begun: EpisodeShown
    base: int = 0
    frames: list[bytes] = attrs.field(factory=list)
    digests: list[FrameDigest] = attrs.field(factory=list)
    completed: bool | None = None
    size_bytes: int = 0
    _digests_gone: int = 0

    @property
    def number(self) -> int:
        """The episode's number."""
        return self.begun.episode

    @property
    def count(self) -> int:
        """How many frames it has so far."""
        return self.base + len(self.frames)

    @property
    def digest_count(self) -> int:
        """How many digests there were so far."""
        return self._digests_gone + len(self.digests)

    def digest(self, index: int) -> FrameDigest:
        """Return a digest, or the oldest one that is still kept."""
        return self.digests[max(0, index - self._digests_gone)]

    def digests_from(self, frame: int) -> int:
        """Return the index of the first kept digest of this frame or a later one."""
        later = (i for i, digest in enumerate(self.digests) if digest.frame >= frame)
        return self._digests_gone + next(later, len(self.digests))

    def add(self, by_seat: Sequence[bytes]) -> int:
        """Take in the next frame; return what it takes."""
        data = encode_frame(by_seat)
        self.frames.append(data)
        size = len(data) + _OBJECT_BYTES
        self.size_bytes += size
        return size

    def piece(self, start: int, limit_bytes: int) -> list[bytes]:
        """Return frames from ``start`` on, as many as fit; one at least, if there is one."""
        taken: list[bytes] = []
        at, left = start - self.base, limit_bytes
        while at < len(self.frames) and (not taken or len(self.frames[at]) <= left):
            left -= len(self.frames[at])
            taken.append(self.frames[at])
            at += 1
        return taken

    def forget_half(self) -> None:
        """Forget the older half of the frames."""
        gone = (len(self.frames) + 1) // 2
        self.base += gone
        del self.frames[:gone]
        kept = [digest for digest in self.digests if digest.frame >= self.base]
        self._digests_gone += len(self.digests) - len(kept)
        self.digests = kept
        self.size_bytes = sum(map(len, self.frames)) + _OBJECT_BYTES * (len(self.frames) + len(self.digests))


class BroadcastLog:
    """The newest episodes of a match."""

    def __init__(self, max_bytes: int = MAX_LOG_BYTES) -> None:
        self._max_bytes = max_bytes
        self._episodes: list[LoggedEpisode] = []
        self._size_bytes = 0

    @property
    def newest(self) -> LoggedEpisode | None:
        """The newest episode, which may be over; ``None`` before the first."""
        return self._episodes[-1] if self._episodes else None

    def first_from(self, number: int) -> LoggedEpisode | None:
        """Return the first kept episode that has this number or a higher one."""
        return next((episode for episode in self._episodes if episode.number >= number), None)

    def keeps(self, episode: LoggedEpisode, frame: int) -> bool:
        """Whether an episode is still there from this frame on."""
        return episode in self._episodes and episode.base <= frame

    def take(self, shown: Shown, watched_from: int | None) -> None:
        """Take in what became final.

        Args:
            shown: what it is; frames and digests without an episode are ignored.
            watched_from: the number of the oldest episode that somebody is in the middle of, if any.
        """
        running = self.newest
        if isinstance(shown, EpisodeShown):
            if running is not None and running.completed is None:
                running.completed = False
            self._episodes.append(LoggedEpisode(shown))
            self._forget(watched_from)
        elif running is None or running.completed is not None:
            return
        elif isinstance(shown, ShowFrame):
            self._size_bytes += running.add(shown.by_seat)
            if self._size_bytes > self._max_bytes:
                self._shrink()
        elif isinstance(shown, FrameDigest):
            running.digests.append(shown)
            running.size_bytes += _OBJECT_BYTES
            self._size_bytes += _OBJECT_BYTES
        else:
            running.completed = shown.completed

    def _forget(self, watched_from: int | None) -> None:
        """Forget old episodes that nobody is in the middle of."""
        while len(self._episodes) > _EPISODES_KEPT and self._episodes[0].number != watched_from:
            self._drop_oldest()

    def _shrink(self) -> None:
        while len(self._episodes) > 1 and self._size_bytes > self._max_bytes:
            self._drop_oldest()
        if self._size_bytes > self._max_bytes:
            self._episodes[0].forget_half()
            self._size_bytes = self._episodes[0].size_bytes

    def _drop_oldest(self) -> None:
        self._size_bytes -= self._episodes.pop(0).size_bytes
