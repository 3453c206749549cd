"""In which frames of an episode somebody else acted for a player.

Knows frames and who acted (:class:`~gym_p2p.core.wire.acting.ActedBy`); refuses to know inputs.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import groupby

__all__ = ["ActedFrames"]


class ActedFrames:
    """One player's frames of one episode in which others acted for them; kept as runs."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._runs: list[tuple[int, int]] = []
        """Of each run the frame after its last, and who acted."""

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __len__(self) -> int:
        """Return how many runs there are."""
        return len(self._starts)

    def add(self, start: int, actors: bytes) -> None:
        """Take who acted in the frames from ``start`` on, which are later than all before; empty: nobody."""
        for actor, run in groupby(actors):
            end = start + len(list(run))
            if actor:
                self._add(start, end, actor)
            start = end

    def _add(self, start: int, end: int, actor: int) -> None:
        if self._runs and self._runs[-1] == (start, actor):
            self._runs[-1] = end, actor
        else:
            self._starts.append(start)
            self._runs.append((end, actor))

    def at(self, frame: int) -> int:
        """Return who acted in a frame; 0 is the player."""
        run = bisect_right(self._starts, frame) - 1
        if run < 0:
            return 0
        end, actor = self._runs[run]
        return actor if frame < end else 0

    def between(self, start: int, end: int) -> bytes:
        """Return who acted in the frames from ``start`` up to ``end``; empty where it was the player in all.

        Takes time by how many runs there are, beside the bytes.
        """
        actors = bytearray(end - start)
        for first, (last, actor) in zip(self._starts, self._runs, strict=True):
            if first < end and start < last:
                low, high = max(first, start) - start, min(last, end) - start
                actors[low:high] = bytes([actor]) * (high - low)
        return bytes(actors) if any(actors) else b""

    def since(self, end: int) -> int:
        """Return from which frame on others acted in all frames up to ``end``; ``end`` where they did not."""
        for first, (last, _) in zip(reversed(self._starts), reversed(self._runs), strict=True):
            if last != end:
                break
            end = first
        return end
