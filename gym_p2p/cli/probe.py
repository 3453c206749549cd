"""``gym-p2p probe``: what is my latency to them? Two terminals, or one against a waiting peer."""

from __future__ import annotations

import argparse
import json
import math
import secrets
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gym_p2p.cli.options import NAMES, add_emulation_options, count, emulation, name
from gym_p2p.cli.surroundings import run_until_interrupted
from gym_p2p.cli.tables import output_console
from gym_p2p.config import DEFAULT_SERVER_URL, LinkConfig, LinkEmulation
from gym_p2p.core.api.probes import MAX_PINGS
from gym_p2p.errors import ConfigurationError, ServiceRefused, UsageError
from gym_p2p.processes.progress import doing

if TYPE_CHECKING:
    from gym_p2p.net.probing.manager import ProbeResult

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "histogram", "result_document", "run"]

DESCRIPTION = "Measure the latency to another player over a channel like that of a match."
EPILOG = f"""\
examples:
  gym-p2p probe --wait --as ann                     (one terminal: waits until somebody probes it)
  gym-p2p probe ann                                 (the other one)
  gym-p2p probe ann --json --server http://10.0.0.5:8765

{NAMES}
"""
EXIT_NOT_MEASURED = 3
_PINGS = 20
"""A second's worth: enough for a picture, and the other side waits two for it."""
_BINS = 8
_BAR_CHARS = 40


EXIT_CODES = {0: "done: measured", 3: "no service, or nothing could be measured"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "peer", nargs="?", type=name, metavar="PEER", help="the name under which the other one waits"
    )
    parser.add_argument("--wait", action="store_true", help="wait to be probed, until Ctrl-C")
    parser.add_argument("--server", default=DEFAULT_SERVER_URL, metavar="URL", help="default: %(default)s")
    parser.add_argument(
        "--as", dest="subject", type=name, metavar="NAME", help="your name (default: a made-up one)"
    )
    parser.add_argument(
        "--pings", type=count, default=_PINGS, metavar="N", help="how many pings (default: %(default)s)"
    )
    parser.add_argument("--count", type=count, metavar="N", help="with --wait: end after N probes")
    parser.add_argument("--json", action="store_true", help="print every result as a line of JSON")
    network = parser.add_argument_group("network")
    network.add_argument("--relay-only", action="store_true", help="use relays (TURN) alone")
    add_emulation_options(network)


def run(arguments: argparse.Namespace) -> int:
    """Probe, or wait to be probed."""
    if arguments.wait and arguments.peer is not None:
        raise UsageError("--wait goes without PEER: who waits is probed, under the name of --as")
    if not arguments.wait and arguments.peer is None:
        raise UsageError("name the peer to probe, or give --wait to be probed yourself")
    if arguments.pings > MAX_PINGS:
        raise ConfigurationError("pings", f"wanted 1 to {MAX_PINGS}, got {arguments.pings}")
    subject = arguments.subject or f"probe-{secrets.token_hex(3)}"
    return run_until_interrupted(_wait(arguments, subject) if arguments.wait else _probe(arguments, subject))


async def _probe(arguments: argparse.Namespace, subject: str) -> int:
    from gym_p2p.net.probing.calls import probe_peer  # noqa: PLC0415 - aiortc, which --help does not need

    try:
        with doing(f"measuring the way to {arguments.peer}"):
            result = await probe_peer(
                arguments.peer,
                server_url=arguments.server,
                subject_id=subject,
                link=_link(arguments),
                pings=arguments.pings,
            )
    except ServiceRefused as error:
        if error.code != "no_such_subject":
            raise
        print(
            f"gym-p2p probe: nobody called {arguments.peer!r} waits at {arguments.server}; "
            f"on the other side: gym-p2p probe --wait --as {arguments.peer} --server {arguments.server}",
            file=sys.stderr,
        )
        return EXIT_NOT_MEASURED
    _show(result, as_json=arguments.json)
    return 0 if _pair_rtt_ms(result) is not None else EXIT_NOT_MEASURED


