"""`LatencyTelemetry` on aiortc connections of one's own: nothing of this package but the measuring.

aiortc's own report holds no candidate pair; `LatencyTelemetry` sees that the connection is aiortc's and makes
the report itself (`AiortcStats`), by the request that ICE uses to see whether a peer is there. The other side
need not know of it.
"""

from __future__ import annotations

import asyncio

from aiortc import RTCConfiguration, RTCPeerConnection

from gym_p2p import AiortcStats, LatencyTelemetry


async def main() -> None:
    """Connect two peers as aiortc's examples do, and measure from one of them."""
    ours, theirs = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    opened = asyncio.Event()
    ours.createDataChannel("mine").on("open", opened.set)

    telemetry = LatencyTelemetry(ours, poll_interval_ms=100)
    telemetry.start()  # it begins once the connection is connected

    await ours.setLocalDescription(await ours.createOffer())
    await theirs.setRemoteDescription(ours.localDescription)
    await theirs.setLocalDescription(await theirs.createAnswer())
    await ours.setRemoteDescription(theirs.localDescription)
    async with asyncio.timeout(20):
        await opened.wait()
        await asyncio.sleep(1)

    report = await AiortcStats(ours).getStats()  # the same report, for whoever wants it itself
    pair = report[report["T"]["selectedCandidatePairId"]]
    telemetry.stop()
    await ours.close()
    await theirs.close()

    stats = telemetry.get_stats()
    assert stats is not None  # noqa: S101 - there were samples
    print(f"{stats['sampleCount']} round trips, median {stats['medianMs']:.2f} ms")
    print(f"one more: {1000 * pair['currentRoundTripTime']:.2f} ms")


if __name__ == "__main__":
    asyncio.run(main())
