"""``bench echo``: 64 bytes there and back between two processes."""

from __future__ import annotations

import contextlib

from gym_p2p.bench.figures import Report, Row, Series
from gym_p2p.bench.run import Progress, Rounds, turns, wires

__all__ = ["bench_echo"]

WARM_UP = 100

_VARIANTS = {
    "ours": ("ours", "product"),
    "UDP on asyncio": ("udp", "asyncio"),
    "UDP on the product's loop": ("udp", "product"),
    "bare aiortc": ("aiortc", "asyncio"),
}


def _tail(series: Series) -> float | None:
    return None if series.p50 is None or series.p99 is None else series.p99 / series.p50


def bench_echo(*, rounds: int = 5, echoes: int = 800, progress: Progress) -> Report:
    """Measure round trips of small messages over our link, plain UDP and bare aiortc in turns."""
    found = Rounds("us")
    with contextlib.ExitStack() as stack:
        progress("connecting")
        pairs = {name: stack.enter_context(wires(*what)) for name, what in _VARIANTS.items()}
        for pair in pairs.values():
            pair.other.request("reflect")
        for count in turns(found, rounds, progress, count=echoes, warm_up=WARM_UP):
            for name, pair in pairs.items():
                found.add(name, pair.one.request("echo", count=count))
    ours, udp, aiortc = (found.series(name) for name in ("ours", "UDP on asyncio", "bare aiortc"))
    quick = found.series("UDP on the product's loop")
    tails = (_tail(one) for one in (ours, udp, aiortc))
    return Report(
        bench="echo",
        settings={"rounds": rounds, "echoes": echoes, "bytes": 64},
        notes=(
            "floor: a UDP socket on asyncio, and on the event loop that the product uses",
            "anchor: a data channel of bare aiortc on asyncio, unordered, never repeated",
        ),
        rows=(
            Row("echo p50", "us", ours.p50, floor=udp.p50, anchor=aiortc.p50),
            Row("echo p99", "us", ours.p99, floor=udp.p99, anchor=aiortc.p99),
            Row("echo p50, same loop", "us", ours.p50, floor=quick.p50),
            Row("echo p99, same loop", "us", ours.p99, floor=quick.p99),
            Row("echo p99 in p50s", "1", next(tails), floor=next(tails), anchor=next(tails)),
        ),
        series=found.all(),
    )
