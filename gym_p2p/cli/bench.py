"""``gym-p2p bench``: what things cost on this machine, beside floors and anchors of the same run."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gym_p2p.cli.fault_table import marked_page, print_faults, print_kinds, write_faults
from gym_p2p.cli.options import above_zero, between, count
from gym_p2p.cli.tables import Column, FittingTable, figure, output_console
from gym_p2p.errors import UsageError

if TYPE_CHECKING:
    from gym_p2p.bench.faults import FaultReport
    from gym_p2p.bench.figures import Report
    from gym_p2p.bench.run import Progress
    from gym_p2p.bench.service import Load, LoadReport

# Each bench brings all that it compares with: it is imported when it is the one that is wanted.

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

DESCRIPTION = (
    "Measure on this machine what things cost; nothing leaves it. Most take 30 s to a minute; "
    "faults and human take longer."
)
EPILOG = """\
examples:
  gym-p2p bench step                      a step in lockstep, unpaced, beside bare exchanges
  gym-p2p bench step --learner-ms 15      paced, with a learner computing between steps
  gym-p2p bench connect --unreachable-stun
  gym-p2p bench rollback                  the session, saving and loading, rollbacks of 8 frames
  gym-p2p bench rollback --match          a match at 60 Hz over 100 ms of round trip, jitter and loss
  gym-p2p bench scale                     a frame of 2, 3, 4 and 8 players, on virtual time
  gym-p2p bench scale --match             the same at 60 Hz, a process for each player
  gym-p2p bench data                      to load 200 matches of 10 minutes, and make their report
  gym-p2p bench service                   a service while clients misbehave, beside a bare relay
  gym-p2p bench human                     a person's page: what they feel, and what their seat costs
  gym-p2p bench telemetry --jitter-ms 3 --loss 0.02 --busy
  gym-p2p bench faults --list             every kind of fault, in a checkout, as root
  gym-p2p bench faults --kinds "blackout 3" freeze --count 4
  gym-p2p bench faults --keep build/faults   all of them; once more to go on where it was broken off

