"""LatencyTelemetry on both sides of one connection, against a delay that the browser's own tools make."""

from __future__ import annotations

from pathlib import Path

from gym_p2p.net.telemetry import LatencyTelemetry
from tests.browser.chromium import Chromium
from tests.browser.players import PagePlayer, PythonPlayer, meet, run, serving
from tests.waiting import in_time

LATENCY_MS = 50.0
RTT_MS = (95.0, 160.0)
"""DevTools delays both directions of a data channel by the latency given; a busy machine adds to some."""
POLLS = 9
"""Half a second apart: Chromium measures about every 2.6 s."""


def test_both_sides_measure_the_delay_of_the_page(chromium: Chromium, pages_url: str, tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "python") as python,
            PagePlayer.at(service, "page", chromium) as page,
        ):
            await page.page.emulate(latency_ms=LATENCY_MS)
            await meet(python, page, ("agent_0", "agent_1"))
            telemetry = LatencyTelemetry(python.connection, poll_interval_ms=500)
            telemetry.start()
            await page.page.call("poll", intervalMs=500)
            theirs = await page.page.call("latency", polls=POLLS)
            telemetry.stop()
            ours = telemetry.get_stats()
        assert ours is not None
        assert RTT_MS[0] <= ours["medianMs"]
        assert RTT_MS[0] <= theirs["medianMs"]
        with in_time():
            assert max(ours["minMs"], theirs["minMs"]) <= RTT_MS[1]
        assert theirs.keys() == ours.keys()
        assert theirs["polls"] > theirs["totalSamples"], "repeated readings were counted as new ones"

    run(work())
