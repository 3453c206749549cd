"""What is told of a probe that comes to nothing."""

from __future__ import annotations

import pytest

from gym_p2p.config import IceServer, LinkConfig
from gym_p2p.errors import ConnectFailed
from gym_p2p.net.probing.probe import ProbeConnection
from tests.net.peers import loopback_only, run
from tests.waiting import lasting_port


async def seen(*urls: str) -> str:
    """Return what is told of a probe by these relays alone that has less time than they take."""
    probe = ProbeConnection(
        local_id="ann",
        peer_id="bob",
        send_signal=lambda *_: None,
        link=LinkConfig(relay_only=True),
        ice_servers=[IceServer(urls=(url,), username="ann", credential="c") for url in urls],
        connect_timeout_s=0.3,
    )
    try:
        with pytest.raises(ConnectFailed) as told:
            await probe.connect()
        assert probe.failure == "turn_unavailable"
    finally:
        await probe.close()
    return told.value.seen


def test_what_is_known_of_the_ice_servers_is_told_where_the_time_runs_out_before_all_have_answered() -> None:
    async def main() -> None:
        port = lasting_port()
        silent, refusing = f"turn:127.0.0.1:{port}", f"turn:127.0.0.1:{port}?transport=tcp"
        assert await seen(silent, refusing) == f"{refusing}: connection refused: nothing listens there"
        assert await seen(silent) == "no answer of the ICE servers"

    with loopback_only():
        run(main())
