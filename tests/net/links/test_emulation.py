"""The emulated path: delay, order, jitter, loss, closing."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from gym_p2p.config import LinkEmulation
from gym_p2p.net.links.emulation import EmulatedPath
from tests.net.peers import run
from tests.waiting import eventually, in_time

ATTEMPTS = 20
"""A busy machine is late for some, and for none of them early."""


class Transport:
    """Notes what is sent, and when."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, bytes]] = []
        self.closed_at: int | None = None
        self.max_size = 7

    def sendto(self, data: bytes, _addr: Any = None) -> None:
        self.sent.append((time.perf_counter(), data))

    def close(self) -> None:
        self.closed_at = len(self.sent)

    def is_closing(self) -> bool:
        return self.closed_at is not None


async def send(count: int, emulation: LinkEmulation) -> tuple[list[float], Transport]:
    """Send that many numbered datagrams, and close: what is on its way still arrives."""
    transport = Transport()
    path = EmulatedPath(transport, emulation)
    started = []
    for number in range(count):
        started.append(time.perf_counter())
        path.sendto(number.to_bytes(2, "big"), ("127.0.0.1", 9))
        if number % 10 == 0:
            await asyncio.sleep(0.001)
    path.close()
    await eventually(lambda: transport.closed_at is not None)
    delays = [when - started[int.from_bytes(data, "big")] for when, data in transport.sent]
    return delays, transport


@pytest.mark.parametrize("uvloop", [False, True])
def test_a_fixed_delay_keeps_the_order_and_is_right_to_a_millisecond_or_two(uvloop: bool) -> None:  # noqa: FBT001  # parametrized
    async def work() -> None:
        medians_s: list[float] = []
        while not medians_s or (min(medians_s) >= 0.0225 and len(medians_s) < ATTEMPTS):
            delays, transport = await send(100, LinkEmulation(one_way_ms=20))
            assert [data for _, data in transport.sent] == [n.to_bytes(2, "big") for n in range(100)]
            assert min(delays) >= 0.0194
            medians_s.append(sorted(delays)[50])
        with in_time():
            assert min(medians_s) < 0.0225

    run(work(), uvloop=uvloop)


def test_jitter_reorders_and_has_the_mean_it_was_given() -> None:
    async def work() -> None:
        means_s: list[float] = []
        while not means_s or (min(means_s) >= 0.019 and len(means_s) < ATTEMPTS):
            delays, transport = await send(400, LinkEmulation(one_way_ms=5, jitter_ms=10))
            order = [data for _, data in transport.sent]
            assert len(order) == 400
            assert order != sorted(order)
            means_s.append(sum(delays) / 400)
        assert min(means_s) > 0.012
        with in_time():
            assert min(means_s) < 0.019

    run(work())


def test_loss_drops_its_share_and_the_same_seed_drops_the_same_ones() -> None:
    async def work() -> None:
        emulation = LinkEmulation(loss=0.3, seed=11)
        runs = [await send(500, emulation) for _ in range(2)]
        arrived = [[data for _, data in transport.sent] for _, transport in runs]
        assert arrived[0] == arrived[1]
        assert 300 < len(arrived[0]) < 400
        other, _ = await send(500, LinkEmulation(loss=0.3, seed=12))
        assert len(other) != 500

    run(work())


def test_what_is_on_its_way_arrives_after_closing_and_nothing_more_is_taken() -> None:
    async def work() -> None:
        transport = Transport()
        path = EmulatedPath(transport, LinkEmulation(one_way_ms=10))
        path.sendto(b"before", None)
        path.close()
        path.close()
        path.sendto(b"after", None)
        assert path.is_closing()
        assert transport.closed_at is None
        await eventually(lambda: transport.closed_at is not None)
        assert [data for _, data in transport.sent] == [b"before"]
        assert transport.closed_at == 1

    run(work())


def test_a_path_far_longer_than_two_seconds_is_cut_off_when_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_p2p.net.links.emulation.LONGEST_DRAIN_S", 0.02)

    async def work() -> None:
        transport = Transport()
        path = EmulatedPath(transport, LinkEmulation(one_way_ms=10_000))
        path.sendto(b"x", None)
        path.close()
        await eventually(lambda: transport.closed_at is not None)
        assert (transport.sent, transport.closed_at) == ([], 0)

    run(work())


def test_everything_else_is_the_transports_own() -> None:
    async def work() -> None:
        assert EmulatedPath(Transport(), LinkEmulation()).max_size == 7

    run(work())
