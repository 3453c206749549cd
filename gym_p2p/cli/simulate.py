"""``gym-p2p simulate``: what delay and loss do to an environment and its policies, before anybody plays."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import attrs
import rich.box
from rich.text import Text

from gym_p2p.cli.options import (
    above_zero,
    add_env_argument,
    add_seats_argument,
    add_watchers_argument,
    between,
    count,
    env_arguments,
    environment_in_words,
    find_local_modules,
    frames_or_auto,
    number,
    seat_id,
    seed,
)
from gym_p2p.cli.seat_options import Reactions, add_reaction_options, policy_name, reactions
from gym_p2p.cli.tables import Column, FittingTable, figure, output_console
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import UsageError
from gym_p2p.policies.specs import FORMS
from gym_p2p.processes.pool import map_in_processes
from gym_p2p.processes.progress import doing
from gym_p2p.processes.python import can_start_python

if TYPE_CHECKING:
    from gym_p2p.simulation import Simulation

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

DESCRIPTION = (
    "Play whole matches of an environment on virtual time, in this machine alone, and print "
    "reward, rollbacks, mispredictions and stalls against delay."
)
EPILOG = """\
examples:
  gym-p2p simulate gym_p2p/Rally-v0 --policy scripted
  gym-p2p simulate gym_p2p/Rally-v0 --one-way-ms 0 25 50 100 200 --jitter-ms 5 --loss 0.02 --repeat 5
  gym-p2p simulate pettingzoo.atari.pong_v3 --env-arg obs_type=ram --frames 600 --sync lockstep rollback
  gym-p2p simulate gym_p2p/Rally-v0 --policy scripted --reaction-ms 200 --actions-per-second 4
  gym-p2p simulate my_lab.games:make --policy left=my_lab.agents:greedy --policy right=random --json
"""


@attrs.frozen
class _Task:
    """One simulated match; plain data, for it may be played in another process."""

    env: str
    env_args: Mapping[str, Any]
    policies: Mapping[SeatId | None, str]
    reactions: Reactions
    watchers: int
    sync: str
    one_way_ms: float
    repeat: int
    options: Mapping[str, Any]


@attrs.frozen
class _MatchRow:
    """What one simulated match came to."""

    sync: str
    one_way_ms: float
    rewards: Mapping[SeatId, float]
    frames: int
    seconds: float
    rollbacks: int
    depth: int
    resimulated: int
    mispredictions: int
    stalls: int
    bytes_per_s: float
    endings: tuple[str, ...]
    why: str


EXIT_CODES = {
    0: "done: every match was played to its end",
    1: "a match ended early, or there is something wrong with the environment",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "env", help="a Gymnasium id, a PettingZoo module (pettingzoo.atari.pong_v3), or module:function"
    )
    add_env_argument(parser)
    add_watchers_argument(parser)
    add_seats_argument(parser)
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="[SEAT=]POLICY",
        help=f"{FORMS}, for one seat or for all (default: random)",
    )
    add_reaction_options(parser)
    parser.add_argument("--frames", type=count, default=600, metavar="N", help="default: %(default)s")
    parser.add_argument("--fps", type=above_zero, default=60.0, metavar="F", help="default: %(default)g")
    parser.add_argument("--seed", type=seed, default=1, metavar="N", help="of the episode (default: 1)")
    _add_network_options(parser)
    parser.add_argument(
        "--sync",
        nargs="+",
        choices=["auto", "lockstep", "rollback"],
        default=["auto"],
        help="one or more modes to compare (default: auto)",
    )
    parser.add_argument(
        "--input-delay", type=frames_or_auto, default=0, metavar="N", help="or auto (default: 0)"
    )
    parser.add_argument("--window", type=count, default=8, metavar="N", help="frames predicted (default: 8)")
    parser.add_argument(
        "--jobs", type=count, default=os.cpu_count() or 1, metavar="N", help="at once (default: one a core)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a match")


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    network = parser.add_argument_group("network")
    network.add_argument(
        "--one-way-ms",
        type=number,
        nargs="+",
        default=[0.0, 25.0, 50.0, 100.0],
        metavar="MS",
        help="one or more delays to compare (default: 0 25 50 100)",
    )
    network.add_argument("--jitter-ms", type=number, default=0.0, metavar="MS", help="mean, exponential")
    network.add_argument("--loss", type=between(0, 1), default=0.0, metavar="P", help="share lost, 0 to 1")
    network.add_argument("--reorder", type=between(0, 1), default=0.0, metavar="P", help="share held back")
    network.add_argument("--duplicate", type=between(0, 1), default=0.0, metavar="P", help="share doubled")
    network.add_argument(
        "--repeat", type=count, default=1, metavar="N", help="matches of each kind (default: 1)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Play, and print."""
    find_local_modules()
    tasks = list(_tasks(arguments))
    rows: list[_MatchRow] = []
    with (
        doing(f"0 of {len(tasks)} matches") as say,
        contextlib.closing(_played(tasks, arguments.jobs)) as played,
    ):
        for row in played:
            rows.append(row)
            say(f"{len(rows)} of {len(tasks)} matches")
            if arguments.json:
                print(json.dumps(_line(row), allow_nan=False), flush=True)
    if not arguments.json:
        console = output_console()
        console.print(_table(rows, arguments.env))
        for why in dict.fromkeys(f"{row.sync}: {row.why}" for row in rows):
            console.print(Text(why), soft_wrap=True)
    return 0 if all(set(row.endings) <= {"frames", "ended"} for row in rows) else 1


