"""A table with a service that passes messages on, as the shells have it do that."""

from __future__ import annotations

from collections.abc import Callable

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
    """

    service_there = True
    passed_on = 0
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

    def send(self, _channel: Channel, data: bytes | str) -> bool:
        table = self._table
        if not table.service_there or table.seats[self._here].stopped:
            return False
        assert isinstance(data, bytes)
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