Figures depend on the machine and on what else it does: compare the columns of one run, not two runs.
"""


EXIT_CODES = {0: "done: measured", 1: "something could not be measured, or faults cost something"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "what",
        choices=tuple(_BENCHES),
        help="connect: to open channels; echo: 64 bytes there and back; step: a step in lockstep; "
        "faults: what breaks, and what is lost then; "
        "rollback: what guessing costs; scale: what more players cost; service: what others feel while a "
        "client misbehaves; telemetry: its effect on steps, and its error; data: a study of many matches; "
        "human: a person's page in a headless Chromium, which has to be installed",
    )
    parser.add_argument("--rounds", type=count, metavar="N", help="how often all take their turn")
    parser.add_argument("--json", action="store_true", help="print one JSON object with every round")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    connect = parser.add_argument_group("connect")
    connect.add_argument(
        "--unreachable-stun", action="store_true", help="also with a STUN server that never answers"
    )
    counts = parser.add_argument_group("echo, faults, step, rollback, scale and human")
    counts.add_argument(
        "--count",
        type=count,
        metavar="N",
        help="echoes or frames a round; runs of each kind of fault (default: 4); presses of keys of human",
    )
    faults = parser.add_argument_group("faults")
    faults.add_argument("--kinds", nargs="+", metavar="KIND", help="these alone (default: all)")
    faults.add_argument("--list", action="store_true", help="print the kinds, and break nothing")
    faults.add_argument(
        "--seed", type=count, metavar="N", help="of the first run of each kind (default: 1); others follow it"
    )
    faults.add_argument("--jobs", type=count, metavar="N", help="runs at the same time (default: 2)")
    faults.add_argument(
        "--keep",
        metavar="DIR",
        help="keep what all runs leave (default: of those in which something was wrong); those that are "
        "there already are judged anew, and not played again: so a bench that was broken off goes on",
    )
    faults.add_argument(
        "--table", metavar="FILE", help="write the table into this page of the documentation, too"
    )
    step = parser.add_argument_group("step")
    step.add_argument(
        "--learner-ms",
        type=above_zero,
        metavar="MS",
        help="compute this long between steps, paced at 60 a second, and compare where the network runs",
    )
    data = parser.add_argument_group("data")
    data.add_argument("--matches", type=count, metavar="N", help="of two players (default: 200)")
    data.add_argument("--minutes", type=above_zero, metavar="M", help="each match (default: 10)")
    human = parser.add_argument_group("human")
    human.add_argument(
        "--people", type=count, metavar="N", help="who come to a host (default: 12 to Rally, 20 to Pong)"
    )
    human.add_argument(
        "--only", choices=["page", "hosted"], help="a page in Chromium, or people at a host (default: both)"
    )
    matches = parser.add_argument_group("rollback and scale")
    matches.add_argument(
        "--match", action="store_true", help="real matches in real time, a process for each player"
    )
    loads = parser.add_argument_group("service")
    loads.add_argument("--full", action="store_true", help="each load for longer, and more idle connections")
    paths = parser.add_argument_group("telemetry")
    paths.add_argument("--seconds", type=above_zero, metavar="S", help="how long a path is measured")
    paths.add_argument(
        "--jitter-ms", type=between(0, 10_000), default=0.0, metavar="MS", help="mean extra delay"
    )
    paths.add_argument("--loss", type=between(0, 1), default=0.0, metavar="P", help="share of lost datagrams")
    paths.add_argument("--busy", action="store_true", help="the players compute without pause meanwhile")


_ONLY_OF = {
    "rounds": ("connect", "echo", "step", "rollback", "scale", "service", "telemetry"),
    "unreachable_stun": ("connect",),
    "count": ("echo", "faults", "step", "rollback", "scale", "human"),
    "kinds": ("faults",),
    "list": ("faults",),
    "seed": ("faults",),
    "jobs": ("faults",),
    "keep": ("faults",),
    "table": ("faults",),
    "learner_ms": ("step",),
    "people": ("human",),
    "only": ("human",),
    "matches": ("data",),
    "minutes": ("data",),
    "match": ("rollback", "scale"),
    "full": ("service",),
    "seconds": ("telemetry",),
    "jitter_ms": ("telemetry",),
    "loss": ("telemetry",),
    "busy": ("telemetry",),
}
"""Which of them an option is for: figures of a run that took no notice of it would be taken for others."""


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    for option, benches in _ONLY_OF.items():
        if getattr(args, option) and args.what not in benches:
            name, of = option.replace("_", "-"), ", ".join(benches)
            raise UsageError(f"--{name} is an option of {of}; {args.what} has none such")

    def progress(text: str) -> None:
        if not args.quiet:
            print(text, file=sys.stderr, flush=True)

    if args.list:
        return print_kinds(as_json=args.json)
    if args.table:
        marked_page(args.table)  # before half an hour went by
    report = _BENCHES[args.what](args, progress)
    if args.table:
        write_faults(report, args.table)
    if args.json:
        print(json.dumps(report.to_mapping(), allow_nan=False))
    elif args.what == "service":
        _print_loads(report)
    elif args.what == "faults":
        print_faults(report)
    else:
        _print(report)
    return 0 if args.what != "faults" or report.is_clean else 1


def _connect(args: argparse.Namespace, progress: Progress) -> Report:
    from gym_p2p.bench.connect import bench_connect  # noqa: PLC0415 - see above

    return bench_connect(unreachable_stun=args.unreachable_stun, progress=progress, **_given(args, "rounds"))


def _echo(args: argparse.Namespace, progress: Progress) -> Report:
    from gym_p2p.bench.echo import bench_echo  # noqa: PLC0415 - see above

    return bench_echo(progress=progress, **_given(args, "rounds", echoes="count"))


def _step(args: argparse.Namespace, progress: Progress) -> Report:
    from gym_p2p.bench.step import bench_learner, bench_step  # noqa: PLC0415 - see above

    given = _given(args, "rounds", frames="count")
    if args.learner_ms is None:
        return bench_step(progress=progress, **given)
    return bench_learner(learner_ms=args.learner_ms, progress=progress, **given)


def _rollback(args: argparse.Namespace, progress: Progress) -> Report:
    from gym_p2p.bench.rollback import bench_rollback  # noqa: PLC0415 - see above
    from gym_p2p.bench.rollback_match import bench_match  # noqa: PLC0415 - see above

    bench = bench_match if args.match else bench_rollback
    return bench(progress=progress, **_given(args, "rounds", frames="count"))


def _scale(args: argparse.Namespace, progress: Progress) -> Report:
    from gym_p2p.bench.scale import bench_scale  # noqa: PLC0415 - see above
    from gym_p2p.bench.scale_match import bench_scale_match  # noqa: PLC0415 - see above

    bench = bench_scale_match if args.match else bench_scale
    return bench(progress=progress, **_given(args, "rounds", frames="count"))


def _faults(args: argparse.Namespace, progress: Progress) -> FaultReport:
    from gym_p2p.bench.faults import bench_faults  # noqa: PLC0415 - see above

    return bench_faults(progress=progress, **_given(args, "seed", "kinds", "count", "jobs", "keep"))


def _service(args: argparse.Namespace, progress: Progress) -> LoadReport:
    from gym_p2p.bench.service import bench_service  # noqa: PLC0415 - see above

    return bench_service(full=args.full, progress=progress, **_given(args, "rounds"))


def _telemetry(args: argparse.Namespace, progress: Progress) -> Report:
    from gym_p2p.bench.telemetry import bench_telemetry  # noqa: PLC0415 - see above

    return bench_telemetry(
        jitter_ms=args.jitter_ms,
        loss=args.loss,
        busy=args.busy,
        progress=progress,
        **_given(args, "rounds", path_s="seconds"),
    )


def _human(args: argparse.Namespace, progress: Progress) -> Report:
    from gym_p2p.bench.human import bench_human  # noqa: PLC0415 - see above

    return bench_human(progress=progress, **_given(args, "count", "people", "only"))


def _data(args: argparse.Namespace, progress: Progress) -> Report:
    from gym_p2p.bench.data import bench_data  # noqa: PLC0415 - see above

    return bench_data(progress=progress, **_given(args, "matches", "minutes"))


_BENCHES: dict[str, Callable[[argparse.Namespace, Progress], Any]] = {
    "connect": _connect,
    "data": _data,
    "echo": _echo,
    "faults": _faults,
    "human": _human,
    "step": _step,
    "rollback": _rollback,
    "scale": _scale,
    "service": _service,
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


def _print_loads(report: LoadReport) -> None:
    table = FittingTable(
        [
            Column("while", words=True),
            Column("p50 ms", rank=4),
            Column("p99 ms"),
            Column("let in", rank=3),
            Column("CPU %", rank=2),
            Column("MB", rank=5),
            Column("log lines", rank=7),
            Column("bare p50", rank=8),
            Column("bare p99", rank=1),
            Column("bare let in", rank=6),
            Column("bare CPU %", rank=9),
            Column("bare MB", rank=10),
        ],
        tells=True,
    )
    bare = {load.what: load for load in report.loads if load.server != "ours"}
    for load in report.loads:
        if load.server == "ours":
            beside = bare.get(load.what)
            cells = [""] * 5 if beside is None else _load_cells(beside)
            table.add_row(load.what, *_load_cells(load), str(load.log_lines), *cells)
    console = output_console()
    console.print(table)
    cost = report.cost
    ours_us, bare_us = statistics.median(cost.ours_us), statistics.median(cost.bare_us)
    console.print(
        f"a relayed signal, at {cost.per_s:.0f} a second: {ours_us:.0f} us of processor time; bare "
        f"{bare_us:.0f} us: {cost.ratio:.2f} times as much",
        soft_wrap=True,
    )
    for note in report.notes:
        console.print(note, style="dim", soft_wrap=True)


def _load_cells(load: Load) -> list[str]:
    return [
        "none" if load.p50_ms is None else _cell(load.p50_ms),
        "none" if load.p99_ms is None else _cell(load.p99_ms),
        f"{load.let_in}/{load.newcomers}",
        _cell(100 * load.cpu),
        _cell(None if load.memory_bytes is None else load.memory_bytes / 1e6),
    ]


def _cell(value: float | None) -> str:
    return "" if value is None else figure(value, ".1f" if abs(value) >= 10 else ".2f")