def _line(row: _MatchRow) -> dict[str, Any]:
    rewards = {str(seat): reward + 0.0 for seat, reward in row.rewards.items()}  # -0.0 becomes 0.0
    return {"type": "simulation", **attrs.asdict(row), "rewards": rewards}


def _tasks(arguments: argparse.Namespace) -> Iterator[_Task]:
    policies = _policies(arguments.policy)
    env_args = env_arguments(arguments.env_arg)
    options = {
        name: getattr(arguments, name)
        for name in ("frames", "fps", "seed", "jitter_ms", "loss", "reorder", "duplicate", "input_delay")
    }
    options |= {"prediction_window": arguments.window, "seats": arguments.seats}
    for sync, one_way_ms, repeat in itertools.product(
        arguments.sync, arguments.one_way_ms, range(arguments.repeat)
    ):
        yield _Task(
            env=arguments.env,
            env_args=env_args,
            policies=policies,
            reactions=reactions(arguments),
            watchers=arguments.watchers,
            sync=sync,
            one_way_ms=one_way_ms,
            repeat=repeat,
            options=options,
        )


def _policies(given: Sequence[str]) -> dict[SeatId | None, str]:
    """Read ``[SEAT=]POLICY``; the key ``None`` is for all other seats."""
    policies: dict[SeatId | None, str] = {None: "random"}
    for text in given:
        seat, separator, policy = text.partition("=")
        named = separator and ":" not in seat  # of a file's path it may be a part
        try:
            policies[seat_id(seat) if named else None] = policy_name(policy if named else text)
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"--policy: {error}") from None
    return policies


def _played(tasks: Sequence[_Task], jobs: int) -> Generator[_MatchRow, None, None]:
    if jobs == 1 or len(tasks) == 1 or not can_start_python():
        yield from map(_play, tasks)
        return
    yield from map_in_processes(_play, tasks, processes=min(jobs, len(tasks)))


