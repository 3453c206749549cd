"""Two `ProbeManager`s, and a service that has them measure how far apart they are.

`service.probe` is for a lobby that decides itself who meets whom. The players need no environment: a
signalling client, and the manager that answers for them.
"""

from __future__ import annotations

import asyncio
import tempfile

from gym_p2p import ProbeManager, ProbeResult, ServiceConfig, SignalingClient
from gym_p2p.server import Service

Results = asyncio.Queue[ProbeResult]


async def sign_in(url: str, name: str, results: Results) -> tuple[SignalingClient, ProbeManager]:
    """Be there under a name, and take part in the probes that the service requests."""
    client = SignalingClient()
    await client.connect(url, name)
    return client, ProbeManager(client, client.subject_id, on_result=results.put_nowait)


async def main() -> None:
    """Measure Ann and Bob, as a lobby would before it lets them play; then one who is not there."""
    with tempfile.TemporaryDirectory() as directory:
        service = Service(ServiceConfig(port=0, data_dir=directory))
        await service.start()
        results = Results()
        players = [await sign_in(service.url, name, results) for name in ("ann", "bob")]
        try:
            outcome = await service.probe("ann", "bob", threshold_ms=80)
            print(f"service: {outcome.rtt_ms:.2f} ms, from {len(outcome.reports)} reports")
            for _ in players:
                result = await results.get()
                print(f"a player: {result.rtt_ms:.2f} ms to {result.peer_subject_id}")
            nobody = await service.probe("ann", "mallory")
            print(f"service: no figure for mallory ({nobody.reason})")
        finally:
            for client, manager in players:
                await manager.close()
                await client.close()
            await service.stop()


if __name__ == "__main__":
    asyncio.run(main())
