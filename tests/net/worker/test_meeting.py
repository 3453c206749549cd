from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from gym_p2p.config import P2PConfig, ServiceConfig, SyncConfig
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.queues import QueueAck
from gym_p2p.errors import ConnectFailed
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.net.worker.join import find_match
from gym_p2p.net.worker.messages import JoinEvent, PlayerPlan, ServiceReachable
from gym_p2p.server import Service, serve_in_thread
from tests.waiting import PATIENCE_S, eventually, lasting_port

SEATS = ("left", "right")


def plan(url: str, *, patience_s: float = 20.0) -> PlayerPlan:
    sync = SyncConfig(room_timeout_s=patience_s)
    config = P2PConfig(server_url=url, queue="lab", sync=sync)
    return PlayerPlan(config=config, subject_id="ann", seats=SEATS, take=None, description={})


async def longest_wait_s(service: Service) -> float:
    """Return how long ann has waited, of whom a new client has just joined."""
    client = SignalingClient()
    await client.connect(service.url, "ann", timeout_s=PATIENCE_S)
    await client.join_queue(QueueTicket(queue="lab", seats=SEATS))
    waited_s = service.queue_report().totals.longest_wait_s
    await client.close()
    return waited_s


@pytest.mark.parametrize("politely", [True, False])
def test_only_one_whose_line_broke_comes_back_to_their_place(tmp_path: Path, politely: bool) -> None:  # noqa: FBT001 - a parameter of the test
    async def main(service: Service) -> None:
        events: list[JoinEvent] = []
        client = SignalingClient()
        meeting = asyncio.create_task(find_match(plan(service.url), client, events.append))
        await eventually(lambda: any(isinstance(event, QueueAck) for event in events))
        await eventually(lambda: service.queue_report().totals.longest_wait_s > 0.5)
        before_s = service.queue_report().totals.longest_wait_s
        if politely:
            meeting.cancel()
        else:
            await client.close()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await meeting
        await client.close()
        await eventually(lambda: not service.queue_report().queues)
        back_at = time.monotonic()
        waited_s = await longest_wait_s(service)
        since_back_s = time.monotonic() - back_at
        assert waited_s <= since_back_s if politely else waited_s >= before_s

    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        asyncio.run(asyncio.wait_for(main(service), 2 * PATIENCE_S))


def test_who_has_no_more_patience_has_left_the_queue(tmp_path: Path) -> None:
    async def main(service: Service) -> None:
        client = SignalingClient()
        with pytest.raises(ConnectFailed, match="queue 'lab'"):
            await find_match(plan(service.url, patience_s=0.3), client, lambda _event: None)
        assert not service.queue_report().queues
        await client.close()

    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        asyncio.run(asyncio.wait_for(main(service), 2 * PATIENCE_S))


def test_one_who_waits_is_told_that_the_service_is_away_and_back(tmp_path: Path) -> None:
    events: list[JoinEvent] = []
    config = ServiceConfig(port=lasting_port(), data_dir=str(tmp_path))

    def seen() -> list[bool]:
        return [event.up for event in events if isinstance(event, ServiceReachable)]

    async def main() -> None:
        client = SignalingClient()
        with serve_in_thread(config) as service:
            meeting = asyncio.create_task(find_match(plan(service.url), client, events.append))
            await eventually(lambda: any(isinstance(event, QueueAck) for event in events))
            assert seen() == []
        await eventually(lambda: seen() == [False])
        with serve_in_thread(config) as again:
            await eventually(lambda: seen() == [False, True])
            await eventually(lambda: "lab" in again.queue_report().queues)
            meeting.cancel()
            await asyncio.gather(meeting, return_exceptions=True)
            await client.close()

    asyncio.run(asyncio.wait_for(main(), 2 * PATIENCE_S))


def test_a_bug_in_the_queues_stops_neither_rooms_nor_the_service(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(now: float) -> None:
        raise RuntimeError(f"a bug at {now}")

    async def main(service: Service) -> None:
        service._machines.queues.handle_timeout = broken  # type: ignore[method-assign]  # no real bug at hand
        ann, bob, eve = clients = [SignalingClient() for _ in range(3)]
        for client, name in zip(clients, ("ann", "bob", "eve"), strict=True):
            await client.connect(service.url, name, timeout_s=PATIENCE_S)
        await eve.join_queue(QueueTicket(queue="lab", seats=SEATS))  # who is to be events how it stands
        await eventually(lambda: "a bug" in caplog.text)
        await ann.join_room("r", SEATS)
        await bob.join_room("r", SEATS)
        assert (await ann.wait_for_match(PATIENCE_S)).match_id == (await bob.wait_for_match(5)).match_id
        await asyncio.gather(*(client.close() for client in clients))

    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        asyncio.run(asyncio.wait_for(main(service), 2 * PATIENCE_S))
