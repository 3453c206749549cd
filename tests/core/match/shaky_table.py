"""A table at which everything may break: paths, processes, and the service that passes messages on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tests.core.match.returning_table import Death, MortalPlayer, MortalTable
from tests.core.match.served_table import ServedTable
from tests.core.match.test_reconnecting import Cut

MARGIN_S = 5.0


class ShakyTable(ServedTable, MortalTable):
    """A mortal table whose paths break and are rebuilt, with a service and third players for ways round.

    For who comes back third players alone pass messages on, as in the shells.

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
        super().__init__(players, deaths, match_options={"relay": relay}, **options)
        for cut in cuts:
            self.clock.call_at(cut.at_s, partial(self._cut, cut))
            self.clock.call_at(cut.at_s + cut.for_s, partial(self._mend, cut))
            if cut.rebuilt_s is not None:
                self.clock.call_at(cut.at_s + cut.rebuilt_s, partial(self._rebuild, cut))

    def come_in(self, seat: MortalPlayer) -> None:
        super().come_in(seat)
        limit_s = self.sync.rejoin_timeout_s + MARGIN_S
        self.clock.call_at(self.clock.time() + limit_s, partial(self._give_up, seat))

    def _give_up(self, seat: MortalPlayer) -> None:
        """Let a player who has come back and reached nobody wait no longer, as the user's half does."""
        if seat.catches_up and not seat.past_complete and not seat.dead:
            seat.failed, seat.stopped = "nobody was reached", True

    def _cut(self, cut: Cut) -> None:
        one, other = cut.pair
        self.network.darken(one, other)
        if not cut.one_way:
            self.network.darken(other, one)

    def _mend(self, cut: Cut) -> None:
        for ends in (cut.pair, cut.pair[::-1]):
            self.network.brighten(*ends)

    def _rebuild(self, cut: Cut) -> None:
        for ends in (cut.pair, cut.pair[::-1]):
            self.network._dark.discard(ends)
            self.network._waiting.pop(ends, None)
        if not any(self.seat(player).dead for player in cut.pair):
            self.make_link(*cut.pair)
