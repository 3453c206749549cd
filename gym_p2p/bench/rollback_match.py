"""``bench rollback --match``: a match on guesses in real time, of two processes over emulated distance."""

from __future__ import annotations

import contextlib

from gym_p2p.bench.figures import ON_TIME, Report, Row
from gym_p2p.bench.rollback import NETWORK
from gym_p2p.bench.run import Progress, Rounds, matches, service
from gym_p2p.core.latency.statistics import nearest_rank

__all__ = ["bench_match"]

FRAME_MS = 1000 / 60


def bench_match(*, rounds: int = 3, frames: int = 600, progress: Progress) -> Report:
    """Play a real match of two processes over emulated distance, paced, and see what it is like."""
    steps, intervals = Rounds("us"), Rounds("ms")
    with contextlib.ExitStack() as stack:
        progress("connecting")
        url = stack.enter_context(service())
        options = {"fps": 60.0, "sync": "rollback", "emulation": dict(NETWORK)}
        pair = stack.enter_context(matches(url, {"match": options}))["match"]
        on_time = []
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            for one in pair.request("rally", frames=frames):
                steps.add("processor time of a step", one["step"])
                intervals.add("from frame to frame", one["interval"])
                on_time.append(one["on_time"])
        seen = pair.request("rollbacks")
    step, interval = steps.series("processor time of a step"), intervals.series("from frame to frame")
    played = sum(one["frames"] for one in seen)
    depths = [depth for one in seen for depth in one["depths"]]
    return Report(
        bench="rollback",
        settings={"rounds": rounds, "frames": frames, "fps": 60, **NETWORK},
        notes=(
            "real channels; 50 ms one way, 5 ms of jitter and 2 % loss are emulated",
            "both players change their action every 7 frames",
            ON_TIME,
            "floor: a frame's time",
        ),
        rows=[
            Row("frames on time", "%", 100 * sum(on_time) / len(on_time)),
            Row("frame to frame, p50", "ms", interval.p50, floor=FRAME_MS),
            Row("frame to frame, p99", "ms", interval.p99, floor=FRAME_MS),
            Row("processor time, p50", "us", step.p50),
            Row("processor time, p99", "us", step.p99),
            Row("stalls", "%", 100 * sum(one["stalls"] for one in seen) / played),
            Row("ticks that roll back", "%", 100 * len(depths) / played),
            Row("  depth, p50", "1", nearest_rank(depths, 0.5) if depths else None),
            Row("  depth, most", "1", max(depths, default=None)),
            Row("frames played again", "%", 100 * sum(one["again"] for one in seen) / played),
        ],
        series=[*steps.all(), *intervals.all()],
        columns=("ours", "floor", "target"),
    )
