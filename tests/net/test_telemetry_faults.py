"""Connections that are slow, raise, hang or talk nonsense, and what becomes of the polls."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from tests.net.virtual_time import FakeConnection, VirtualTimeLoop, on_virtual_time, stats_of, telemetry_on


def test_a_slow_report_neither_overlaps_the_next_nor_shifts_the_schedule() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()
        connection.before = lambda: asyncio.sleep(0.7)
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(100.8)
        telemetry.stop()
        assert connection.most_under_way == 1
        assert connection.calls == pytest.approx([float(second) for second in range(1, 101)])

    on_virtual_time(main)


def test_a_loop_that_stood_still_makes_up_one_poll_and_keeps_the_grid() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(1.5)
        loop.now_s = 6.3
        await asyncio.sleep(2)
        telemetry.stop()
        assert connection.calls == pytest.approx([1.0, 6.3, 7.0, 8.0])

    on_virtual_time(main)


def test_a_report_that_raises_is_counted_and_the_next_poll_happens() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()

        async def fail() -> None:
            raise OSError("gone")

        connection.before = fail
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(3.5)
        connection.before = None
        await asyncio.sleep(1)
        telemetry.stop()
        stats = stats_of(telemetry)
        assert (stats["sampleCount"], stats["missed"], telemetry.errors) == (1, 3, 3)
        assert stats["outages"] == [{"startMs": 1_700_000_001_000, "endMs": 1_700_000_004_000}]

    on_virtual_time(main)


@pytest.mark.parametrize("result", [None, 7, {"plain": "dict"}])
def test_a_getstats_that_is_not_async_is_counted(result: Any) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = SimpleNamespace(connectionState="connected", getStats=lambda: result)
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(2.5)
        telemetry.stop()
        assert telemetry.errors == 2

    on_virtual_time(main)


def test_a_getstats_that_cancels_itself_does_not_stop_the_polling() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()

        async def cancelled() -> None:
            raise asyncio.CancelledError

        connection.before = cancelled
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(2.5)
        telemetry.stop()
        assert (len(connection.calls), telemetry.errors) == (2, 2)

    on_virtual_time(main)


def test_a_report_that_hangs_is_cancelled_and_counts_as_missed() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()
        connection.before = lambda: asyncio.sleep(1e6)
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(3.5)
        assert connection.most_under_way == 1
        connection.before = None
        await asyncio.sleep(2)
        telemetry.stop()
        assert connection.under_way == 0
        stats = stats_of(telemetry)
        assert stats["missed"] >= 2
        assert stats["sampleCount"] >= 1

    on_virtual_time(main)


def test_a_report_that_ignores_its_cancellation_is_not_begun_a_second_time() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()
        release = asyncio.Event()

        async def stubborn() -> None:
            while not release.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await release.wait()

        connection.before = stubborn
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(5.5)
        assert len(connection.calls) == 1
        connection.before = None
        release.set()
        await asyncio.sleep(2)
        telemetry.stop()
        assert connection.most_under_way == 1
        assert stats_of(telemetry)["sampleCount"] == 2

    on_virtual_time(main)


def test_stop_in_the_middle_of_a_report_leaves_nothing_running() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()
        connection.before = lambda: asyncio.sleep(1e6)
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(1.5)
        assert connection.under_way == 1
        telemetry.stop()
        await asyncio.sleep(0.1)
        assert connection.under_way == 0
        assert telemetry.get_stats() is None

    on_virtual_time(main)


def test_reports_without_a_pair_are_said_once_in_the_log_and_counted_in_the_statistics(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        reports: list[Any] = [{}, {"T": {"id": "T", "type": "transport"}}, []]

        async def get_stats() -> Any:
            return reports[loop.now_s.__trunc__() % len(reports)]

        connection: Any = SimpleNamespace(connectionState="connected", getStats=get_stats)
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(5.5)
        stats = stats_of(telemetry)
        assert (stats["sampleCount"], stats["polls"], stats["withoutPair"]) == (0, 5, 5)
        assert stats["medianMs"] is stats["overall"] is None
        assert stats["outages"] == stats["samples"] == []
        telemetry.replace(FakeConnection())
        await asyncio.sleep(2)
        telemetry.stop()
        after = stats_of(telemetry)
        assert after.keys() == stats.keys()
        assert (after["sampleCount"], after["polls"], after["withoutPair"]) == (2, 7, 5)

    on_virtual_time(main)
    assert caplog.text.count("no selected candidate pair") == 1


def test_a_connection_that_closes_while_it_reports_is_an_outage_and_no_missing_pair() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(1.5)

        async def closes() -> None:
            connection.connectionState = "closed"

        connection.before = closes
        await asyncio.sleep(1)
        telemetry.stop()
        stats = stats_of(telemetry)
        assert (stats["withoutPair"], stats["missed"], len(stats["outages"])) == (0, 1, 1)

    on_virtual_time(main)
