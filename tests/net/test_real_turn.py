"""Relayed over a real coturn, which forgets what is not renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_p2p.config import IceServer, LinkConfig
from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.webrtc import relays
from gym_p2p.server.guard.turn import TurnCredentials
from tests.net.coturn import SECRET, coturn
from tests.net.peers import Peer, connect, loopback_only, run
from tests.waiting import eventually

FORGETS_AFTER_S = 3
LASTS_S = 2.5 * FORGETS_AFTER_S
EVERY_S = 0.02


@pytest.fixture(autouse=True)
def _on_loopback() -> Iterator[None]:
    with loopback_only():
        yield


def test_a_relay_that_forgets_soon_loses_nothing_of_a_match(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "RENEW_EVERY_S", FORGETS_AFTER_S / 3)

    async def work(url: str) -> None:
        name, credential = TurnCredentials(SECRET).mint("ann", 60)
        servers = [IceServer(urls=(url,), username=name, credential=credential)]
        link = LinkConfig(relay_only=True)
        one, other = Peer(link, ice_servers=servers), Peer(link, ice_servers=servers)
        await connect(one, other)
        count = int(LASTS_S / EVERY_S)
        for number in range(count):
            assert one.connection.send(Channel.GAME, number.to_bytes(4))
            # One side is silent for longer than the relay remembers, and then speaks.
            if number > count // 2:
                assert other.connection.send(Channel.GAME, number.to_bytes(4))
            await asyncio.sleep(EVERY_S)
        await eventually(lambda: len(other.messages) == count)
        await eventually(lambda: len(one.messages) == count - 1 - count // 2)
        await one.connection.close()
        await other.connection.close()

    with coturn(tmp_path, forgets_after_s=FORGETS_AFTER_S) as url:
        run(work(url))
