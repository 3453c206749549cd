"""What is remembered of pairs of subjects, whether or not they are in a queue.

Each pair has one name, whichever of the two is mentioned first. It refuses to know queues and rules.
"""

from __future__ import annotations

import math

import attrs

from gym_p2p.core.probing.outcome import ProbeOutcome

__all__ = ["Pair", "PairMemory", "PairNote", "pair_of"]

Pair = tuple[str, str]
"""Two subject ids in order, so that a pair has one name."""


def pair_of(a: str, b: str) -> Pair:
    """Return the name of the pair of these two."""
    return (a, b) if a < b else (b, a)


@attrs.define(eq=False)
class PairNote:
    """What is remembered of a pair."""

    touched_at: float
    put_off_until: float = -math.inf
    measured: ProbeOutcome | None = None
    """The last probe that found a round trip."""
    measured_at: float = -math.inf
    measured_relay: bool = False
    failed: bool = False
    """The last probe found no way."""
    relay_tried: bool = False


class PairMemory:
    """Notes on pairs, each kept for ``keep_s`` after it was last written to."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._notes: dict[Pair, PairNote] = {}  # in the order of touched_at

    def __len__(self) -> int:
        return len(self._notes)

    def get(self, a: str, b: str) -> PairNote | None:
        """Return what is remembered of a pair, or ``None``."""
        return self._notes.get((a, b) if a < b else (b, a))

    def touch(self, pair: Pair, now: float) -> PairNote:
        """Return the note of a pair to write to, a new one if there is none; forget what is too old."""
        while self._notes:
            oldest = next(iter(self._notes))
            if now < self._notes[oldest].touched_at + self._keep_s:
                break
            del self._notes[oldest]
        note = self._notes.pop(pair, None) or PairNote(now)
        note.touched_at = now
        self._notes[pair] = note
        return note
