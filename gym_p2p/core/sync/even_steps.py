"""Even steps in lockstep where the network is slower than the pace. Seconds, passed in.

Two players who wait for each other's input, which takes a time L to arrive, step once in L. Where one gives
it a time d after the other, it waits for an input that is on its way already: its step takes L - d and the
other's L + d, and with the next input it is the other way round. So steps alternate, as long as the match
lasts, in pairs that take 2 L together whatever d is: up to two frames at once, and then none for twice the
time, which a person sees.

Only holding back the input of the one who is ahead takes d away. It costs next to no time: the other one
waits longer by less than that, for it was late.
"""

from __future__ import annotations

__all__ = ["EvenSteps"]

HELD_BACK = 1 / 8
"""Of how much shorter a wait was than the one before, which is 2 d: a quarter of d goes with each step. Twice
as much follows every input that comes a little later than the last one, and slows both players down."""


class EvenSteps:
    """Sees by how much this player was ahead of the others, as of each step."""

    def __init__(self) -> None:
        self._awaited_s = 0.0

    def hold_s(self, awaited_s: float, round_trip_s: float | None) -> float:
        """Note how long the inputs of a step were awaited; return by how much to hold the next input back.

        Args:
            awaited_s: from giving this player's input to the arrival of the last one.
            round_trip_s: to whoever is farthest away. No two steps differ by more for the network's sake, but
                for somebody's who computes; ``None``, where it is not known, holds nothing back.
        """
        shorter_s, self._awaited_s = self._awaited_s - awaited_s, awaited_s
        if round_trip_s is None or shorter_s <= 0:
            return 0.0
        return HELD_BACK * min(shorter_s, round_trip_s)
