"""``bench scale``: what a frame costs each player, with two, four and eight of them."""

from __future__ import annotations

from typing import Literal

from gym_p2p.bench.figures import Report, Row
from gym_p2p.bench.many_players import frame_cost_us
from gym_p2p.bench.run import Progress, Rounds, turns

__all__ = ["PLAYERS", "bench_scale"]

PLAYERS = (2, 4, 8)

_MODES: tuple[Literal["lockstep", "rollback"], ...] = ("lockstep", "rollback")
_MOST = 1.3
"""Target: the cost with eight as a multiple of that with two."""


def bench_scale(*, rounds: int = 3, frames: int = 300, progress: Progress) -> Report:
    """Measure the processor time of a frame and player in simulated matches of ever more players."""
    found = Rounds("us")
    for count in turns(found, rounds, progress, count=frames, warm_up=30):
        for sync in _MODES:
            for players in PLAYERS:
                found.add(_name(sync, players), [frame_cost_us(players, sync, count)])
    rows = []
    for sync in _MODES:
        two = found.series(_name(sync, PLAYERS[0])).p50
        for players in PLAYERS:
            cost = found.series(_name(sync, players)).p50
            most = None if two is None or players == PLAYERS[0] else _MOST * two
            rows.append(Row(f"{sync}, {players} players", "us", cost, floor=two, anchor=most))
            others = None if cost is None else cost / (players - 1)
            rows.append(Row("  for each of the others", "us", others, floor=two))
    return Report(
        bench="scale",
        settings={"rounds": rounds, "frames": frames, "fps": 60},
        notes=(
            "processor time of a frame and player: network half, session and a game of next to nothing",
            "simulated, 60 Hz, 25 ms one way; lockstep with an input delay of two frames",
            "floor: with two players",
        ),
        rows=rows,
        series=found.all(),
        columns=("ours", "two", "target"),
    )


def _name(sync: str, players: int) -> str:
    return f"{sync}, {players} players"
