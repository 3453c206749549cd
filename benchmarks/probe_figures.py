"""Probes' figures against the truth of the paths they were measured on.

**The truth** of a path is what its forwarder did, by its own record of how long it kept each packet: the
median of the sum of a delay there and a delay back, drawn from these records independently of each other.
It contains the configured delay, the jitter and the forwarder's own lateness, and nothing of the hosts. On
a path without jitter that is the configured round trip. With an exponential jitter of mean 5 ms each way it
is about 8.4 ms more (the median of the sum of two; the mean would be 10 more). Jitter here reorders
packets, as it does between independent routes: on a path that keeps the order (``--in-order``) a packet's
delay depends on its neighbours', so that "the" round trip depends on who measures.

Under jitter a median also takes in the *mean* of what the hosts add, where on an even path it takes in their
median: on a busy machine, whose wake-ups now and then take milliseconds, that is a difference. The column
"UDP" shows what a bare ping beside it, in a real-time process, is off by.

A probe's figure is the larger one of two medians of 5 to 15 pings each (so that nobody gains by reporting
too little): under jitter of 5 ms it lies 1.5 ms above the truth for that reason alone. So both are shown:
what each side reported, which is held to the target, and the pair's figure. And a median of ten such pings
has a standard deviation of 2.5 ms, that of twenty of these medians still 0.7.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from typing import Any, TypedDict

import attrs
from rich.table import Table

__all__ = [
    "ROUND_TRIPS_MS",
    "LabPath",
    "Line",
    "Probed",
    "paths",
    "probed",
    "summarize",
    "table",
    "target_ms",
    "truth",
]

ROUND_TRIPS_MS = (0.0, 20.0, 50.0, 100.0, 200.0)
JITTER_MS = 5.0
LOSS = 0.02
_DRAWS = 20_000


class Settings(TypedDict):
    """The laboratory's conditions of a path."""

    one_way_ms: float
    jitter_ms: float
    loss: float
    in_order: bool


@attrs.frozen
class LabPath:
    """One path: its round trip without jitter, and what is added to it."""

    rtt_ms: float
    jitter_ms: float = 0.0
    loss: float = 0.0
    in_order: bool = False

    @property
    def name(self) -> str:
        """What it is called in the table."""
        shaken = f" +{self.jitter_ms:g} ms, {self.loss:.0%}" if self.jitter_ms or self.loss else ""
        return f"{self.rtt_ms:g} ms{shaken}{', in order' if self.in_order else ''}"

    @property
    def settings(self) -> Settings:
        """The laboratory's conditions of it."""
        return {
            "one_way_ms": self.rtt_ms / 2,
            "jitter_ms": self.jitter_ms,
            "loss": self.loss,
            "in_order": self.in_order,
        }


@attrs.frozen(kw_only=True)
class Probed:
    """What was found on one path.

    Attributes:
        truth_ms: by the forwarder's record.
        udp_ms: what a UDP ping's median was; ``None`` without one.
        sides_ms: each side's reports, by subject; lost probes are missing.
        pair_ms: the service's figures.
        readings_ms: single readings of the stats report after half a second, of both sides.
        samples: pings answered a report.
        took_s: from ``probe_prepare`` to the verdict.
        failed: probes without a figure, by reason.
        late_ms: the forwarder's greatest lateness.
    """

    path: LabPath
    truth_ms: float
    udp_ms: float | None
    sides_ms: dict[str, list[float]]
    pair_ms: list[float]
    readings_ms: list[float]
    samples: list[int]
    took_s: list[float]
    failed: list[str]
    late_ms: float


@attrs.frozen(kw_only=True)
class Line:
    """Figures against the truth, in ms: signed error of the median, 95th percentile of the error's size."""

    median_ms: float
    error_ms: float
    p95_error_ms: float
    within: float
    """The share within 1 ms + 2 %."""


def target_ms(truth_ms: float) -> float:
    """Return how far a figure may be off."""
    return 1.0 + 0.02 * truth_ms


