"""Which states of an episode are saved: those that a rollback may want, and those that the caller keeps.

By their frames only: the states themselves are with whoever carries out the requests.
"""

from __future__ import annotations

__all__ = ["SavedStates"]


class SavedStates:
    """The frames whose state is saved.

    Args:
        save_every: frames between two states saved for the sake of guesses.
        save_again_every: the same where frames are played again.
        keep_every: every state whose number is a multiple of this is saved, too; ``None`` for none.

    Attributes:
        frames: those from which something may still be loaded, and the newest; in order.
    """

    __slots__ = ("_save_again_every", "_save_every", "frames", "keep_every")

    def __init__(self, *, save_every: int, save_again_every: int, keep_every: int | None) -> None:
        self._save_every = save_every
        self._save_again_every = save_again_every
        self.keep_every = keep_every
        self.frames: list[int] = []

    def add(self, frame: int, *, guessing: bool, again: bool = False) -> bool:
        """Return whether S(frame) is wanted, which then counts as saved.

        Args:
            frame: the one to be played, whose state is not saved yet.
            guessing: whether an input of it is a guess, so that a rollback may want its state.
            again: whether it is played again.
        """
        frames = self.frames
        newest = frames[-1] if frames else None
        every = self._save_again_every if again else self._save_every
        for_guess = guessing and (newest is None or newest + every <= frame)
        if not for_guess and (self.keep_every is None or frame % self.keep_every):
            return False
        frames.append(frame)
        return True

    def back_to(self, frame: int) -> int:
        """Return the newest state that is at most S(frame), to be loaded; forget those after it."""
        frames = self.frames
        while frames[-1] > frame:
            frames.pop()
        return frames[-1]

    def drop(self, final: int) -> None:
        """Drop the states that nothing is loaded from any more, with so many frames final."""
        frames = self.frames
        while len(frames) > 1 and frames[1] <= final:
            frames.pop(0)
