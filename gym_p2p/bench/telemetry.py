"""``bench telemetry``: what measuring the latency costs a match, and how far from a known path it is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

from gym_p2p.bench.figures import Report, Row, less
from gym_p2p.bench.processes import Pair
from gym_p2p.bench.run import Progress, Rounds, matches, new_room, players, service, wires

__all__ = ["bench_telemetry"]

ROUND_TRIPS_MS = (0.0, 20.0, 50.0, 100.0, 200.0)

OFF_MS = 3_600_000.0
"""The longest interval that telemetry takes: within a bench it never polls."""

FAST_MS = 50.0

_INTERVALS_MS = {"off": OFF_MS, "1 Hz": 1000.0, "20 Hz": FAST_MS}

PATH_POLL_MS = 250.0
"""Above the longest round trip here with its jitter: a poll may take no longer than its interval."""

UDP_INTERVAL_S = 0.05

SETTLE_S = 0.5
"""What setting up leaves to be done is over by then."""

WARM_UP = 100


def bench_telemetry(
    *,
    rounds: int = 3,
    round_s: float = 1.0,
    path_s: float = 2.0,
    round_trips_ms: Sequence[float] = ROUND_TRIPS_MS,
    jitter_ms: float = 0.0,
    loss: float = 0.0,
    busy: bool = False,
    progress: Progress,
) -> Report:
    """Measure telemetry's effect on steps, its processor time, and its error on emulated paths.

    Args:
        rounds: of steps, for each of telemetry off, at 1 Hz and at 20 Hz.
        round_s: about how long one of them lasts.
        path_s: how long every path is measured.
        round_trips_ms: of the emulated paths.
        jitter_ms: mean extra delay of every datagram on the paths.
        loss: share of the paths' datagrams that is lost.
        busy: let the players' threads compute without pause while a path is measured.
        progress: is called with what goes on.
    """
    steps, cost, paths = Rounds("us"), Rounds("us"), Rounds("ms")
    with service() as url:
        _measure_steps(url, rounds, round_s, steps, progress)
        with players() as pair:
            progress("processor time of a poll")
            _measure_cost(pair, url, 2 * round_s, cost)
            added = {"jitter_ms": jitter_ms, "loss": loss}
            for rtt_ms in round_trips_ms:
                progress(f"a path of {rtt_ms:g} ms{', players computing' if busy else ''}")
                ours, udp = _measure_path(pair, url, rtt_ms, added, path_s, busy=busy)
                paths.add(f"telemetry over {rtt_ms:g} ms", ours)
                paths.add(f"UDP over {rtt_ms:g} ms", udp)
    return Report(
        bench="telemetry",
        settings={
            "rounds": rounds,
            "round_s": round_s,
            "path_s": path_s,
            "jitter_ms": jitter_ms,
            "loss": loss,
            "busy": busy,
        },
        notes=(
            "step: the floor is the same match with telemetry off; the anchor is telemetry at 20 Hz",
            "poll: processor time of one poll; at 1 Hz, 10,000 us are one percent of a core",
            "RTT: the median that telemetry reports; the floor is that of UDP echoes over the same emulation",
        ),
        rows=[*_step_rows(steps), *_cost_rows(cost), *_path_rows(paths, round_trips_ms)],
        series=[*steps.all(), *cost.all(), *paths.all()],
    )


def _measure_steps(url: str, rounds: int, round_s: float, steps: Rounds, progress: Progress) -> None:
    progress("connecting")
    options = {name: {"poll_interval_ms": interval_ms} for name, interval_ms in _INTERVALS_MS.items()}
    with matches(url, options) as opened:
        warm = [pair.request("play", frames=WARM_UP)[0]["step"] for pair in opened.values()]
        frames = max(10, int(round_s * 1e6 / statistics.median(map(statistics.median, warm))))
        for number in range(rounds):
            for name, pair in opened.items():
                progress(f"round {number + 1} of {rounds}: steps, telemetry {name}")
                steps.add(f"step, telemetry {name}", pair.request("play", frames=frames)[0]["step"])


def _measure_cost(pair: Pair, url: str, seconds: float, cost: Rounds) -> None:
    """Compare the processor time of idle players; the network is in the same process here."""
    used: list[list[dict[str, float]]] = []
    for interval_ms in (OFF_MS, FAST_MS):
        _open(pair, url, network="thread", poll_interval_ms=interval_ms)
        pair.request("idle", seconds=SETTLE_S)
        used.append(pair.request("idle", seconds=seconds))
        pair.request("close")
    polls_us = [
        (polling["cpu_s"] - idle["cpu_s"]) / polling["polls"] * 1e6
        for idle, polling in zip(*used, strict=True)
        if polling["polls"]
    ]
    cost.add("poll, processor time", polls_us)


def _measure_path(
    pair: Pair, url: str, rtt_ms: float, added: dict[str, float], seconds: float, *, busy: bool
) -> tuple[list[float], list[float]]:
    """Measure one path by telemetry and by plain UDP at the same time, in milliseconds."""
    emulation = {**added, "one_way_ms": rtt_ms / 2}
    _open(pair, url, emulation=emulation, poll_interval_ms=PATH_POLL_MS)
    with wires("udp", "product", emulation) as udp:
        udp.other.request("reflect")
        count = max(1, int(seconds / (UDP_INTERVAL_S + rtt_ms / 1e3)))
        udp.one.send_request("echo", count=count, interval_s=UDP_INTERVAL_S)
        if busy:
            pair.request("play", frames=1, learner_ms=seconds * 1e3)
        else:
            time.sleep(seconds)
        truth_us: list[float] = udp.one.response()
    seen_ms: list[float] = pair.one.request("round_trips")
    pair.request("close")
    return seen_ms, [one / 1e3 for one in truth_us]


def _open(pair: Pair, url: str, **options: Any) -> None:
    pair.request("open", url=url, room=new_room(), options=options)


def _step_rows(steps: Rounds) -> list[Row]:
    off, slow, fast = (steps.series(f"step, telemetry {name}") for name in _INTERVALS_MS)
    return [
        Row("step p50, telemetry at 1 Hz", "us", slow.p50, floor=off.p50, anchor=fast.p50),
        Row("step p99, telemetry at 1 Hz", "us", slow.p99, floor=off.p99, anchor=fast.p99),
    ]


def _cost_rows(cost: Rounds) -> list[Row]:
    poll_us = cost.series("poll, processor time").p50
    return [
        Row("processor time of a poll", "us", poll_us),
        Row("share of a core at 1 Hz", "%", None if poll_us is None else poll_us / 1e4),
    ]


def _path_rows(paths: Rounds, round_trips_ms: Sequence[float]) -> list[Row]:
    rows = []
    for rtt_ms in round_trips_ms:
        ours, udp = paths.series(f"telemetry over {rtt_ms:g} ms"), paths.series(f"UDP over {rtt_ms:g} ms")
        rows.append(Row(f"median RTT, path of {rtt_ms:g} ms", "ms", ours.p50, floor=udp.p50))
        rows.append(Row(f"error, path of {rtt_ms:g} ms", "ms", less(ours.p50, udp.p50)))
    return rows
