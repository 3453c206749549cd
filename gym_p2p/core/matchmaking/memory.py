"""What is remembered of subjects and of pairs of them, whether or not they are in a queue.

Each pair has one name, whichever of the two is mentioned first, and every memory has a bound. It knows
subjects by their ids; it refuses to know tickets and rules.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Sequence

import attrs

from gym_p2p.core.probing.outcome import ProbeOutcome

__all__ = [
    "PLACE_KEPT_S",
    "KeptPlaces",
    "Pair",
    "PairMemory",
    "PairNote",
    "Partners",
    "RunningLatency",
    "pair_of",
]

PLACE_KEPT_S = 30.0
"""For so long after their line broke somebody can come back to their place."""
_SUBJECTS = 10_000
"""Beyond it those whose last match is longest ago are forgotten."""
_PARTNERS = 16
"""Of one subject, the most recent ones."""
_PAIRS = 10_000

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
    trusted_until: float = -math.inf
    """Until then that measurement is as good as a new one."""
    measured_relay: bool = False
    failed: bool = False
    """The last probe found no way."""
    relay_tried: bool = False

    def trusted(self, now: float) -> ProbeOutcome | None:
        """Return the measurement that makes another probe superfluous; ``None``: there is none."""
        return self.measured if now < self.trusted_until else None


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


class Partners:
    """Former partners, by subject."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, deque[str]] = OrderedDict()

    def played(self, subjects: Sequence[str]) -> None:
        """Note that these have been matched."""
        for subject in subjects:
            partners = self._of.setdefault(subject, deque(maxlen=_PARTNERS))
            partners.extend(other for other in subjects if other != subject)
            self._of.move_to_end(subject)
        while len(self._of) > _SUBJECTS:
            self._of.popitem(last=False)

    def of(self, subject_id: str) -> tuple[str, ...]:
        """Return a subject's former partners, the most recent last."""
        return tuple(self._of.get(subject_id, ()))


class RunningLatency:
    """What the players of running matches report of the round trip between them; one report alone is none."""

    def __init__(self) -> None:
        self._reported: OrderedDict[Pair, dict[str, float]] = OrderedDict()

    def report(self, reporter: str, partner: str, rtt_ms: float) -> float | None:
        """Take one side's figure; return the pair's, the larger of both, once both have reported."""
        pair = pair_of(reporter, partner)
        reported = self._reported.setdefault(pair, {})
        reported[reporter] = rtt_ms
        self._reported.move_to_end(pair)
        if len(self._reported) > _PAIRS:
            self._reported.popitem(last=False)
        if len(reported) < 2:
            return None
        del self._reported[pair]
        return max(reported.values())


class KeptPlaces:
    """Since when those have waited whose line broke, for as long as they can come back."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], tuple[float, float]] = {}  # since when, and kept until

    def keep(self, subject_id: str, queue: str, since: float, now: float) -> None:
        """Keep a place from now on."""
        self._places[(subject_id, queue)] = (since, now + PLACE_KEPT_S)

    def take(self, subject_id: str, queue: str) -> float | None:
        """Return since when somebody has waited in a queue who comes back; ``None``: no place is kept."""
        since, _until = self._places.pop((subject_id, queue), (None, None))
        return since

    def handle_timeout(self, now: float) -> None:
        """Give up the places that nobody came back to in time."""
        self._places = {key: place for key, place in self._places.items() if now < place[1]}

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        return min([until for _since, until in self._places.values()]) if self._places else None
