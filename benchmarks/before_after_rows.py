"""The rows of :mod:`benchmarks.before_after`, and how each group of them is measured in turns."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from benchmarks.sides import PROGRAMS, NotMeasured, Side
from gym_p2p.bench.placement import named, placements
from gym_p2p.bench.processes import Pair
from gym_p2p.bench.run import matches, new_room, players, wires
from gym_p2p.core.latency.statistics import nearest_rank
from gym_p2p.errors import P2PError

__all__ = ["GROUPS", "NETWORKS", "ROWS", "Collected", "Row"]

Both = tuple[Side, Side]
Collected = dict[tuple[str, str], list[float]]
"""By side (``""``: floors and anchors) and key, a figure of every round."""

ECHOES, STEPS, TICKS, FRAMES = 800, 1_000, 300, 300
WARM_UP = 150
NETWORKS = ("process", "thread")
HELP_STARTS = 3
"""A round: one start is quickly over, and varies."""


@attrs.frozen
class Row:
    """One line of the table.

    Attributes:
        floor, anchor: keys of what is measured beside it.
        target: as the project's table of floors and targets has it.
    """

    what: str
    unit: str
    key: str
    floor: str | None = None
    anchor: str | None = None
    target: str = ""


def _pair(what: str, unit: str, key: str, targets: tuple[str, str], **beside: str) -> list[Row]:
    return [
        Row(f"{what} {p}", unit, f"{key} {p}", **{k: f"{v} {p}" for k, v in beside.items()}, target=target)
        for p, target in zip(("p50", "p99"), targets, strict=True)
    ]


ROWS: Sequence[Row] = (
    *(
        row
        for place in placements()
        for row in _pair(
            named("echo of 64 bytes", place),
            "us",
            named("echo", place),
            ("0.2 of anchor", "3 x p50"),
            floor=named("UDP echo", place),
            anchor=named("aiortc echo", place),
        )
    ),
    *(
        row
        for network, share in (("process", "0.55 of anchor"), ("thread", "0.9 of anchor"))
        for row in _pair(
            f"step beyond env.step, {network}",
            "us",
            f"step {network}",
            (share, "4 x p50"),
            floor="bare exchange",
            anchor="usual exchange",
        )
    ),
    Row("reset, process, first", "ms", "reset process first", target="500"),
    Row("reset, process, later", "ms", "reset process later", target="120"),
    Row("reset, thread, first", "ms", "reset thread first", target="60"),
    Row("reset, thread, later", "ms", "reset thread later", target="60"),
    Row("gym-p2p --help", "ms", "help", floor="bare Python", target="150"),
    Row("tick without rollback p50", "us", "tick, p50", target="45"),
    Row("tick without rollback p99", "us", "tick, p99", target="150"),
    Row("a frame played again", "us", "again, a frame", target="12"),
    *(
        Row(f"8 frames back, {name.title()}", "us", f"{name}: rollback", f"{name}: rollback floor", target=of)
        for name, of in (("rally", "1.8 of floor"), ("pong", "1.2 of floor"), ("spread", ""))
    ),
    *(
        Row(f"checksum, {name.title()}", "us", f"{name}: checksum", f"{name}: checksum floor", target=at_most)
        for name, at_most in (("rally", "10"), ("pong", "300"), ("spread", "300"))
    ),
    *(
        Row(
            f"a frame and peer, {mode}, N = {n}",
            "us",
            f"{mode} {n}",
            floor=None if n == 2 else f"{mode} of two",
            target="" if n == 2 else "1.3 of floor, which is N = 2",
        )
        for mode in ("lockstep", "rollback")
        for n in (2, 4, 8)
    ),
    Row("step p50 with checkpoints at 36,000 frames", "us", "step, median"),
    Row("step p99 with checkpoints at 36,000 frames", "us", "step, 99th percentile", target="4 x p50"),
)


def _add(found: Collected, side: str, key: str, value: float) -> None:
    found.setdefault((side, key), []).append(value)


def _add_both(found: Collected, side: str, key: str, samples: Sequence[float], less: float = 0.0) -> None:
    _add(found, side, f"{key} p50", nearest_rank(samples, 0.5) - less)
    _add(found, side, f"{key} p99", nearest_rank(samples, 0.99) - less)


@contextlib.contextmanager
def _unless_it_cannot(side: Side, what: str) -> Iterator[None]:
    """Leave rows out that a version cannot do, and say so."""
    try:
        yield
    except P2PError as error:
        _say_that_it_cannot(side, what, error)


def _measured(side: Side, program: str, *arguments: str) -> Mapping[str, float | None]:
    try:
        return side.measured(PROGRAMS / program, *arguments)
    except NotMeasured as error:
        _say_that_it_cannot(side, program, error)
        return {}


def _say_that_it_cannot(side: Side, what: str, error: Exception) -> None:
    sys.stderr.write(f"{side.name}: no {what}: {error}\n")


def _echo(both: Both, found: Collected, rounds: int) -> None:
    with contextlib.ExitStack() as stack:
        ends: dict[tuple[str, str], Pair] = {}
        for place, processors in placements().items():
            for side in both:
                with _unless_it_cannot(side, "echo"):
                    wire = wires("ours", "product", python=side.python, processors=processors)
                    ends[side.name, named("echo", place)] = stack.enter_context(wire)
            for key, kind in (("UDP echo", ("udp", "product")), ("aiortc echo", ("aiortc", "asyncio"))):
                ends["", named(key, place)] = stack.enter_context(wires(*kind, processors=processors))
        for pair in ends.values():
            pair.other.request("reflect")
            pair.one.request("echo", count=WARM_UP)
        for _ in range(rounds):
            for (version, key), pair in ends.items():
                _add_both(found, version, key, pair.one.request("echo", count=ECHOES))


def _step(both: Both, found: Collected, rounds: int) -> None:
    with contextlib.ExitStack() as stack:
        opened: dict[str, dict[str, Pair]] = {}
        for side in both:
            with _unless_it_cannot(side, "step"):
                url = stack.enter_context(side.service())
                wanted = {network: {"network": network} for network in NETWORKS}
                opened[side.name] = stack.enter_context(matches(url, wanted, side.python))
        best = stack.enter_context(wires("ours", "product"))
        best.request("listen")
        usual = stack.enter_context(wires("aiortc", "asyncio"))
        usual.request("listen_by_future")
        for number in range(rounds + 1):  # the first one warms up
            kept: Collected = found if number else {}
            count = STEPS if number else WARM_UP
            _add_both(kept, "", "bare exchange", best.request("exchange", count=count)[0])
            _add_both(kept, "", "usual exchange", usual.request("exchange_by_future", count=count)[0])
            for network in NETWORKS:
                for version, pairs in opened.items():
                    pair = pairs[network]
                    bare_us = nearest_rank(pair.one.request("bare", frames=count), 0.5)
                    took_us = pair.request("play", frames=count)[0]["step"]
                    _add_both(kept, version, f"step {network}", took_us, less=bare_us)


def _reset(both: Both, found: Collected, rounds: int) -> None:
    with contextlib.ExitStack() as stack:
        urls = {side.name: stack.enter_context(side.service()) for side in both}
        for _ in range(rounds):
            for network in NETWORKS:
                for side in both:
                    with _unless_it_cannot(side, "reset"), players(side.python) as pair:
                        for when in ("first", "later"):
                            options = {"network": network}
                            took_ms = pair.request(
                                "open", url=urls[side.name], room=new_room(), options=options
                            )
                            pair.request("close")
                            # Of who comes last: the other one waits meanwhile for a process to load.
                            _add(found, side.name, f"reset {network} {when}", min(took_ms))


def _help(both: Both, found: Collected, rounds: int) -> None:
    wanted = [(side.name, "help", side.command("-m", "gym_p2p", "--help")) for side in both]
    wanted.append(("", "bare Python", [sys.executable, "-c", "pass"]))
    for _ in range(HELP_STARTS * rounds):
        for side, key, command in wanted:
            began = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)  # noqa: S603  # see Side.command
            _add(found, side, key, (time.perf_counter() - began) * 1e3)


def _rollback(both: Both, found: Collected, rounds: int) -> None:
    keys, beside = {row.key for row in ROWS}, {row.floor for row in ROWS}
    for _ in range(rounds):
        for side in both:
            for key, value in _measured(side, "rollback.py", str(TICKS)).items():
                if value is not None and key in keys:
                    _add(found, side.name, key, value)
                elif value is not None and key in beside and side is both[1]:
                    _add(found, "", key, value)


def _scale(both: Both, found: Collected, rounds: int) -> None:
    for _ in range(rounds):
        for mode in ("lockstep", "rollback"):
            for side in both:
                for n, cost_us in _measured(side, "scale.py", mode, str(FRAMES), "2", "4", "8").items():
                    if cost_us is None:
                        continue
                    per_peer_us = cost_us / (int(n) - 1)
                    _add(found, side.name, f"{mode} {n}", per_peer_us)
                    if n == "2" and side is both[1]:
                        _add(found, "", f"{mode} of two", per_peer_us)


def _checkpoint(both: Both, found: Collected, rounds: int) -> None:
    for _ in range(rounds):
        for side in both:
            for key, value in _measured(side, "checkpoint.py").items():
                if value is not None and key.startswith("step"):
                    _add(found, side.name, key, value)


@attrs.frozen
class Group:
    """What is measured together.

    Attributes:
        measure: adds the figures of so many rounds to what was found.
        rounds: how many, unless somebody says so: all groups together take eight minutes then.
    """

    measure: Callable[[Both, Collected, int], None]
    rounds: int


GROUPS: Mapping[str, Group] = {
    "echo": Group(_echo, 6),
    "step": Group(_step, 6),
    "reset": Group(_reset, 4),
    "help": Group(_help, 3),
    "rollback": Group(_rollback, 4),
    "scale": Group(_scale, 3),
    "checkpoint": Group(_checkpoint, 2),
}
