"""What a path really does, measured by UDP beside whatever is under test; ``udp_ping`` does the work."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.lab.network import Lab
from tests.lab.processes import end, read_line

ECHO_PORT = 9007

_PROGRAM = [sys.executable, "-I", "-S", str(Path(__file__).with_name("udp_ping.py"))]
_START_TIMEOUT_S = 10.0


@attrs.frozen
class Ping:
    """What one target answered.

    Attributes:
        sent: pings sent.
        received: pings answered at least once.
        lost: pings never answered.
        duplicates: further answers to a ping.
        out_of_order: answers that came after the answer to a later ping.
        min_ms: shortest round trip; ``None``, as all statistics, if nothing was answered.
        median_ms: median round trip.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile.
        max_ms: longest round trip.
        seen_as: the ``address:port`` that the target saw us as.
        rtts_ms: round trip of each ping in the order of sending, ``None`` for a lost one.
    """

    sent: int
    received: int
    lost: int
    duplicates: int
    out_of_order: int
    min_ms: float | None
    median_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    seen_as: str | None
    rtts_ms: list[float | None] = attrs.field(repr=False)


@contextlib.contextmanager
def echo(lab: Lab, node: str, *, port: int = ECHO_PORT) -> Iterator[None]:
    """Run a UDP echo in a node for the block."""
    command = [*_PROGRAM, "echo", "--bind", f"{lab.inner_address(node)}:{port}"]
    process = lab.run(node, command, realtime=True, stdout=subprocess.PIPE)
    try:
        read_line(process, timeout_s=_START_TIMEOUT_S)
        yield
    finally:
        end(process)


@attrs.define(eq=False)
class RunningPing:
    """A ping that measures while the test does something else: ``result`` waits for its end."""

    _process: subprocess.Popen[bytes]
    _timeout_s: float

    def result(self) -> list[Ping]:
        """Return a report for each target, in their order.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        output, _ = self._process.communicate(timeout=self._timeout_s)
        return [Ping(**report) for report in json.loads(output)]


def start_ping(
    lab: Lab,
    source: str,
    *targets: str,
    count: int = 50,
    interval_ms: float = 10.0,
    wait_ms: float = 500.0,
    port: int = ECHO_PORT,
) -> RunningPing:
    """Start pinging the echoes of ``targets`` from one socket in ``source``, each ``count`` times."""
    command = [*_PROGRAM, "ping", f"--count={count}", f"--interval-ms={interval_ms}", f"--wait-ms={wait_ms}"]
    addresses = [f"{lab.address(target)}:{port}" for target in targets]
    process = lab.run(source, [*command, "--to", *addresses], realtime=True, stdout=subprocess.PIPE)
    return RunningPing(process, _START_TIMEOUT_S + (count * interval_ms + wait_ms) / 1e3)


def ping(
    lab: Lab, source: str, target: str, *, count: int = 50, interval_ms: float = 10.0, wait_ms: float = 500.0
) -> Ping:
    """Measure the path from ``source`` to ``target`` and back, with an echo that is started for it."""
    with echo(lab, target):
        running = start_ping(lab, source, target, count=count, interval_ms=interval_ms, wait_ms=wait_ms)
        return running.result()[0]
