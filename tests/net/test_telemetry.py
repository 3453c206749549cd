from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from gym_p2p.core.latency.quality import Quality, QualityChange
from gym_p2p.core.latency.series import Poll
from gym_p2p.core.latency.webrtc_stats import PollStatus
from gym_p2p.errors import ConfigurationError, UsageError
from gym_p2p.net.telemetry import LatencyPoller, LatencyTelemetry
from tests.net.virtual_time import FakeConnection, VirtualTimeLoop, on_virtual_time, stats_of, telemetry_on
from tests.waiting import PATIENCE_S

WALL_START_S = 1_700_000_000.0


def test_the_first_sample_comes_one_interval_after_start_and_then_one_each() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection(rtt_s=0.0425)
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(0.99)
        assert telemetry.get_stats() is None
        await asyncio.sleep(9.02)
        telemetry.stop()
        assert connection.calls == pytest.approx([float(second) for second in range(1, 11)])
        samples = telemetry.get_samples()
        assert samples[0] == {"timestamp": 1_700_000_001_000, "rttMs": 42.5}
        assert len(samples) == 10

    on_virtual_time(main)


def test_a_poll_that_is_asked_for_comes_at_once_and_the_others_when_they_would_have() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection(rtt_s=0.0425)
        telemetry = telemetry_on(loop, connection)
        telemetry.poll_soon()  # before the start there is nobody to do it
        telemetry.start()
        await asyncio.sleep(1.25)
        telemetry.poll_soon()
        telemetry.poll_soon()
        await asyncio.sleep(2)
        telemetry.stop()
        telemetry.start()
        await asyncio.sleep(0.5)
        telemetry.stop()
        assert connection.calls == pytest.approx([1.0, 1.25, 2.0, 3.0])

    on_virtual_time(main)


def test_start_twice_polls_once_and_stop_keeps_the_samples() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        telemetry.start()
        await asyncio.sleep(3.5)
        telemetry.stop()
        telemetry.stop()
        await asyncio.sleep(5)
        assert not telemetry.running
        assert len(connection.calls) == 3
        assert stats_of(telemetry)["sampleCount"] == 3

    on_virtual_time(main)


def test_it_can_be_started_again_and_goes_on_with_its_samples() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        telemetry = telemetry_on(loop, FakeConnection())
        for _ in range(2):
            telemetry.start()
            await asyncio.sleep(2.5)
            telemetry.stop()
        assert stats_of(telemetry)["sampleCount"] == 4

    on_virtual_time(main)


def test_start_without_a_running_loop_is_a_clear_error() -> None:
    with pytest.raises(UsageError, match="running asyncio event loop"):
        LatencyTelemetry(FakeConnection()).start()


def test_the_defaults_are_one_a_second_for_ten_minutes() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        telemetry = telemetry_on(loop, FakeConnection())
        telemetry.start()
        await asyncio.sleep(700.5)
        telemetry.stop()
        stats = stats_of(telemetry)
        assert (stats["sampleCount"], stats["totalSamples"]) == (600, 700)

    on_virtual_time(main)


def test_only_a_connected_connection_is_polled() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()
        connection.connectionState = "connecting"
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(3.5)
        assert connection.calls == []
        connection.connectionState = "connected"
        await asyncio.sleep(1)
        telemetry.stop()
        stats = stats_of(telemetry)
        assert (stats["polls"], stats["missed"], stats["outages"]) == (1, 0, [])

    on_virtual_time(main)


def test_a_lost_connection_is_an_outage_until_the_next_answer() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(2.5)
        connection.connectionState = "disconnected"
        await asyncio.sleep(3)
        (outage,) = stats_of(telemetry)["outages"]
        assert outage == {"startMs": 1_700_000_003_000, "endMs": None}
        connection.connectionState = "connected"
        await asyncio.sleep(1)
        telemetry.stop()
        stats = stats_of(telemetry)
        assert stats["outages"] == [{"startMs": 1_700_000_003_000, "endMs": 1_700_000_006_000}]
        assert (stats["polls"], stats["missed"], len(connection.calls)) == (6, 3, 3)

    on_virtual_time(main)


def test_an_outage_is_as_old_as_the_first_question_without_an_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(2.5)
        connection.before = lambda: asyncio.sleep(1e6)  # asked at 3.0 s, given up at 4.0 s
        await asyncio.sleep(2)
        telemetry.stop()
        assert stats_of(telemetry)["outages"] == [{"startMs": 1_700_000_003_000, "endMs": None}]

    on_virtual_time(main)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_repeated_reading_is_never_recorded_again() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(0.5)
        for answered in [3, 5, 5, 5, 6, 6, 6, 7, 7, 8, 8, 8]:
            connection.answered = answered - 1  # the report adds one
            await asyncio.sleep(1)
        telemetry.stop()
        stats = stats_of(telemetry)
        assert (stats["polls"], stats["sampleCount"], stats["missed"]) == (12, 5, 7)

    on_virtual_time(main)


def test_a_report_without_a_counter_gives_a_sample_a_poll() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection()
        connection.answered = None
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(5.5)
        telemetry.stop()
        assert stats_of(telemetry)["sampleCount"] == 5

    on_virtual_time(main)