def _play(task: _Task) -> _MatchRow:
    """Play one match."""
    from gym_p2p.game.env.load import load_environment  # noqa: PLC0415 - not for --help
    from gym_p2p.game.env.seats import make_game  # noqa: PLC0415 - the same
    from gym_p2p.policies.load import load_policy  # noqa: PLC0415 - the same
    from gym_p2p.policies.reactions import ReactionLimits  # noqa: PLC0415 - the same
    from gym_p2p.simulation import simulate  # noqa: PLC0415 - the same

    def make_env() -> Any:
        return load_environment(task.env, task.env_args)

    game = make_game(make_env(), watchers=task.watchers, seats=task.options["seats"])
    try:
        if len(game.seats) < 2:
            problem = f"{task.env} has the single seat {game.seats[0]!r}, and a match has two seats at least"
            raise UsageError(f"--watchers: {problem}: say how many others look on")
        unknown = [seat for seat in task.policies if seat is not None and seat not in game.seats]
        if unknown:
            raise UsageError(f"--policy: no seat {unknown[0]!r}; the seats are {list(game.seats)}")
        policies: dict[SeatId, Callable[[Any, int], Any]] = {
            seat: load_policy(
                task.policies.get(seat, task.policies[None]),
                game,
                seat,
                seed=index,
                limits=ReactionLimits(**task.reactions),
                fps=task.options["fps"],
            )
            for index, seat in enumerate(game.seats)
        }
        with environment_in_words(task.env):
            result = simulate(
                make_env,
                policies,
                sync=task.sync,  # type: ignore[arg-type]  # argparse has checked it
                one_way_ms=task.one_way_ms,
                network_seed=task.repeat,
                **task.options,
            )
    finally:
        game.close()
    return _row(task, result)


def _row(task: _Task, result: Simulation) -> _MatchRow:
    players = result.players.values()
    counters = [player.counters for player in players]
    return _MatchRow(
        sync=result.sync,
        one_way_ms=task.one_way_ms,
        rewards={seat: player.total_reward for seat, player in result.players.items()},
        frames=min(len(player.confirmed) for player in players),
        seconds=result.seconds,
        rollbacks=sum(one.rollbacks for one in counters),
        depth=max(one.max_rollback_frames for one in counters),
        resimulated=sum(one.resimulated_frames for one in counters),
        mispredictions=sum(one.mispredictions for one in counters),
        stalls=sum(one.stalls for one in counters),
        bytes_per_s=max(one.bytes for one in counters) / result.seconds,
        endings=tuple(dict.fromkeys(player.ending for player in players)),
        why=result.why,
    )


def _table(rows: Sequence[_MatchRow], env: str) -> FittingTable:
    seats = list(rows[0].rewards)
    table = FittingTable(
        [
            Column("ms"),
            Column("sync", words=True),
            *(Column(str(seat), rank=1) for seat in seats),
            Column("fps", rank=2),
            Column("rolls", rank=3),
            Column("depth", rank=6),
            Column("again", rank=7),
            Column("wrong", rank=5),
            Column("stalls", rank=4),
            Column("B/s", rank=8),
        ],
        title=f"{env}: rewards, and what keeping together cost",
        caption="ms: one way; depth: of the deepest rollback; again: frames played twice; wrong: guesses",
        box=rich.box.SIMPLE_HEAD,
        tells=True,
    )
    groups: dict[tuple[float, str], list[_MatchRow]] = {}
    for row in rows:
        groups.setdefault((row.one_way_ms, row.sync), []).append(row)
    for (one_way_ms, sync), group in groups.items():
        table.add_row(
            f"{one_way_ms:g}",
            sync,
            *(figure(fmean(row.rewards[seat] for row in group), ".1f") for seat in seats),
            figure(fmean(row.frames / row.seconds for row in group), ".1f"),
            figure(fmean(row.rollbacks for row in group), ".0f"),
            str(max(row.depth for row in group)),
            *(figure(mean, ".0f") for mean in _means(group)),
        )
    return table


def _means(group: Sequence[_MatchRow]) -> Iterator[float]:
    yield fmean(row.resimulated for row in group)
    yield fmean(row.mispredictions for row in group)
    yield fmean(row.stalls for row in group)
    yield fmean(row.bytes_per_s for row in group)
