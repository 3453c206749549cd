"""How right a probe is: two Python peers on paths of known delay, N probes each, through the real service.

``python -m benchmarks.probe_accuracy [--probes 20] [--rtt-ms 0 50] [--in-order] [--json]``; needs what the
network laboratory needs (root). About 2 s a probe. What the figures are held to is in
:mod:`benchmarks.probe_figures`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console

from benchmarks.probe_ends import HELD_OPEN_S
from benchmarks.probe_figures import ROUND_TRIPS_MS, LabPath, Probed, paths, probed, table, truth
from tests.lab import SERVICE, Lab, end, ping, read_line
from tests.lab.namespaces import why_not

__all__ = ["measure_path", "peers", "probe", "service", "service_url"]

PROBE_TIMEOUT_S = 20.0
START_TIMEOUT_S = 20.0
_ROOT = Path(__file__).parents[1]
_FIRST = ["nice", "-n", "-15"]
"""Before what else the machine runs: a host of the laboratory stands for a machine of its own."""
UDP_PINGS = 200


@contextlib.contextmanager
def service(lab: Lab, folder: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The real service in its node, which answers a line ``[one, other]`` with the outcome of their probe."""
    options = {"host": lab.address(SERVICE), "data_dir": str(folder), **options}
    process = _start(lab, SERVICE, "service", options)
    try:
        read_line(process, timeout_s=START_TIMEOUT_S)
        yield process
    finally:
        end(process)


def service_url(lab: Lab) -> str:
    """Return where the peers find it."""
    return f"http://{lab.address(SERVICE)}:8765"


@contextlib.contextmanager
def peers(lab: Lab, *subjects: str) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """A real peer in every node that is named, under the node's name."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for subject in subjects:
            running[subject] = _start(lab, subject, "peer", {"url": service_url(lab), "subject": subject})
        for process in running.values():
            read_line(process, timeout_s=START_TIMEOUT_S)
        yield running
    finally:
        for process in running.values():
            end(process)


def _start(lab: Lab, node: str, program: str, options: dict[str, Any]) -> subprocess.Popen[bytes]:
    command = [*_FIRST, sys.executable, "-m", "benchmarks.probe_ends", program, json.dumps(options)]
    return lab.run(node, command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def probe(serving: subprocess.Popen[bytes], one: str, other: str) -> dict[str, Any]:
    """Let the service probe two subjects, and return the outcome."""
    assert serving.stdin is not None  # noqa: S101  # started with a pipe
    serving.stdin.write(json.dumps([one, other]).encode() + b"\n")
    serving.stdin.flush()
    outcome: dict[str, Any] = json.loads(read_line(serving, timeout_s=PROBE_TIMEOUT_S))
    return outcome


def _reading_ms(peer: subprocess.Popen[bytes]) -> float | None:
    """Return the single reading of a probe that has just ended, and pass over its result."""
    reading: float | None = None
    lines = [json.loads(read_line(peer, timeout_s=PROBE_TIMEOUT_S)) for _ in range(2)]
    for line in lines:
        reading = line.get("reading_ms", reading)
    return reading


# ---- a path


def measure_path(
    lab: Lab,
    serving: subprocess.Popen[bytes],
    running: dict[str, subprocess.Popen[bytes]],
    path: LabPath,
    *,
    probes: int,
) -> Probed:
    """Probe the two peers so often on one path."""
    (one, first), (other, second) = running.items()
    lab.condition(**path.settings)
    udp_ms = ping(lab, one, other, count=UDP_PINGS).median_ms
    lab.take_held_ms(one, other)
    lab.take_held_ms(other, one)
    outcomes, readings = [], []
    for _ in range(probes):
        outcomes.append(probe(serving, one, other))
        time.sleep(HELD_OPEN_S + 2 * path.rtt_ms / 1e3)
        readings += _readings_ms(outcomes[-1], (first, second))
    truth_ms = truth(lab.take_held_ms(one, other), lab.take_held_ms(other, one))
    ways = lab.counters().ways
    late_ms = max(ways[one, other].late_max_ms, ways[other, one].late_max_ms)
    return probed(path, (truth_ms, udp_ms), outcomes, readings, late_ms)


def _readings_ms(outcome: dict[str, Any], both: Sequence[subprocess.Popen[bytes]]) -> list[float]:
    """Return both single readings of a probe that went well; a repeated one has more lines than are read."""
    if outcome["reason"] != "measured" or outcome["repeated"]:
        for peer in both:
            _drain(peer)
        return []
    return [reading for peer in both if (reading := _reading_ms(peer)) is not None]


def _drain(peer: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(TimeoutError):
        while True:
            read_line(peer, timeout_s=1.0)


def run(chosen: Sequence[LabPath], *, probes: int, progress: Callable[[str], None]) -> list[Probed]:
    """Measure all of these."""
    found = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Lab() as lab,
        service(lab, Path(folder)) as serving,
        peers(lab, "a", "b") as running,
    ):
        measure_path(lab, serving, running, LabPath(0.0), probes=1)  # the first one pays for all imports
        for path in chosen:
            progress(path.name)
            found.append(measure_path(lab, serving, running, path, probes=probes))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Compare probes with paths of known delay.")
    parser.add_argument("--probes", type=int, default=20)
    parser.add_argument("--rtt-ms", type=float, nargs="+", default=list(ROUND_TRIPS_MS))
    parser.add_argument("--in-order", action="store_true", help="jitter keeps the packets' order")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if reason := why_not():
        sys.exit(f"no laboratory here: {reason}")
    console = Console(stderr=True)
    chosen = paths(options.rtt_ms, in_order=options.in_order)
    found = run(chosen, probes=options.probes, progress=console.print)
    if options.json:
        sys.stdout.write(json.dumps([attrs.asdict(one) for one in found]) + "\n")
    else:
        Console(width=200).print(table(found))


if __name__ == "__main__":
    main()
