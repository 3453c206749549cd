"""A table with a service that passes messages on, as the shells have it do that."""

from __future__ import annotations

from collections.abc import Callable

from gym_p2p.core.api.relaying import BYTES_BURST, BYTES_PER_S, MESSAGES_BURST, MESSAGES_PER_S
from gym_p2p.core.link.relay_budget import RelayBudget
from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.links.transport import LinkState
from tests.core.tables import Table

SERVICE_ONE_WAY_S = 0.02


class ServedTable(Table):
    """Players who have a service between them.

    Attributes:
        service_there: whether it is.
        passed_on: how many messages.
        loses: says which ones it loses.
        refused: how many were more than a player may have passed on, where that is limited.
    """

    service_there = True
    passed_on = 0
    refused = 0
    _budgets: dict[int, RelayBudget] | None = None
    loses: Callable[[bytes], bool] | None = None

    def connect(self) -> None:
        for seat in self.seats:
            self.reach_by_service(seat.index)
        super().connect()

    def reach_by_service(self, here: int) -> None:
        """Let a player have the service pass messages on."""
        driver = self.seats[here].driver
        for there in range(self.players):
            if there != here:
                driver.service_link(there, _ByService(self, here, there))
        driver.service_up(up=self.service_there)

    def limit_service(self) -> None:
        """Let it pass on no more of each player than a real one does."""
        self._budgets = {}

    def is_within_budget(self, here: int, channel: Channel, data: bytes) -> bool:
        """Whether a player may have this passed on, which is taken off then; else a link does not send it."""
        if self._budgets is None:
            return True
        fresh = RelayBudget(
            messages_per_s=MESSAGES_PER_S,
            messages_burst=MESSAGES_BURST,
            size_per_s=BYTES_PER_S,
            size_burst=BYTES_BURST,
        )
        budget, size_chars = self._budgets.setdefault(here, fresh), -(-len(data) // 3) * 4
        within = budget.takes(size_chars, self.clock.time(), may_be_lost=channel is Channel.GAME)
        self.refused += not within
        return within

    def set_service(self, *, there: bool) -> None:
        self.service_there = there
        for seat in self.seats:
            if not seat.stopped:
                seat.driver.service_up(up=there)


class _ByService:
    """One end of what the service passes on: in order, and lost while it is away."""

    binding = b""
    state = LinkState.OPEN

    def __init__(self, table: ServedTable, here: int, there: int) -> None:
        self._table, self._here, self._there = table, here, there

    def send(self, channel: Channel, data: bytes | str) -> bool:
        table = self._table
        if not table.service_there or table.seats[self._here].stopped:
            return False
        assert isinstance(data, bytes)
        if not table.is_within_budget(self._here, channel, data):
            return False
        table.passed_on += 1
        if table.loses is not None and table.loses(data):
            return True
        there = table.seats[self._there]
        table.clock.call_at(
            table.clock.time() + SERVICE_ONE_WAY_S,
            lambda: None if there.stopped else there.driver.service_message(self._here, data),
        )
        return True

    async def close(self) -> None: ...
