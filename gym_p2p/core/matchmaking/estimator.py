"""What the round trip between two subjects will probably be, before anybody has measured it.

The sources, best first, as :class:`Source` lists them:

1. a measurement of this very pair that is at most ten minutes old;
2. landmarks: both have measured their round trips to the same few servers; the way between the two is no
   longer than the shortest one over one or two of those servers, no shorter than the difference of both ways
   to any of them, and the middle is nearer to the truth than either;
3. network coordinates (:mod:`gym_p2p.core.matchmaking.coordinates`), learnt from every finished probe and
   from matches;
4. nothing: the estimate is unknown, which is ``None`` and no number.

The round trips of two subjects to *one* server are never added up: everybody is far from a server on another
continent, and two neighbours there are not far from each other. Fewer than three landmarks are no estimate.

It knows subjects by their ids and time as an argument. It refuses to know queues, thresholds and probes. Its
memory is bounded: what has not been used for longest is forgotten first.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from operator import add, sub

import attrs

from gym_p2p.core.api.payloads import MAX_RTT_MS
from gym_p2p.core.matchmaking.coordinates import Coordinate, approach, newcomer
from gym_p2p.core.matchmaking.memory import Pair, pair_of

__all__ = ["UNKNOWN", "Estimate", "LatencyEstimator", "Source"]

_MIN_LANDMARKS = 3
"""With one, the bound is the sum of two server round trips; from three on it begins to know where one is."""

_USABLE_ERROR = 0.4
"""Coordinates that are less sure of themselves depend more on where a subject started than on where it
is."""


class Source(enum.StrEnum):
    """Where an estimate came from."""

    MEASURED = "measured"
    LANDMARKS = "landmarks"
    COORDINATES = "coordinates"
    UNKNOWN = "unknown"


@attrs.frozen
class Estimate:
    """A guess at the round trip between two subjects.

    Attributes:
        rtt_ms: the guess; ``None`` if there is nothing to guess from.
        source: what it is made of.
        exact: measured so recently that the pair may be decided upon without another probe.
    """

    rtt_ms: float | None
    source: Source
    exact: bool = False


UNKNOWN = Estimate(None, Source.UNKNOWN)


class LatencyEstimator:
    """Everything known about how far subjects are from each other.

    Args:
        landmarks: the names of the servers to which subjects measure their round trips.
        between_ms: round trips between two landmarks, where known; either order, each pair once. Without
            them a way leads over one landmark only, which overestimates between regions.
        pair_ttl_s: how long a measurement of a pair counts. Ten minutes: people stay on their network for
            longer, and routes change more slowly.
        max_entries: how many subjects, and how many pairs, are remembered.
    """

    def __init__(
        self,
        *,
        landmarks: Sequence[str] = (),
        between_ms: Mapping[tuple[str, str], float] | None = None,
        pair_ttl_s: float = 600.0,
        max_entries: int = 100_000,
    ) -> None:
        self._landmarks = tuple(landmarks)
        self._between = _matrix(self._landmarks, between_ms or {})
        self._pair_ttl_s = pair_ttl_s
        self._max_entries = max_entries
        self._pairs: dict[Pair, tuple[float, float]] = {}  # to round trip and time
        self._direct: dict[str, tuple[float, ...]] = {}  # subject to its round trips, one a landmark
        self._reach: dict[str, tuple[float, ...]] = {}  # the same over at most one other landmark
        self._partial: set[str] = set()  # who has not reached every landmark
        self._computed: dict[Pair, Estimate] = {}  # from landmarks, until one moves
        self._coordinates: dict[str, Coordinate] = {}

    def place(self, subject_id: str, landmarks: Mapping[str, float]) -> None:
        """Take a subject's round trips to the landmarks, in milliseconds; a later call replaces them.

        Unknown names and values that cannot be a round trip are ignored; so is everything when fewer than
        three remain.
        """
        direct = tuple(_usable(landmarks.get(name)) for name in self._landmarks)
        if sum(map(math.isfinite, direct)) < _MIN_LANDMARKS:
            return
        if self._direct.pop(subject_id, direct) != direct:
            self._computed.clear()
        self._direct[subject_id] = direct
        self._partial.discard(subject_id)
        if math.inf in direct:
            self._partial.add(subject_id)
        self._reach[subject_id] = tuple(min(map(add, direct, row)) for row in self._between)
        if len(self._direct) > self._max_entries:
            oldest = next(iter(self._direct))
            del self._direct[oldest], self._reach[oldest]
            self._partial.discard(oldest)

    def observe(self, subject_a: str, subject_b: str, rtt_ms: float, now: float) -> None:
        """Learn from a measured round trip between two subjects: a finished probe, or a match's median.

        A value that cannot be a round trip is ignored.
        """
        if not 0 <= rtt_ms <= MAX_RTT_MS or subject_a == subject_b:
            return
        pair = pair_of(subject_a, subject_b)
        self._pairs.pop(pair, None)
        self._pairs[pair] = (rtt_ms, now)
        if len(self._pairs) > self._max_entries:
            del self._pairs[next(iter(self._pairs))]
        a = self._coordinates.pop(subject_a, None) or newcomer(subject_a)
        b = self._coordinates.pop(subject_b, None) or newcomer(subject_b)
        self._coordinates[subject_a] = approach(a, b, rtt_ms)
        self._coordinates[subject_b] = approach(b, a, rtt_ms)
        while len(self._coordinates) > self._max_entries:
            del self._coordinates[next(iter(self._coordinates))]

    def estimate(self, subject_a: str, subject_b: str, now: float) -> Estimate:
        """Return the best estimate at hand; :data:`UNKNOWN` if there is none."""
        pair = (subject_a, subject_b) if subject_a < subject_b else (subject_b, subject_a)
        measured = self._pairs.get(pair)
        if measured is not None and now <= measured[1] + self._pair_ttl_s:
            return Estimate(measured[0], Source.MEASURED)
        estimate = self._computed.get(pair)
        if estimate is None and subject_a in self._direct and subject_b in self._direct:
            estimate = self._over_landmarks(subject_a, subject_b)
        if estimate is not None:
            return estimate
        a, b = self._coordinates.get(subject_a), self._coordinates.get(subject_b)
        if a is not None and b is not None and max(a.error, b.error) <= _USABLE_ERROR:
            return Estimate(a.distance_ms(b), Source.COORDINATES)
        return UNKNOWN

    def _over_landmarks(self, subject_a: str, subject_b: str) -> Estimate | None:
        """Return the middle between what the triangle inequality allows at most and at least."""
        a, b = self._direct[subject_a], self._direct[subject_b]
        at_most_ms: float = min(map(add, self._reach[subject_a], b))
        if subject_a in self._partial or subject_b in self._partial:
            both = [(x, y) for x, y in zip(a, b, strict=True) if x < math.inf > y]
            at_least_ms: float = max((abs(x - y) for x, y in both), default=0.0)
        else:
            at_least_ms = max(map(abs, map(sub, a, b)))
        middle_ms = (at_most_ms + at_least_ms) / 2
        if not math.isfinite(middle_ms):
            return None
        if len(self._computed) >= self._max_entries:
            self._computed.clear()
        estimate = self._computed[pair_of(subject_a, subject_b)] = Estimate(middle_ms, Source.LANDMARKS)
        return estimate


def _usable(rtt_ms: float | None) -> float:
    return rtt_ms if rtt_ms is not None and 0 <= rtt_ms <= MAX_RTT_MS else math.inf


def _matrix(names: Sequence[str], between_ms: Mapping[tuple[str, str], float]) -> list[tuple[float, ...]]:
    """Return one row a landmark: its round trips to every landmark, infinite where unknown."""
    known = {(name, name): 0.0 for name in names}
    for (one, other), rtt_ms in between_ms.items():
        known[one, other] = known[other, one] = _usable(rtt_ms)
    return [tuple(known.get((one, other), math.inf) for other in names) for one in names]
