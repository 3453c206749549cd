"""`LatencyTelemetry` by itself, on a peer connection that is not ours.

Anything with an async `getStats()` in W3C's shape and a `connectionState` will do: here a stand-in for a
browser's connection, whose candidate pair answers a check every second or so.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from gym_p2p import LatencyTelemetry


class BrowserLikeConnection:
    """Reports as a browser does: a new round trip now and then, the old one in between."""

    connectionState = "connected"  # noqa: N815 - W3C's name

    def __init__(self) -> None:
        """Begin without a measurement."""
        self._polls = 0
        self._rtt_s = 0.05

    async def getStats(self) -> dict[str, dict[str, Any]]:  # noqa: N802 - W3C's name
        """Return a stats report; every second one is stale."""
        self._polls += 1
        if self._polls % 2:
            self._rtt_s = 0.05 + random.random() / 100
        return {
            "T": {"id": "T", "type": "transport", "selectedCandidatePairId": "P"},
            "P": {
                "id": "P",
                "type": "candidate-pair",
                "currentRoundTripTime": self._rtt_s,
                "responsesReceived": (self._polls + 1) // 2,
            },
        }


async def main() -> None:
    """Collect for two seconds, then print."""
    telemetry = LatencyTelemetry(BrowserLikeConnection(), poll_interval_ms=100)
    telemetry.start()
    await asyncio.sleep(2)
    telemetry.stop()
    stats = telemetry.get_stats()
    assert stats is not None  # noqa: S101 - two seconds are twenty polls
    print(
        f"{stats['sampleCount']} fresh samples of {stats['polls']} polls, median {stats['medianMs']:.1f} ms"
    )


if __name__ == "__main__":
    asyncio.run(main())
