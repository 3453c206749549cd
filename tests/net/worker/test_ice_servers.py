"""When a player asks the service for ICE servers again, and what it makes of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from gym_p2p.config import IceServer, Secret
from gym_p2p.errors import P2PError, ProtocolError, ServiceUnreachable
from gym_p2p.net.worker.ice_servers import YOUNG_S, MatchIceServers
from tests.net.virtual_time import on_virtual_time
from tests.net.worker.test_mesh import found

STUN = IceServer(urls=("stun:192.0.2.1",))


def turn(credential: str) -> IceServer:
    return IceServer(urls=("turn:192.0.2.1",), username="u", credential=Secret(credential))


class Client:
    """Gives servers anew, after a second, or raises."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails: P2PError | None = None

    async def renew_ice_servers(self, match_id: str) -> tuple[IceServer, ...]:
        self.asked.append(match_id)
        await asyncio.sleep(1)
        if self.fails is not None:
            raise self.fails
        return (turn(f"new {len(self.asked)}"),)


def with_servers(
    work: Callable[[MatchIceServers, Client], Any], *given: IceServer, young: bool = True
) -> None:
    async def main(_loop: object) -> None:
        client: Any = Client()
        servers = MatchIceServers(client, attrs.evolve(found("left"), ice_servers=given), young=young)
        try:
            await work(servers, client)
        finally:
            await servers.close()

    on_virtual_time(main)


def test_credentials_are_renewed_once_they_are_not_young_any_more() -> None:
    async def work(servers: MatchIceServers, client: Client) -> None:
        servers.renew_soon()
        assert client.asked == []
        await asyncio.sleep(YOUNG_S)
        for _ in range(3):  # several paths at once
            servers.renew_soon()
        assert servers.now == (turn("old"),)
        await servers.renewed()
        assert (client.asked, servers.now) == (["m"], (turn("new 1"),))
        servers.renew_soon()
        await servers.renewed()
        assert client.asked == ["m"]

    with_servers(work, turn("old"))


def test_those_of_before_somebody_came_back_are_renewed_at_once() -> None:
    async def work(servers: MatchIceServers, client: Client) -> None:
        servers.renew_soon()
        await servers.renewed()
        assert (client.asked, servers.now) == (["m"], (turn("new 1"),))

    with_servers(work, STUN, turn("old"), young=False)


def test_what_bears_no_credentials_is_not_asked_for() -> None:
    async def work(servers: MatchIceServers, client: Client) -> None:
        servers.renew_soon()
        await servers.renewed()
        assert (client.asked, servers.now) == ([], (STUN,))

    with_servers(work, STUN, young=False)


@pytest.mark.parametrize("error", [ServiceUnreachable("url", "away"), ProtocolError("nonsense")])
def test_where_none_are_to_be_had_those_that_there_are_stay_and_it_is_tried_again(error: P2PError) -> None:
    async def work(servers: MatchIceServers, client: Client) -> None:
        client.fails = error
        for _ in range(2):
            servers.renew_soon()
            await servers.renewed()
        assert (client.asked, servers.now) == (["m", "m"], (turn("old"),))

    with_servers(work, turn("old"), young=False)
