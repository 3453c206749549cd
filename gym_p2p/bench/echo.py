"""``bench echo``: 64 bytes there and back between two processes."""

from __future__ import annotations

import contextlib

from gym_p2p.bench.figures import Report, Row, Series
from gym_p2p.bench.placement import named, placements
from gym_p2p.bench.run import Progress, Rounds, turns, wires

__all__ = ["bench_echo"]

WARM_UP = 100

_WIRES = {"ours": ("ours", "product"), "UDP": ("udp", "product"), "bare aiortc": ("aiortc", "asyncio")}


def bench_echo(*, rounds: int = 5, echoes: int = 800, progress: Progress) -> Report:
    """Measure round trips of small messages over our link, plain UDP and bare aiortc in turns.

    All three with both ends on one processor, and with a processor each.
    """
    found, places = Rounds("us"), placements()
    with contextlib.ExitStack() as stack:
        progress("connecting")
        pairs = {
            named(name, place): stack.enter_context(wires(*wire, processors=processors))
            for place, processors in places.items()
            for name, wire in _WIRES.items()
        }
        for pair in pairs.values():
            pair.other.request("reflect")
        for count in turns(found, rounds, progress, count=echoes, warm_up=WARM_UP):
            for name, pair in pairs.items():
                found.add(name, pair.one.request("echo", count=count))
    return Report(
        bench="echo",
        settings={"rounds": rounds, "echoes": echoes, "bytes": 64},
        notes=(
            "floor: a UDP socket on the event loop that the product uses",
            "anchor: a data channel of bare aiortc on asyncio, unordered, never repeated",
            "to wake another processor costs what it costs, whatever is sent: see the floor",
        ),
        rows=[row for place in places for row in _rows(found, place)],
        series=found.all(),
    )


def _rows(found: Rounds, place: str) -> list[Row]:
    ours, udp, aiortc = (found.series(named(name, place)) for name in _WIRES)
    tails = [_tail(one) for one in (ours, udp, aiortc)]
    return [
        Row(named("echo p50", place), "us", ours.p50, floor=udp.p50, anchor=aiortc.p50),
        Row(named("echo p99", place), "us", ours.p99, floor=udp.p99, anchor=aiortc.p99),
        Row(named("echo p99 in p50s", place), "1", tails[0], floor=tails[1], anchor=tails[2]),
    ]


def _tail(series: Series) -> float | None:
    return None if series.p50 is None or series.p99 is None else series.p99 / series.p50
