"""``bench scale --match``: matches of many in real time, each player a process of its own on this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from gym_p2p.bench.figures import ON_TIME, Report, Row
from gym_p2p.bench.processes import Worker
from gym_p2p.bench.run import Progress, Rounds, new_room, service
from gym_p2p.bench.scale import FPS, PLAYERS

__all__ = ["bench_scale_match"]

WARM_UP = 60
"""Frames that are not measured: everybody has just begun."""


def bench_scale_match(
    *, rounds: int = 2, frames: int = 240, players: Sequence[int] = PLAYERS, progress: Progress
) -> Report:
    """Play matches at 60 Hz in rollback, of more and more processes that share this machine's processors."""
    cpu, intervals = Rounds("us"), Rounds("ms")
    rows: list[Row] = []
    with service() as url:
        for count in players:
            progress(f"connecting {count} players")
            on_time = []
            with _table(url, count) as workers:
                _all(workers, "play", frames=min(WARM_UP, frames))
                for number in range(rounds):
                    progress(f"{count} players, round {number + 1} of {rounds}")
                    for one in _all(workers, "play", frames=frames):
                        cpu.add(f"{count} players: a frame", [one["cpu_us"]])
                        intervals.add(f"{count} players: from frame to frame", one["interval"])
                        on_time.append(one["on_time"])
            rows += _rows(cpu, intervals, count, min(players), 100 * sum(on_time) / len(on_time))
    return Report(
        bench="scale",
        settings={"rounds": rounds, "frames": frames, "players": list(players), "fps": FPS},
        notes=(
            "a process each, its network in a thread of it; real channels between all of them",
            "a frame: processor time of a player's process for one frame",
            "a frame and peer: the same, divided by how many others there are",
            f"all: how much of this machine's {os.cpu_count()} processors the players take together",
            ON_TIME,
        ),
        rows=rows,
        series=[*cpu.all(), *intervals.all()],
        columns=("ours", "of fewest", "anchor"),
    )


def _rows(cpu: Rounds, intervals: Rounds, count: int, fewest: int, on_time: float) -> list[Row]:
    frame_us = cpu.series(f"{count} players: a frame").p50
    of_fewest = cpu.series(f"{fewest} players: a frame").p50
    interval = intervals.series(f"{count} players: from frame to frame")
    if frame_us is None or of_fewest is None:
        return []
    share = 100 * frame_us * count * FPS / 1e6 / (os.cpu_count() or 1)
    return [
        Row(f"{count} players: a frame", "us", frame_us),
        Row("  a frame and peer", "us", frame_us / (count - 1), floor=of_fewest / (fewest - 1)),
        Row("  all", "% of all", share),
        Row("  frames on time", "%", on_time),
        Row("  frame to frame, p50", "ms", interval.p50),
        Row("  frame to frame, p99", "ms", interval.p99),
    ]


@contextlib.contextmanager
def _table(url: str, count: int) -> Iterator[list[Worker]]:
    """Let so many players, a process each, meet in a match."""
    room = new_room()
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker("mesh", players=count, index=index)) for index in range(count)]
        _all(workers, "open", url=url, room=room, sync="rollback")
        yield workers


def _all(workers: Sequence[Worker], operation: str, **arguments: Any) -> list[Any]:
    """Send all of them the same request at the same time; return their responses."""
    for worker in workers:
        worker.send_request(operation, **arguments)
    return [worker.response() for worker in workers]
