"""Even steps in lockstep where the network is slower than the pace. Seconds, passed in.

Two players who wait for each other's input, which takes a time L to arrive, step once in L. Where one gives
it a time d after the other, it waits for an input that is on its way already: its step takes L - d and the
other's L + d, and with the next input it is the other way round. So steps alternate, as long as the match
lasts, in pairs that take 2 L together whatever d is: up to two frames at once, and then none for twice the
time, which a person sees.

Only holding back the input of the one who is ahead takes d away. It costs little time, for the other one was
late: nothing where all messages take equally long, and up to three in a hundred where they do not.

Of three or more, who wait for the latest of several, steps are nearly even by themselves. With an input delay
steps are evened in the same way, by what each of them waits.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["EvenSteps"]

HELD_BACK = 1 / 8
"""Of how much shorter a wait was than the one before, which is 2 d: a quarter of d goes with each step. Twice
as much follows every input that comes a little later than the last one, and slows both players down."""

LONGEST_TRIP_S = 1.0
"""No round trip of a path that is played over is longer: what says so comes of a silence, or is made up."""


class EvenSteps:
    """Sees by how much this player was ahead of the others, as of each step."""

    def __init__(self) -> None:
        self._awaited_s = 0.0

    def hold_s(self, awaited_s: float, round_trip_s: Callable[[], float | None]) -> float:
        """Note how long the inputs of a step were awaited; return by how much to hold the next input back.

        Args:
            awaited_s: how long this step has waited for the others' inputs.
            round_trip_s: returns the one to whoever is farthest away. Two steps that differ by more do so for
                somebody who computes, or a path that breaks. ``None`` (not known) holds nothing back.
        """
        shorter_s, self._awaited_s = self._awaited_s - awaited_s, awaited_s
        trip_s = round_trip_s() if shorter_s > 0 else None
        return 0.0 if trip_s is None else HELD_BACK * min(shorter_s, trip_s, LONGEST_TRIP_S)
