"""The first connection to a player, and the service beside it: whichever carries first begins the match."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gym_p2p.errors import ConnectFailed, PeerLost
from gym_p2p.net.worker import opening
from gym_p2p.net.worker.opening import Opening
from tests.net.virtual_time import on_virtual_time

FAILED = ConnectFailed("the connection", waited_s=1.0, seen="nothing", advice="none")
CONNECTION: Any = object()


class Connecting:
    """Stands in for a connector that opens, or fails, after a while."""

    server_failures = ""

    def __init__(self, after_s: float, outcome: Any) -> None:
        self._after_s = after_s
        self._outcome = outcome
        self.cancelled = False

    async def connect(self) -> Any:
        try:
            await asyncio.sleep(self._after_s)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("SERVICE_AFTER_S", 0.05), ("_ANSWER_LIMIT_S", 0.2), ("_DEPARTED_GRACE_S", 0.1)):
        monkeypatch.setattr(opening, name, seconds)


def run(
    after_s: float, outcome: Any, work: Callable[[Opening, Connecting, list[str]], Awaitable[None]]
) -> None:
    async def whole(_loop: object) -> None:
        connector, asked = Connecting(after_s, outcome), list[str]()
        one = Opening("left", connector)  # type: ignore[arg-type]  # all it uses
        await work(one, connector, asked)
        await one.close()

    on_virtual_time(whole)


def test_a_connection_that_is_there_soon_asks_the_service_for_nothing() -> None:
    async def work(one: Opening, _connector: Connecting, asked: list[str]) -> None:
        assert await one.first(lambda: asked.append("service")) is CONNECTION
        assert asked == []

    run(0.0, CONNECTION, work)


@pytest.mark.parametrize(("after_s", "outcome"), [(5.0, CONNECTION), (0.0, FAILED)])
def test_the_service_begins_the_match_where_it_carries_first(after_s: float, outcome: Any) -> None:
    async def work(one: Opening, connector: Connecting, asked: list[str]) -> None:
        def ask() -> None:
            asked.append("service")
            one.service_carries()

        assert await one.first(ask) is None
        assert asked == ["service"]
        assert not connector.cancelled

    run(after_s, outcome, work)


def test_the_connecting_goes_on_beside_it() -> None:
    async def work(one: Opening, _connector: Connecting, _asked: list[str]) -> None:
        assert await one.first(one.service_carries) is None
        assert await one.later() is CONNECTION

    run(0.3, CONNECTION, work)


def test_where_that_comes_to_nothing_there_is_none() -> None:
    async def work(one: Opening, _connector: Connecting, _asked: list[str]) -> None:
        assert await one.first(one.service_carries) is None
        assert await one.later() is None

    run(0.3, FAILED, work)


@pytest.mark.parametrize("asks", [True, False])
def test_where_neither_carries_the_connections_failure_is_told(asks: bool) -> None:  # noqa: FBT001 - of the test
    async def work(one: Opening, _connector: Connecting, asked: list[str]) -> None:
        with pytest.raises(ConnectFailed):
            await one.first((lambda: asked.append("service")) if asks else None)
        assert bool(asked) is asks

    run(0.1, FAILED, work)


def test_the_other_one_may_have_asked_before() -> None:
    async def work(one: Opening, _connector: Connecting, asked: list[str]) -> None:
        one.service_carries()
        assert await one.first(lambda: asked.append("service")) is None

    run(5.0, CONNECTION, work)


def test_who_has_left_is_not_waited_for_and_the_service_is_not_asked() -> None:
    async def work(one: Opening, connector: Connecting, asked: list[str]) -> None:
        one.departed(": no relay")
        with pytest.raises(PeerLost, match="no relay"):
            await one.first(lambda: asked.append("service"))
        assert asked == []
        await one.close()
        assert connector.cancelled

    run(5.0, CONNECTION, work)
