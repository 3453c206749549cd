"""What a player hands to the network half for spectators: each confirmed frame, as it becomes final.

One of the sinks of :mod:`gym_p2p.play.played_match`. Knows outcomes and their digests; refuses to
know who watches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gym_p2p.core.spectating.log import ShowFrame, Shown
from gym_p2p.core.spectating.messages import EpisodeOver, EpisodeShown, FrameDigest
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.outcome import Outcome

__all__ = ["Broadcast"]


class Broadcast:
    """Shows one match; a :class:`~gym_p2p.play.played_match.EpisodeSink`.

    Args:
        snapshots: the name of the strategy by which the players save the states that they compare; ``None``
            where they compare none.
    """

    def __init__(self, command: Callable[[Shown], None], *, snapshots: str | None) -> None:
        self._command = command
        self._snapshots = snapshots
        self._episode = 0
        self._frames = 0
        self._running = False

    def begin_episode(self, seed: int, options: Mapping[str, Any] | None, first_outcome: Outcome) -> None:
        """Show the beginning of an episode; one that still runs has no more frames."""
        self.end_episode(completed=False)
        self._episode += 1
        self._frames, self._running = 0, True
        digest = OutcomeChecksum(len(first_outcome.rewards)).digest(first_outcome)
        self._command(
            EpisodeShown(
                self._episode, seed, JsonObject(dict(options or {})), bytes.fromhex(digest), self._snapshots
            )
        )

    def frame(self, by_seat: Sequence[bytes], outcome: Outcome) -> None:  # noqa: ARG002 - spectators have their own
        """Show the next frame."""
        self._frames += 1
        self._command(ShowFrame(tuple(by_seat)))

    def checksum(self, frame: int, digest: str) -> None:
        """Let the digest of a frame be compared."""
        self._command(FrameDigest(self._episode, frame, bytes.fromhex(digest)))

    def end_episode(self, *, completed: bool) -> None:
        """Show the end of the running episode, if there is one."""
        if self._running:
            self._running = False
            self._command(EpisodeOver(self._episode, self._frames, completed=completed))
