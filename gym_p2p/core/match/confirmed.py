"""For how many frames everybody who plays on holds every player's input.

It is the least entry of a matrix of counts: a row for each player who plays on (who reports), a column for
each player (whose inputs). The column of a player of whom there are no more inputs does not count once it is
complete, for nobody waits for more of theirs than there is.

Rows only grow while the same play on, and so does the least of each. The least of all is looked for again
only when a row that had it has grown: at any other time it is what it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress

from gym_p2p.core.match.input_buffers import NEVER

__all__ = ["Confirmed"]


class Confirmed:
    """The least entry of the matrix, of which it keeps each row's least.

    Attributes:
        count: for so many frames everybody holds everything.
    """

    def __init__(self, players: int) -> None:
        self.count = 0
        self._counted = [True] * players
        self._least: dict[int, int] = {}

    def look(self, rows: Mapping[int, Sequence[int]], finals: Mapping[int, int]) -> bool:
        """Look at the whole matrix: to be done when others play on than before, or an end is known.

        Args:
            rows: of each player who plays on, how many inputs of every player they hold.
            finals: how many inputs there are of those who give no more.

        Returns:
            Whether all those columns are complete. Until they are it has to be looked at again.
        """
        least = map(min, zip(*rows.values(), strict=True))
        self._counted = [count < finals.get(player, NEVER) for player, count in enumerate(least)]
        self._least = {
            player: min(compress(row, self._counted), default=NEVER) for player, row in rows.items()
        }
        self.count = min(self._least.values())
        return not any(self._counted[player] for player in finals)

    def report(self, player: int, counts: Sequence[int]) -> None:
        """Take a player's row, which has grown. Who does not play on is not listened to."""
        before = self._least.get(player)
        if before is None:
            return
        self._least[player] = min(compress(counts, self._counted), default=NEVER)
        if before == self.count:
            self.count = min(self._least.values())
