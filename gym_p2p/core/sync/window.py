"""How far beyond the known inputs may be played, and for whose inputs it is waited there."""

from __future__ import annotations

from collections.abc import Sequence

from gym_p2p.core.sync.input_track import InputTrack

__all__ = ["Window"]


class Window:
    """How many frames beyond the known inputs are played on guesses.

    The inputs of a player's delayed frames are the default ones, so that waiting for them would be in vain:
    they count as known. Not in lockstep: there a frame is final as it is played, and all inputs of it come.

    Args:
        tracks: every player's inputs.
        size: how many frames; 0 is lockstep.
        delays: every player's input delay as the episode began; ``None`` if unknown.
    """

    __slots__ = ("_assured", "_tracks", "size")

    def __init__(self, tracks: Sequence[InputTrack], *, size: int, delays: Sequence[int] | None) -> None:
        self._tracks = tracks
        self.size = size
        self._assured = tuple(delays or [0] * len(tracks)) if size else (0,) * len(tracks)

    def reaches(self, frame: int, known: int) -> bool:
        """Whether a frame may be played, with so many frames of everybody known.

        It may if all inputs of the frame ``size`` before it are known.
        """
        lowest = frame - self.size
        if lowest < known:
            return True
        if lowest >= max(self._assured):
            return False
        return not self.missing(frame)

    def missing(self, frame: int) -> tuple[int, ...]:
        """Return the players for want of whose inputs a frame may not be played."""
        lowest = frame - self.size
        return tuple(
            [
                track.player
                for track, delay in zip(self._tracks, self._assured, strict=True)
                if max(track.count, delay) <= lowest
            ]
        )
