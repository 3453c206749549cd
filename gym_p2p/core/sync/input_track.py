"""One player's inputs of one episode as a session plays them: those that are known, and guesses beyond them.

Inputs are opaque bytes here, in the order of their frames and without a gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from gym_p2p.core.match.input_buffers import NEVER
from gym_p2p.core.sync.prediction import HISTORY_KEPT, Predictor

__all__ = ["InputTrack", "Misprediction"]


class Misprediction(msgspec.Struct, frozen=True):
    """A frame was played with another input of a player than the real one."""

    frame: int
    player: int
    predicted: bytes
    actual: bytes


class InputTrack:
    """One player's inputs as a session plays them: those that are known, and guesses after them.

    A guess stands until the input of its frame is known, or until :meth:`rewind` takes it back.

    Args:
        default: the input where the player has none.
        predictor: makes the guesses.

    Attributes:
        count: for how many frames the inputs are known.
        wrong: the guesses that were played and found wrong since the last :meth:`rewind`.
    """

    __slots__ = ("_base", "_default", "_end", "_history", "_inputs", "_predictor", "count", "player", "wrong")

    def __init__(self, *, player: int, default: bytes, predictor: Predictor) -> None:
        self.player = player
        self.count = 0
        self.wrong: list[Misprediction] = []
        self._default = default
        self._predictor = predictor
        self._base = 0
        self._inputs: list[bytes] = []  # from frame _base on: known ones up to count, then guesses
        self._history: deque[bytes] = deque(maxlen=HISTORY_KEPT)
        self._end = NEVER

    @property
    def newest(self) -> bytes:
        """The newest known input; the default one before the first."""
        return self._history[-1] if self._history else self._default

    def learn(self, start: int, inputs: Sequence[bytes]) -> None:
        """Take known inputs from frame ``start`` on; those that are known already are skipped."""
        if start > self.count:
            return
        for data in inputs[self.count - start :]:
            self.add(data)

    def add(self, data: bytes) -> None:
        """Take the next known input."""
        if self.count >= self._end:
            return
        self._history.append(data)
        at = self.count - self._base
        if at == len(self._inputs):
            self._inputs.append(data)
        elif self._inputs[at] != data:  # the guess that was played
            self._replace(at, data)
        self.count += 1
        if self.count == self._end:
            self._vacate()

    def end(self, frames: int) -> None:
        """Let there be ``frames`` inputs and no more: after them the input is the default one.

        It takes effect once they are all known, and can be corrected until then. Whatever was guessed of
        the frames after them is wrong then, the default input too: somebody else may act instead.
        """
        if self._end > self.count:
            self._end = max(frames, self.count)
            if self._end == self.count:
                self._vacate()

    def ended_by(self, frame: int) -> bool:
        """Whether the frame is past the last input, and known to be."""
        return self._end <= frame < self.count

    def at(self, frame: int) -> bytes:
        """Return the input of a frame to play: the known one, or a guess.

        Frames are requested in order; only those after the last one requested are guessed anew.
        """
        at = frame - self._base
        if at < len(self._inputs):
            return self._inputs[at]
        if frame < self.count or not self._history:
            guess = self._default
        else:
            guess = self._predictor(self._history, frame - self.count + 1, self._default)
        self._inputs.append(guess)
        return guess

    def span(self, start: int, end: int) -> list[bytes]:
        """Return the inputs of the frames from ``start`` up to ``end``, as :meth:`at` does of one."""
        for frame in range(self._base + len(self._inputs), end):
            self.at(frame)
        return self._inputs[start - self._base : end - self._base]

    def take(self, frame: int) -> bytes:
        """Return the known input of a frame that is played and final at once, and drop it."""
        after = frame + 1 - self._base
        data = self._inputs[after - 1] if after <= len(self._inputs) else self._default
        del self._inputs[:after]
        self._base = frame + 1
        return data

    def known(self, start: int, end: int) -> list[bytes]:
        """Return the known inputs of frames that were played."""
        return self._inputs[start - self._base : end - self._base]

    def rewind(self, frame: int) -> None:
        """Take back the guesses from this frame on, and forget which ones were wrong."""
        del self._inputs[max(frame, self.count) - self._base :]
        self.wrong.clear()

    def forget(self, frame: int) -> None:
        """Drop what is below this frame: it is played and will not be played again."""
        if frame > self._base:
            del self._inputs[: frame - self._base]
            self._base = frame

    def _replace(self, at: int, data: bytes) -> None:
        """Put an input in the place of a guess that was played, which was wrong."""
        guess, self._inputs[at] = self._inputs[at], data
        self.wrong.append(Misprediction(self._base + at, self.player, guess, data))

    def _vacate(self) -> None:
        for at in range(self.count - self._base, len(self._inputs)):
            self._replace(at, self._default)
        self.count = NEVER
