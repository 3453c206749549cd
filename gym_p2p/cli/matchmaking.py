"""``gym-p2p matchmaking``: what a matchmaking policy does to people, before it meets any."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import attrs
import rich.box

from gym_p2p.cli.matchmakers import KNOWN_MATCHMAKERS, add_set_option, make_matchmaker
from gym_p2p.cli.options import above_zero, count, find_local_modules, whole
from gym_p2p.cli.tables import Column, FittingTable, figure, output_console
from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.matchmaking.decision_log import VERSION, ReplayedLog, replay
from gym_p2p.errors import UsageError
from gym_p2p.files.problems import telling_the_disk
from gym_p2p.files.whole import replacing
from gym_p2p.processes.progress import doing
from gym_p2p.simulation.population import Population
from gym_p2p.simulation.queue import Arrivals, QueueResults, simulate_queue

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

DESCRIPTION = "Find out what a matchmaking policy does. Nothing leaves this machine."
EPILOG = """\
examples:
  gym-p2p matchmaking simulate --arrivals 100000 --json
  gym-p2p matchmaking simulate --per-s 0.1 --matchmaker widening --set initial_rtt_ms=80
  gym-p2p matchmaking simulate --arrivals 2000 --matchmaker my_lab.matching:SameRegion --log decisions.jsonl
  gym-p2p matchmaking replay decisions.jsonl --matchmaker fifo --set max_p2p_rtt_ms=150