def summarize(values_ms: Sequence[float], truth_ms: float) -> Line:
    """Compare figures with the truth."""
    sizes = sorted(abs(value - truth_ms) for value in values_ms)
    middle = statistics.median(values_ms)
    return Line(
        median_ms=middle,
        error_ms=middle - truth_ms,
        p95_error_ms=sizes[math.ceil(0.95 * len(sizes)) - 1],
        within=sum(size <= target_ms(truth_ms) for size in sizes) / len(sizes),
    )


def paths(round_trips_ms: Sequence[float], *, in_order: bool) -> list[LabPath]:
    """Return every path clean and shaken."""
    clean = [LabPath(rtt_ms) for rtt_ms in round_trips_ms]
    return clean + [LabPath(rtt_ms, JITTER_MS, LOSS, in_order) for rtt_ms in round_trips_ms]


def probed(
    path: LabPath,
    truths_ms: tuple[float, float | None],
    outcomes: Sequence[dict[str, Any]],
    readings_ms: Sequence[float],
    late_ms: float,
) -> Probed:
    """Sort outcomes into what was found; ``truths_ms`` is the forwarder's and the UDP ping's."""
    sides: dict[str, list[float]] = {}
    samples: list[int] = []
    for outcome in outcomes:
        for subject, report in outcome["reports"].items():
            if report is not None and report["rtt_ms"] is not None:
                sides.setdefault(subject, []).append(report["rtt_ms"])
                samples.append(len(report["samples_ms"]))
    return Probed(
        path=path,
        truth_ms=truths_ms[0],
        udp_ms=truths_ms[1],
        sides_ms=sides,
        pair_ms=[outcome["rtt_ms"] for outcome in outcomes if outcome["rtt_ms"] is not None],
        readings_ms=list(readings_ms),
        samples=samples,
        took_s=[outcome["took_s"] for outcome in outcomes if not outcome["repeated"]],
        failed=[outcome["reason"] for outcome in outcomes if outcome["rtt_ms"] is None],
        late_ms=late_ms,
    )


def truth(there_ms: Sequence[float], back_ms: Sequence[float]) -> float:
    """Return the median round trip of packets that were kept as these were, independently each way."""
    draws = random.Random(1)
    return statistics.median(draws.choice(there_ms) + draws.choice(back_ms) for _ in range(_DRAWS))


def table(found: Sequence[Probed]) -> Table:
    """Return the figures of all paths beside each other."""
    out = Table(title="probes against the truth, ms")
    for column in ("path", "truth", "target", "UDP"):
        out.add_column(column, justify="left" if column == "path" else "right")
    for column in ("side 1", "side 2", "error", "p95", "within", "pair", "1 reading", "p95", "within"):
        out.add_column(column, justify="right")
    for column in ("pings", "took s", "late", "n"):
        out.add_column(column, justify="right")
    for one in found:
        out.add_row(*_row(one))
    return out


def _row(one: Probed) -> list[str]:
    sides = [statistics.median(values) for values in one.sides_ms.values()]
    reports = summarize([value for values in one.sides_ms.values() for value in values], one.truth_ms)
    reading = summarize(one.readings_ms, one.truth_ms) if one.readings_ms else None
    return [
        one.path.name,
        f"{one.truth_ms:.2f}",
        f"±{target_ms(one.truth_ms):.2f}",
        "-" if one.udp_ms is None else f"{one.udp_ms - one.truth_ms:+.2f}",
        *(f"{side - one.truth_ms:+.2f}" for side in sides),
        f"{reports.error_ms:+.2f}",
        f"{reports.p95_error_ms:.2f}",
        f"{reports.within:.0%}",
        f"{statistics.median(one.pair_ms) - one.truth_ms:+.2f}",
        "-" if reading is None else f"{reading.error_ms:+.2f}",
        "-" if reading is None else f"{reading.p95_error_ms:.2f}",
        "-" if reading is None else f"{reading.within:.0%}",
        f"{statistics.mean(one.samples):.1f}",
        f"{statistics.median(one.took_s):.2f}",
        f"{one.late_ms:.1f}",
        f"{len(one.pair_ms)}" + (f" ({len(one.failed)} failed)" if one.failed else ""),
    ]
