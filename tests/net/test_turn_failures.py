"""A relay that a player needs and does not get: each player is told why in words, the other one too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from gym_p2p.config import IceServer, LinkConfig, P2PConfig, ServiceConfig, SyncConfig
from gym_p2p.errors import ConnectFailed, P2PError, PeerLost
from gym_p2p.net.webrtc import gathering
from gym_p2p.net.worker.messages import PlayerPlan, WorkerEvent, WorkerFailed
from gym_p2p.net.worker.player import PlayerWorker
from gym_p2p.server import serve_in_thread
from gym_p2p.server.guard.turn import TurnCredentials
from tests.net.coturn import SECRET, coturn
from tests.net.peers import Peer, loopback_only, run
from tests.waiting import PATIENCE_S, lasting_port

SEATS = ("left", "right")
ANOTHER = "another secret than the server has"


@pytest.fixture(autouse=True)
def _on_loopback() -> Iterator[None]:
    with loopback_only():
        yield


def relay(url: str, *, secret: str = SECRET, subject: str = "ann", lifetime_s: float = 60.0) -> IceServer:
    name, credential = TurnCredentials(secret).mint(subject, lifetime_s)
    return IceServer(urls=(url,), username=name, credential=credential)


async def refused(*servers: IceServer) -> ConnectFailed:
    """Return what somebody is told who may connect by these relays alone."""
    peer = Peer(LinkConfig(relay_only=True), ice_servers=servers)
    try:
        with pytest.raises(ConnectFailed) as told:
            await peer.connection.create_offer(negotiated_game=True)
    finally:
        await peer.connection.close()
    return told.value


def test_what_a_real_turn_server_refuses_is_told(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        wrong = await refused(relay(url, secret=ANOTHER))
        assert f"({url}: it does not take the credentials: another secret" in str(wrong)
        expired = await refused(relay(url, lifetime_s=-90))
        assert "the credentials expired 9" in expired.seen
        nameless = await refused(IceServer(urls=(url,)))
        assert "it does not take the credentials" in nameless.seen or "wants credentials" in nameless.seen
        by_tcp = await refused(relay(f"{url}?transport=tcp", secret=ANOTHER))
        assert "it does not take the credentials: another secret" in by_tcp.seen
        assert "SECRET" not in str(wrong)
        assert wrong.waited_s > 0

    with coturn(tmp_path) as url:
        run(main(url))


def test_a_quota_that_is_reached_is_told(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        holding = Peer(LinkConfig(relay_only=True), ice_servers=[relay(url)])
        await holding.connection.create_offer(negotiated_game=True)
        assert "its quota of allocations is reached" in (await refused(relay(url))).seen
        await holding.connection.close()

    with coturn(tmp_path, user_quota=1) as url:
        run(main(url))


def test_who_is_not_there_is_told_and_not_after_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "SERVER_TIMEOUT_S", 2.0)

    async def main() -> None:
        port = lasting_port()
        dead = await refused(relay(f"turn:127.0.0.1:{port}"))
        assert f"(turn:127.0.0.1:{port}: no answer: nothing runs there" in dead.seen
        assert dead.waited_s >= 1.9
        by_tcp = await refused(relay(f"turn:127.0.0.1:{port}?transport=tcp"))
        assert "connection refused: nothing listens there" in by_tcp.seen
        by_tls = await refused(relay(f"turns:127.0.0.1:{port}?transport=tcp"))
        assert "connection refused: nothing listens there" in by_tls.seen
        nowhere = await refused(relay("turn:no-such-host.invalid:3478"))
        assert "no such host" in nowhere.seen or "no answer" in nowhere.seen
        both = await refused(
            relay(f"turn:127.0.0.1:{port}"), relay(f"turn:127.0.0.1:{port}?transport=tcp")
        )  # told as they are named, though the first is known last
        assert "no answer: nothing runs there, or a firewall is between; turn:127" in both.seen
        assert "?transport=tcp: connection refused: nothing listens there)" in both.seen
        assert "no relay from a TURN server, for none is named" in (await refused()).seen

    run(main())


@attrs.define(eq=False)
class Side:
    """One player's network half."""

    worker: PlayerWorker
    events: list[WorkerEvent]

    @classmethod
    def of(cls, url: str, subject: str, seat: str, *servers: IceServer) -> Side:
        link = LinkConfig(relay_only=True, relay="none", ice_servers=servers)
        sync = SyncConfig(room_timeout_s=PATIENCE_S)
        config = P2PConfig(server_url=url, room="relayed", link=link, sync=sync)
        plan = PlayerPlan(config=config, subject_id=subject, seats=SEATS, take=(seat,), description={})
        events: list[WorkerEvent] = []
        return cls(PlayerWorker(plan, lambda stamped: events.append(stamped[1])), events)

    @property
    def error(self) -> P2PError:
        return next(event.error for event in self.events if isinstance(event, WorkerFailed))


def test_the_other_player_is_told_whose_relay_failed_and_why(tmp_path: Path) -> None:
    async def main(url: str, turn: str) -> None:
        ann = Side.of(url, "ann", "left", relay(turn, secret=ANOTHER))
        bob = Side.of(url, "bob", "right", relay(turn, subject="bob"))
        began = time.monotonic()
        await asyncio.gather(ann.worker.run(), bob.worker.run())
        assert isinstance(ann.error, ConnectFailed)
        assert "it does not take the credentials: another secret" in str(ann.error)
        assert isinstance(bob.error, PeerLost)
        assert bob.error.peer == "left"
        assert "relay_only, and no relay from a TURN server" in str(bob.error)
        assert "it does not take the credentials: another secret" in str(bob.error)
        assert time.monotonic() - began < PATIENCE_S

    config = ServiceConfig(port=0, data_dir=str(tmp_path / "service"))
    with coturn(tmp_path) as turn, serve_in_thread(config) as service:
        run(main(service.url, turn))


def test_where_both_relays_fail_each_hears_of_their_own_at_least(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        port = lasting_port()
        ann = Side.of(url, "ann", "left", relay(f"turn:127.0.0.1:{port}?transport=tcp"))
        bob = Side.of(url, "bob", "right", relay(f"turn:127.0.0.1:{port}?transport=tcp"))
        await asyncio.gather(ann.worker.run(), bob.worker.run())
        for side in (ann, bob):
            assert "connection refused: nothing listens there" in str(side.error)

    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        run(main(service.url))
