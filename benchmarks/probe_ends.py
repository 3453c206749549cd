"""The programs of :mod:`benchmarks.probe_accuracy`, each in a node of the laboratory.

``python -m benchmarks.probe_ends service|peer JSON``: the real service, which probes the pairs that lines on
its standard input name and prints each outcome as a line of JSON; and a real peer, which takes part in every
probe. A peer also reads the stats report of each probe's connection once, half a second after it has opened,
as existing systems do, and keeps the connection for that long. It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import attrs

from gym_p2p.config import ServiceConfig
from gym_p2p.core.api.payloads import encode
from gym_p2p.core.probing.outcome import ProbeOutcome
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.net.loop import run_loop
from gym_p2p.net.probing.manager import ProbeManager
from gym_p2p.net.probing.probe import ProbeConnection
from gym_p2p.server import Service

__all__ = ["HELD_OPEN_S", "READ_AFTER_S", "main"]

READ_AFTER_S = 0.5
HELD_OPEN_S = 1.1
"""From its opening, so that neither side closes under the other's reading."""


async def serve(options: dict[str, Any]) -> None:
    """Run the service, and probe whom a line names: ``[one, other]``."""
    service = Service(ServiceConfig(open=True, port=8765, **options))
    await service.start()
    print_line({"url": service.url})
    lines = await _stdin()
    while line := await lines.readline():
        outcome = await service.probe(*json.loads(line))
        print_line(_as_data(outcome))
    await service.stop()


def _as_data(outcome: ProbeOutcome) -> dict[str, Any]:
    return {
        "reason": str(outcome.reason),
        "rtt_ms": outcome.rtt_ms,
        "took_s": outcome.took_s,
        "repeated": outcome.earlier is not None,
        "reports": {
            subject: None if report is None else encode(report) for subject, report in outcome.reports.items()
        },
    }


async def take_part(options: dict[str, Any]) -> None:
    """Be probed until the standard input ends."""
    _tap_readings()
    client = SignalingClient()
    await client.connect(options["url"], options["subject"], timeout_s=10)
    manager = ProbeManager(
        client, options["subject"], on_result=lambda result: print_line(attrs.asdict(result))
    )
    print_line({"ready": options["subject"]})
    lines = await _stdin()
    await lines.read()
    await manager.close()
    await client.close()


def _tap_readings() -> None:
    """Read every connection's report once after it has opened, and close it no sooner than that."""
    opened: dict[ProbeConnection, asyncio.Task[None]] = {}
    connect, close = ProbeConnection.connect, ProbeConnection.close

    async def read(connection: ProbeConnection) -> None:
        await asyncio.sleep(READ_AFTER_S)
        print_line({"reading_ms": await connection.get_rtt()})
        await asyncio.sleep(HELD_OPEN_S - READ_AFTER_S)

    async def tapped_connect(self: ProbeConnection) -> None:
        await connect(self)
        opened[self] = asyncio.create_task(read(self))

    async def tapped_close(self: ProbeConnection) -> None:
        if reading := opened.pop(self, None):
            await reading
        await close(self)

    ProbeConnection.connect = tapped_connect  # type: ignore[method-assign]  # this process is a bench's alone
    ProbeConnection.close = tapped_close  # type: ignore[method-assign]  # as above


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def print_line(what: dict[str, Any]) -> None:
    """Print one line of JSON; what JSON does not know becomes its text."""
    sys.stdout.write(json.dumps(what, default=str) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the program that the arguments name."""
    program = {"service": serve, "peer": take_part}[sys.argv[1]]
    run_loop(program(json.loads(sys.argv[2])))


if __name__ == "__main__":
    main()
