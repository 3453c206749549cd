"""How a peer's clock stood to this player's, over time.

Peers measure the offset of their monotonic clocks, which begin anywhere. Each says in the handshake how its
Unix clock stands to its monotonic one, so that here stands the offset of Unix clocks: a frame's time at the
one player plus the offset is its time on the other's clock.

It knows estimates; it refuses to know how they come about, and what time it is.
"""

from __future__ import annotations

import attrs

from gym_p2p.core.latency.clock import ClockEstimate
from gym_p2p.core.latency.statistics import Milliseconds
from gym_p2p.core.record.parts import DocumentPart

__all__ = ["ClockOffsetAt", "ClockTrack", "clock_base_of"]

_EVERY_MS = 60_000
"""How long an offset that does not change stands for itself."""

_STEP_MS = 0.1
"""Less than this is no change: times of frames are whole milliseconds. Both are rounded to it."""

_MAX_BASE_MS = 2.0**53
"""Beyond it there are no whole milliseconds in a float."""


class ClockOffsetAt(DocumentPart, frozen=True):
    """How far a peer's clock was ahead, from a moment on."""

    timestamp: int
    """The moment, on this player's clock, in Unix milliseconds."""
    offset_ms: float
    """The peer's Unix clock minus this player's, in milliseconds; negative where theirs is behind."""
    bound_ms: Milliseconds
    """The truth is within so many milliseconds of it: half the round trip, plus the drift since."""


@attrs.define(eq=False)
class ClockTrack:
    """The offsets of one peer's clock: a new one where it changed, or a minute after the one before.

    Attributes:
        base_ms: the peer's Unix minus monotonic time, less the local player's; ``None`` while unknown.
        offsets: grows only.
    """

    base_ms: float | None = None
    offsets: list[ClockOffsetAt] = attrs.field(factory=list, init=False)

    def observe(self, now_ms: int, estimate: ClockEstimate | None) -> None:
        """Take an estimate; without one, or a base, nothing is known.

        Args:
            now_ms: Unix milliseconds.
            estimate: of the offset between monotonic clocks.
        """
        if estimate is None or self.base_ms is None:
            return
        offset_ms = round(estimate.offset_s * 1e3 + self.base_ms, 1)
        bound_ms = round(estimate.error_s * 1e3, 1)
        if self.offsets:
            last = self.offsets[-1]
            moved = max(abs(offset_ms - last.offset_ms), abs(bound_ms - last.bound_ms))
            if moved <= _STEP_MS and now_ms < last.timestamp + _EVERY_MS:
                return
        self.offsets.append(ClockOffsetAt(now_ms, offset_ms, bound_ms))


def clock_base_of(theirs: object, ours: float) -> float | None:
    """Return a track's base by what a peer says of its clock; ``None`` where that is no such number."""
    if isinstance(theirs, bool) or not isinstance(theirs, int | float):
        return None
    return theirs - ours if abs(theirs) <= _MAX_BASE_MS else None  # a whole number may be beyond every float