async def _wait(arguments: argparse.Namespace, subject: str) -> int:
    from gym_p2p.net.probing.calls import answer_probes  # noqa: PLC0415 - the same

    def announce() -> None:
        line = f"waiting as {subject}; on the other side: gym-p2p probe {subject} --server {arguments.server}"
        print(line, file=sys.stderr, flush=True)

    await answer_probes(
        server_url=arguments.server,
        subject_id=subject,
        link=_link(arguments),
        pings=arguments.pings,
        count=arguments.count,
        on_waiting=announce,
        on_result=lambda result: _show(result, as_json=arguments.json),
    )
    return 0


def _link(arguments: argparse.Namespace) -> LinkConfig:
    return LinkConfig(relay_only=arguments.relay_only, emulation=LinkEmulation(**emulation(arguments)))


def result_document(result: ProbeResult) -> dict[str, Any]:
    """Return a result as plain data, for ``--json``."""
    found, verdict = result.statistics, result.verdict
    return {
        "probe_session_id": result.probe_session_id,
        "peer": result.peer_subject_id,
        "rtt_ms": _pair_rtt_ms(result),
        "reason": None if verdict is None else verdict.reason,
        "marks": [] if verdict is None else sorted(verdict.marks),
        "failure": result.failure,
        "median_ms": None if found is None else found.median_ms,
        "min_ms": None if found is None else found.min_ms,
        "p95_ms": None if found is None else found.p95_ms,
        "jitter_ms": None if found is None else found.mad_ms,
        "pings": 0 if found is None else found.count,
        "lost": 0 if found is None else found.lost,
        "samples_ms": [] if found is None else list(found.samples_ms),
        "ice_rtt_ms": result.ice_rtt_ms,
        "path": None if result.path is None else attrs.asdict(result.path),
    }


def histogram(samples_ms: Sequence[float]) -> list[str]:
    """Return one line for every interval of the samples' range, with a bar as long as it is full."""
    if not samples_ms:
        return []
    low, high = min(samples_ms), max(samples_ms)
    width = (high - low) / _BINS or 1.0
    counts = [0] * (_BINS if high > low else 1)
    for sample in samples_ms:
        counts[min(int((sample - low) / width), len(counts) - 1)] += 1
    most = max(counts)
    return [
        f"{low + place * width:9.2f} ms  {'█' * math.ceil(number / most * _BAR_CHARS):<{_BAR_CHARS}} {number}"
        for place, number in enumerate(counts)
    ]


def _pair_rtt_ms(result: ProbeResult) -> float | None:
    """Return the pair's figure by the service, or our own where it sent none."""
    if result.verdict is not None:
        return result.verdict.rtt_ms
    return None if result.statistics is None else result.statistics.median_ms


def _show(result: ProbeResult, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result_document(result)), flush=True)
    else:
        output_console().print(_picture(result), soft_wrap=True)


def _picture(result: ProbeResult) -> RenderableType:
    found = result.statistics
    if found is None or not found.samples_ms:
        reason = result.failure if result.verdict is None else f"{result.failure} ({result.verdict.reason})"
        return Text(f"{result.peer_subject_id}: not measured: {reason}", style="red")
    marks = (
        "the service sent no verdict" if result.verdict is None else ", ".join(sorted(result.verdict.marks))
    )
    table = Table.grid(padding=(0, 2))
    table.add_row(
        "RTT", f"[bold]{_milliseconds(_pair_rtt_ms(result))}[/]", "the pair's: the larger median of both"
    )
    table.add_row("ours", _milliseconds(found.median_ms), f"median of {len(found.samples_ms)} pings")
    table.add_row("min", _milliseconds(found.min_ms))
    table.add_row("p95", _milliseconds(found.p95_ms))
    table.add_row("jitter", _milliseconds(found.mad_ms), "median deviation from the median")
    table.add_row("lost", f"{found.loss:.0%}", f"{found.lost} of {found.count} pings")
    table.add_row("ICE", _milliseconds(result.ice_rtt_ms), "one reading of the stats report")
    table.add_row("path", _path(result), marks)
    bars = (Text(line) for line in histogram(found.samples_ms))
    return Group(Text(f"to {result.peer_subject_id}", style="bold"), table, Text(""), *bars)


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def _path(result: ProbeResult) -> str:
    path = result.path
    if path is None:
        return "unknown"
    return f"{path.local or '?'} to {path.remote or '?'}, {path.relay_protocol or path.protocol or '?'}"