@pytest.mark.parametrize("rtt_s", [None, float("nan"), -1.0, "0.05"])
def test_a_report_without_a_usable_round_trip_gives_no_sample(rtt_s: Any) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        connection = FakeConnection(rtt_s)
        telemetry = telemetry_on(loop, connection)
        telemetry.start()
        await asyncio.sleep(2.5)
        assert len(connection.calls) == 2
        assert telemetry.get_stats() is None
        connection.rtt_s = 0
        await asyncio.sleep(1)
        telemetry.stop()
        stats = stats_of(telemetry)
        assert (stats["sampleCount"], stats["missed"], stats["maxMs"]) == (1, 2, 0.0)
        assert telemetry.errors == 0

    on_virtual_time(main)


def test_a_replaced_connection_is_followed_and_nothing_is_lost() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        old, new = FakeConnection(0.01), FakeConnection(0.03)
        telemetry = telemetry_on(loop, old)
        telemetry.start()
        await asyncio.sleep(3.5)
        new.connectionState = "connecting"
        telemetry.replace(new)
        await asyncio.sleep(2)
        new.connectionState = "connected"
        await asyncio.sleep(2)
        telemetry.stop()
        stats = stats_of(telemetry)
        assert [sample["rttMs"] for sample in stats["samples"]] == [10.0, 10.0, 10.0, 30.0, 30.0]
        assert len(stats["outages"]) == 1
        assert len(old.calls) == 3

    on_virtual_time(main)


def test_an_answer_of_a_connection_replaced_meanwhile_is_not_recorded() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        old, new = FakeConnection(0.01), FakeConnection(0.03)
        old.before = lambda: asyncio.sleep(0.5)
        telemetry = telemetry_on(loop, old)
        telemetry.start()
        await asyncio.sleep(1.2)
        telemetry.replace(new)
        await asyncio.sleep(1)
        telemetry.stop()
        assert [sample["rttMs"] for sample in telemetry.get_samples()] == [30.0]

    on_virtual_time(main)


def test_every_poll_is_told_and_a_raising_callback_is_only_counted() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        polls: list[Poll] = []

        def on_poll(poll: Poll) -> None:
            polls.append(poll)
            raise ValueError("the user's own mistake")

        connection = FakeConnection()
        telemetry = telemetry_on(loop, connection, on_poll=on_poll)
        telemetry.start()
        await asyncio.sleep(2.5)
        connection.connectionState = "failed"
        await asyncio.sleep(1)
        telemetry.stop()
        assert [poll.status for poll in polls] == [
            PollStatus.FRESH,
            PollStatus.FRESH,
            PollStatus.DISCONNECTED,
        ]
        assert [poll.rtt_ms for poll in polls] == [50.0, 50.0, None]
        assert polls[0].connection is not None
        assert polls[0].connection.type == "unknown"
        assert telemetry.errors == 3

    on_virtual_time(main)


def test_a_change_of_quality_is_told_once() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        changes: list[QualityChange] = []
        connection = FakeConnection(0.05)
        telemetry = telemetry_on(loop, connection, on_quality_change=changes.append, warning_ms=100)
        telemetry.start()
        await asyncio.sleep(2.5)
        connection.rtt_s = 0.1001
        await asyncio.sleep(2)
        connection.rtt_s = 0.5
        await asyncio.sleep(1)
        telemetry.stop()
        assert [change.status for change in changes] == [Quality.GOOD, Quality.WARNING, Quality.CRITICAL]
        assert telemetry.quality is Quality.CRITICAL

    on_virtual_time(main)


@pytest.mark.parametrize(
    "options",
    [
        {"poll_interval_ms": 0},
        {"poll_interval_ms": -1},
        {"poll_interval_ms": float("nan")},
        {"max_samples": 0},
        {"warning_ms": 400},
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        LatencyTelemetry(FakeConnection(), **options)


def test_without_a_connection_it_waits_for_one() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        telemetry = telemetry_on(loop, None)
        telemetry.start()
        await asyncio.sleep(2.5)
        telemetry.replace(FakeConnection())
        await asyncio.sleep(1)
        telemetry.stop()
        stats = stats_of(telemetry)
        assert (stats["sampleCount"], stats["missed"]) == (1, 0)

    on_virtual_time(main)


def test_stop_works_from_another_thread_and_after_the_loop_closed() -> None:
    telemetry = LatencyTelemetry(FakeConnection(), poll_interval_ms=5)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    loop.call_soon_threadsafe(telemetry.start)

    async def until_sampled() -> None:
        for _ in range(1000):
            if telemetry.get_stats() is not None:
                return
            await asyncio.sleep(0.005)

    asyncio.run_coroutine_threadsafe(until_sampled(), loop).result(10)
    telemetry.stop()
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0.02), loop).result(10)
    assert not asyncio.all_tasks(loop)
    kept = stats_of(telemetry)["sampleCount"]
    assert kept >= 1
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE_S)
    loop.close()
    telemetry.stop()
    assert stats_of(telemetry)["sampleCount"] == kept


def test_a_poller_passes_every_poll_on_until_it_is_stopped() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        polls: list[Poll] = []
        connection = FakeConnection(rtt_s=0.02)
        poller = LatencyPoller(
            connection, 500, on_poll=polls.append, wall_clock=lambda: WALL_START_S + loop.time()
        )
        poller.start()
        await asyncio.sleep(1.1)
        connection.connectionState = "disconnected"
        await asyncio.sleep(0.5)
        poller.stop()
        await asyncio.sleep(2)
        assert [(poll.rtt_ms, poll.status) for poll in polls] == [
            (20.0, PollStatus.FRESH),
            (20.0, PollStatus.FRESH),
            (None, PollStatus.DISCONNECTED),
        ]
        assert [poll.timestamp_ms - 1_700_000_000_000 for poll in polls] == [500, 1000, 1500]

    on_virtual_time(main)
