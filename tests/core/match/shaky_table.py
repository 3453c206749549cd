"""A table at which everything may break: paths, processes, and the service that passes messages on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.core.match.cut_table import Cut
from tests.core.match.returning_table import Death, MortalPlayer, MortalTable
from tests.core.match.served_table import ServedTable

ROUND_AFTER_S = 1.0
"""From who comes back being there to looking for ways round to those whom no link leads to."""


class ShakyTable(ServedTable, MortalTable):
    """A mortal table whose paths break and are rebuilt, with a service and third players for ways round.

    Args:
        cuts: of whoever these players are by then.
        relay: who may pass messages on.
    """

    def __init__(
        self,
        players: int,
        cuts: Sequence[Cut] = (),
        deaths: Sequence[Death] = (),
        *,
        relay: str = "service",
        **options: Any,
    ) -> None:
        super().__init__(players, deaths, cuts, match_options={"relay": relay}, **options)

    def come_in(self, seat: MortalPlayer) -> None:
        self.seats[seat.index] = seat
        self.reach_by_service(seat.index)
        super().come_in(seat)
        for there in range(self.players):
            if there != seat.index:
                seat.driver.look_for(there, after_s=ROUND_AFTER_S)
