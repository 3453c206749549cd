"""``gym-p2p bench``: what things cost on this machine, beside floors and anchors of the same run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from gym_p2p.bench.connect import bench_connect
from gym_p2p.bench.echo import bench_echo
from gym_p2p.bench.figures import Report
from gym_p2p.bench.rollback import bench_rollback
from gym_p2p.bench.rollback_match import bench_match
from gym_p2p.bench.run import Progress
from gym_p2p.bench.step import bench_learner, bench_step
from gym_p2p.bench.telemetry import bench_telemetry
from gym_p2p.cli.options import above_zero, between, count
from gym_p2p.cli.tables import Column, FittingTable, figure, output_console

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

DESCRIPTION = "Measure on this machine what things cost; nothing leaves it. Each takes about 30 s."
EPILOG = """\
examples:
  gym-p2p bench step                      a step in lockstep, unpaced, beside bare exchanges
  gym-p2p bench step --learner-ms 15      paced, with a learner computing between steps
  gym-p2p bench connect --unreachable-stun
  gym-p2p bench rollback                  the session, saving and loading, rollbacks of 8 frames
  gym-p2p bench rollback --match          a match at 60 Hz over 100 ms of round trip, jitter and loss
  gym-p2p bench telemetry --jitter-ms 3 --loss 0.02 --busy

Figures depend on the machine and on what else it does: compare the columns of one run, not two runs.
"""


EXIT_CODES = {0: "done: measured", 1: "something could not be measured"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "what",
        choices=tuple(_BENCHES),
        help="connect: to open channels; echo: 64 bytes there and back; step: a step in lockstep; "
        "rollback: what guessing costs; telemetry: its effect on steps, and its error",
    )
    parser.add_argument("--rounds", type=count, metavar="N", help="how often all take their turn")
    parser.add_argument("--json", action="store_true", help="print one JSON object with every round")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    connect = parser.add_argument_group("connect")
    connect.add_argument(
        "--unreachable-stun", action="store_true", help="also with a STUN server that never answers"
    )
    counts = parser.add_argument_group("echo, step and rollback")
    counts.add_argument("--count", type=count, metavar="N", help="echoes or frames a round")
    step = parser.add_argument_group("step")
    step.add_argument(
        "--learner-ms",
        type=above_zero,
        metavar="MS",
        help="compute this long between steps, paced at 60 a second, and compare where the network runs",
    )
    rollback = parser.add_argument_group("rollback")
    rollback.add_argument("--match", action="store_true", help="a real match of two processes, in real time")
    paths = parser.add_argument_group("telemetry")
    paths.add_argument("--seconds", type=above_zero, metavar="S", help="how long a path is measured")
    paths.add_argument(
        "--jitter-ms", type=between(0, 10_000), default=0.0, metavar="MS", help="mean extra delay"
    )
    paths.add_argument("--loss", type=between(0, 1), default=0.0, metavar="P", help="share of lost datagrams")
    paths.add_argument("--busy", action="store_true", help="the players compute without pause meanwhile")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""

    def progress(text: str) -> None:
        if not args.quiet:
            print(text, file=sys.stderr, flush=True)

    report = _BENCHES[args.what](args, progress)
    if args.json:
        print(json.dumps(report.to_mapping(), allow_nan=False))
    else:
        _print(report)
    return 0


def _connect(args: argparse.Namespace, progress: Progress) -> Report:
    return bench_connect(unreachable_stun=args.unreachable_stun, progress=progress, **_given(args, "rounds"))


def _echo(args: argparse.Namespace, progress: Progress) -> Report:
    return bench_echo(progress=progress, **_given(args, "rounds", echoes="count"))


def _step(args: argparse.Namespace, progress: Progress) -> Report:
    given = _given(args, "rounds", frames="count")
    if args.learner_ms is None:
        return bench_step(progress=progress, **given)
    return bench_learner(learner_ms=args.learner_ms, progress=progress, **given)


def _rollback(args: argparse.Namespace, progress: Progress) -> Report:
    bench = bench_match if args.match else bench_rollback
    return bench(progress=progress, **_given(args, "rounds", frames="count"))


def _telemetry(args: argparse.Namespace, progress: Progress) -> Report:
    return bench_telemetry(
        jitter_ms=args.jitter_ms,
        loss=args.loss,
        busy=args.busy,
        progress=progress,
        **_given(args, "rounds", path_s="seconds"),
    )


_BENCHES: dict[str, Callable[[argparse.Namespace, Progress], Report]] = {
    "connect": _connect,
    "echo": _echo,
    "step": _step,
    "rollback": _rollback,
    "telemetry": _telemetry,
}


def _given(args: argparse.Namespace, *same: str, **renamed: str) -> dict[str, Any]:
    """Return the options that were given, by the names that the bench has for them."""
    names = {name: name for name in same} | renamed
    return {
        name: getattr(args, option) for name, option in names.items() if getattr(args, option) is not None
    }


def _print(report: Report) -> None:
    ours, floor, anchor = report.columns
    table = FittingTable(
        [
            Column("what", words=True),
            Column("unit", rank=5),
            Column(ours),
            Column(floor, rank=2),
            Column(anchor, rank=1),
            Column(f"{ours} / {floor}", rank=4),
            Column(f"{ours} / {anchor}", rank=3),
        ],
        tells=True,
    )
    for row in report.rows:
        figures = (row.ours, row.floor, row.anchor, row.per_floor, row.per_anchor)
        table.add_row(row.what, row.unit, *map(_cell, figures))
    console = output_console()
    console.print(table)
    for note in report.notes:
        console.print(note, style="dim", soft_wrap=True)


def _cell(value: float | None) -> str:
    return "" if value is None else figure(value, ".1f" if abs(value) >= 10 else ".2f")