"""

_COLUMNS = (
    ("rtt_p50_ms", "RTT p50 ms", ".0f"),
    ("rtt_p95_ms", "p95 ms", ".0f"),
    ("over_150_ms", "> 150 ms", ".1%"),
    ("wait_p50_s", "wait p50 s", ".1f"),
    ("wait_p95_s", "p95 s", ".1f"),
    ("probes_per_match", "probes", ".2f"),
    ("unmatched", "alone", ".1%"),
)
_SHOWN_DIFFERENCES = 10
_MAX_LINE_CHARS = 2**22
"""A decision of the longest queue has a tenth of it."""


EXIT_CODES = {0: "done: the figures are printed", 1: "they could not be written"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    what = parser.add_subparsers(dest="what", required=True, metavar="what")
    simulation = what.add_parser(
        "simulate",
        help="a made-up population through the real planner",
        description="Let a made-up population join a queue on virtual time, under the real planner and "
        "one or several policies: how long they wait, how far from each other they play, how many are left "
        "without a match, and what it costs in probes.",
    )
    simulation.add_argument(
        "--matchmaker",
        action="append",
        metavar="NAME",
        help=f"{', '.join(KNOWN_MATCHMAKERS)}, or module:Class; may be repeated (default: the four)",
    )
    add_set_option(simulation)
    simulation.add_argument(
        "--arrivals", type=count, default=10_000, metavar="N", help="default: %(default)s"
    )
    simulation.add_argument(
        "--per-s", type=above_zero, default=1.0, metavar="R", help="arrivals a second (default: 1)"
    )
    simulation.add_argument(
        "--population", type=count, metavar="N", help="different people (default: a quarter of the arrivals)"
    )
    simulation.add_argument("--group-size", type=count, default=2, metavar="N", help="default: %(default)s")
    simulation.add_argument("--seed", type=whole, default=0, metavar="N", help="default: %(default)s")
    simulation.add_argument("--no-landmarks", action="store_true", help="nobody has measured any landmark")
    simulation.add_argument(
        "--log", metavar="FILE", help="write every decision as a line of JSON (one policy)"
    )
    simulation.add_argument("--json", action="store_true", help="print one JSON object")
    again = what.add_parser(
        "replay",
        help="put the situations of a decision log before another policy",
        description="Put every situation that a service's decision log has kept (decisions.jsonl in its data "
        "directory, or simulate --log) before another policy, and tell where that would have chosen "
        "otherwise. It does not play the queue on: simulate does.",
    )
    again.add_argument("log", metavar="LOG", help="a decision log, one JSON object a line")
    again.add_argument("--matchmaker", required=True, metavar="NAME", help="as for simulate")
    add_set_option(again)
    again.add_argument("--json", action="store_true", help="print one JSON object, with every difference")


def run(arguments: argparse.Namespace) -> int:
    """Simulate or replay, and print."""
    find_local_modules()
    return _replay(arguments) if arguments.what == "replay" else _simulate(arguments)


def _simulate(arguments: argparse.Namespace) -> int:
    names = arguments.matchmaker or list(KNOWN_MATCHMAKERS)
    if arguments.log and len(names) != 1:
        raise UsageError("--log wants one --matchmaker: a log is of one queue")
    if arguments.set and len(names) != 1:
        raise UsageError("--set wants one --matchmaker: not all have the same options")
    matchmakers = {name: make_matchmaker(name, arguments.set) for name in names}
    config = MatchmakingConfig(group_size=arguments.group_size)
    # Nobody can join twice at a time: enough people that the queue never runs out of them.
    size = arguments.population or max(1000, arguments.arrivals // 4)
    if size < arguments.per_s * (config.give_up_after_s or 0) * 2:
        raise UsageError("--population: more people than can wait at a time are needed, raise it")
    population = Population(arguments.seed, size)
    arrivals = Arrivals(count=arguments.arrivals, per_s=arguments.per_s, seed=arguments.seed)
    outcomes: dict[str, QueueResults] = {}
    with doing("") as say, _decision_log(arguments.log) as on_decision:
        for name, matchmaker in matchmakers.items():
            say(f"{len(outcomes) + 1} of {len(names)} matchmakers: {name}, {arguments.arrivals:,} arrivals")
            outcomes[name] = simulate_queue(
                population,
                matchmaker,
                arrivals,
                config=config,
                landmarks=not arguments.no_landmarks,
                on_decision=on_decision,
            )
    if arguments.json:
        results = {name: outcome.figures() for name, outcome in outcomes.items()}
        settings = {**attrs.asdict(arrivals), "population": size, "landmarks": not arguments.no_landmarks}
        print(json.dumps({"type": "matchmaking", **settings, "results": results}, allow_nan=False))
    else:
        output_console().print(_table(outcomes, arrivals))
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    matchmaker = make_matchmaker(arguments.matchmaker, arguments.set)
    try:
        with doing("putting its situations before it"), Path(arguments.log).open(encoding="utf-8") as lines:
            outcome = replay(_records(lines), matchmaker)
    except OSError as error:
        raise UsageError(f"cannot read {arguments.log}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {arguments.log}: it is no text") from error
    if not outcome.records:
        had = f"none of its {outcome.skipped} lines is a record" if outcome.skipped else "it is empty"
        raise UsageError(f"{arguments.log} is no decision log of version {VERSION}: {had}")
    if arguments.json:
        fields = {**attrs.asdict(outcome, recurse=False), "verdicts": dict(outcome.verdicts)}
        print(json.dumps({"type": "replay", **fields}, allow_nan=False))
    else:
        _print_replay(outcome)
    return 0


def _records(lines: TextIO) -> Iterator[object]:
    """Yield what each line says, ``None`` for one that says nothing; of a longer one each part is a line."""
    while line := lines.readline(_MAX_LINE_CHARS):
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            yield None


@contextlib.contextmanager
def _decision_log(path: str | None) -> Iterator[Callable[[Mapping[str, Any]], None] | None]:
    if path is None:
        yield None
        return
    target = Path(path)
    is_device = target.exists() and not target.is_file()
    with telling_the_disk(path), target.open("wb") if is_device else replacing(target) as file:

        def write(record: Mapping[str, Any]) -> None:
            file.write(json.dumps(record, allow_nan=False).encode() + b"\n")

        yield write


def _table(outcomes: Mapping[str, QueueResults], arrivals: Arrivals) -> FittingTable:
    columns = [Column(heading, rank=rank) for rank, (_key, heading, _form) in enumerate(_COLUMNS)]
    table = FittingTable(
        [Column("matchmaker", words=True), *columns],
        title=f"{arrivals.count} arrivals, {arrivals.per_s:g} a second, on virtual time",
        caption="probes: for each match; alone: left without one",
        box=rich.box.SIMPLE_HEAD,
        tells=True,
    )
    for name, outcome in outcomes.items():
        figures = outcome.figures()
        cells = [(figures[key], form) for key, _heading, form in _COLUMNS]
        table.add_row(name, *("-" if value is None else figure(value, form) for value, form in cells))
    return table


def _print_replay(outcome: ReplayedLog) -> None:
    print(f"{outcome.situations} situations, {outcome.same} decided the same")
    for difference in outcome.differences[:_SHOWN_DIFFERENCES]:
        chosen, would = difference["chosen"], difference["would_choose"]
        print(
            f"  t={difference['t']:.2f} {difference['seed']}: chose {_names(chosen)}, would {_names(would)}"
        )
    if len(outcome.differences) > _SHOWN_DIFFERENCES:
        print(f"  … {len(outcome.differences) - _SHOWN_DIFFERENCES} more (--json prints all)")
    print(f"{outcome.probes} probes")
    for change, times in sorted(outcome.verdicts.items()):
        print(f"  {change}: {times}")
    if outcome.skipped:
        print(f"{outcome.skipped} lines skipped: no records of this version", file=sys.stderr)


def _names(group: list[str] | None) -> str:
    return "nobody" if group is None else "+".join(group)
