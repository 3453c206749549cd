"""``bench step``: what a step in lockstep costs beyond the environment's, and what a learner does to it."""

from __future__ import annotations

import contextlib

import attrs

from gym_p2p.bench.figures import Report, Row, less
from gym_p2p.bench.run import Progress, Rounds, matches, service, turns, wires
from gym_p2p.core.latency.statistics import nearest_rank

__all__ = ["bench_learner", "bench_step"]

WARM_UP = 150

NETWORKS = ("thread", "process")


def bench_step(*, rounds: int = 5, frames: int = 1000, progress: Progress) -> Report:
    """Measure unpaced lockstep between two processes, beside bare exchanges of messages."""
    found = Rounds("us")
    with contextlib.ExitStack() as stack:
        progress("connecting")
        url = stack.enter_context(service())
        opened = stack.enter_context(matches(url, {name: {"network": name} for name in NETWORKS}))
        best = stack.enter_context(wires("ours", "product"))
        best.request("listen")
        usual = stack.enter_context(wires("aiortc", "asyncio"))
        usual.request("listen_by_future")
        for count in turns(found, rounds, progress, count=frames, warm_up=WARM_UP):
            found.add("bare exchange", best.request("exchange", count=count)[0])
            found.add("usual exchange", usual.request("exchange_by_future", count=count)[0])
            for network, pair in opened.items():
                found.add("bare env.step", pair.one.request("bare", frames=count))
                one = pair.request("play", frames=count)[0]
                found.add(f"step, network={network}", one["step"])
                found.add(f"user's process, network={network}", [one["cpu_us"]])
    return Report(
        bench="step",
        settings={"rounds": rounds, "frames": frames, "environment": "gym_p2p/Rally-v0"},
        notes=(
            "'beyond env.step' is P2PEnv.step less the median of the bare environment's step",
            "floor: bare messages in lockstep over our own link, by call_soon_threadsafe and a raw lock",
            "anchor: the same over bare aiortc on asyncio, by run_coroutine_threadsafe",
            "processor time is that of the process that calls step: a network thread is part of it",
        ),
        rows=_step_rows(found),
        series=found.all(),
    )


def _step_rows(found: Rounds) -> list[Row]:
    best, usual, bare = (found.series(n) for n in ("bare exchange", "usual exchange", "bare env.step"))
    rows = [Row("env.step alone p50", "us", bare.p50)]
    for network in NETWORKS:
        step = found.series(f"step, network={network}")
        own50, own99 = less(step.p50, bare.p50), less(step.p99, bare.p50)
        what = f"beyond env.step, network={network}"
        rows += [
            Row(f"{what}, p50", "us", own50, floor=best.p50, anchor=usual.p50),
            Row(f"{what}, p99", "us", own99, floor=best.p99, anchor=usual.p99),
        ]
    for network in NETWORKS:
        used = found.series(f"user's process, network={network}")
        rows.append(Row(f"processor time a step, network={network}", "us", used.p50))
    return rows


@attrs.frozen
class _Case:
    """A way to run the network beside a busy learner."""

    name: str
    network: str
    stock_switching: bool


_CASES = (
    _Case("process", "process", stock_switching=False),
    _Case("thread", "thread", stock_switching=False),
    _Case("thread, stock switch interval", "thread", stock_switching=True),
)


def bench_learner(
    *, learner_ms: float, rounds: int = 3, frames: int = 150, fps: float = 60.0, progress: Progress
) -> Report:
    """Measure paced steps and telemetry's round trips while both players compute between steps.

    Args:
        learner_ms: pure Python between two steps, holding the interpreter lock.
        rounds: how often.
        frames: steps a round.
        fps: how often a step begins at most.
        progress: is called with what goes on.
    """
    steps, trips = Rounds("us"), Rounds("ms")
    with contextlib.ExitStack() as stack:
        progress("connecting")
        url = stack.enter_context(service())
        options = {case: {"network": case.network, "poll_interval_ms": 100} for case in _CASES}
        opened = stack.enter_context(matches(url, options))
        for number in range(rounds):
            for case, pair in opened.items():
                progress(f"round {number + 1} of {rounds}: {case.name}")
                before = len(pair.one.request("round_trips"))
                stock = case.stock_switching
                one = pair.request(
                    "play", frames=frames, learner_ms=learner_ms, fps=fps, stock_switching=stock
                )
                steps.add(f"step, {case.name}", one[0]["step"])
                seen: list[float] = pair.one.request("round_trips")[before:]
                if seen:
                    trips.add(f"RTT, {case.name}", seen)
                    trips.add(f"RTT, {case.name}: p95", [nearest_rank(seen, 0.95)])
    return Report(
        bench="step",
        settings={"rounds": rounds, "frames": frames, "learner_ms": learner_ms, "fps": fps},
        notes=(
            "thread: with the product's switch interval; stock thread: with Python's default of 5 ms",
            "round trips are telemetry's, polled at 10 Hz; on this path the truth is well below 1 ms",
        ),
        rows=[
            _beside("step p50", "us", [steps.series(f"step, {case.name}").p50 for case in _CASES]),
            _beside("step p99", "us", [steps.series(f"step, {case.name}").p99 for case in _CASES]),
            _beside("RTT p50", "ms", [trips.series(f"RTT, {case.name}").p50 for case in _CASES]),
            _beside("RTT p95", "ms", [trips.series(f"RTT, {case.name}: p95").p50 for case in _CASES]),
        ],
        series=[*steps.all(), *trips.all()],
        columns=("process", "thread", "stock thread"),
    )


def _beside(what: str, unit: str, values: list[float | None]) -> Row:
    ours, floor, anchor = values
    return Row(what, unit, ours, floor=floor, anchor=anchor)
