"""``bench service``: what a service's honest clients feel while others misbehave, and what a signal costs it.

Service, honest clients and misbehaving ones are processes of their own. The service may have 1,024 files
open, as most machines let it; so may the bare relay, to which the same is done in the same run.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from gym_p2p.bench.crowd import MAX_SIGNALS
from gym_p2p.bench.misbehaviour import KINDS
from gym_p2p.bench.processes import Worker
from gym_p2p.bench.run import Progress
from gym_p2p.core.latency.statistics import nearest_rank

__all__ = ["Load", "LoadReport", "RelayCost", "bench_service"]

_FILES = 1024
_QUICK = (1.2, 150)
_FULL = (6.0, 700)
"""How long each load is looked at, in seconds, and how many idle connections there are."""
_QUIET = "nobody misbehaves"
_WITHOUT_UPLOADS = "uploads that never finish"
"""A bare relay takes none."""
_PAIRS = 8
_PER_S = 10.0
_COST_PAIRS = 24
_COST_PER_S = 24.0
_COST_S = 2.0
_SETTLE_S = 0.2
_PATIENCE_S = 2.0
"""Who is not let in by then counts as kept out, and so long the last signals are waited for."""
_IDLE_OF_ONE_ADDRESS = 200

_PROGRAMS = ("ours", "bare relay")


@attrs.frozen(kw_only=True)
class Load:
    """What one server did under one load.

    Attributes:
        server: ``"ours"`` or ``"bare relay"``.
        what: what was done to it.
        sent: signals of the honest clients.
        arrived: how many of them came to the other one.
        p50_ms: from sending to arrival; ``None`` where nothing arrived.
        p99_ms: the same.
        newcomers: honest clients who came meanwhile.
        let_in: how many of them were let in within two seconds.
        cpu: processor time of the server, as a share of one core.
        memory_bytes: what it holds afterwards; ``None`` where that cannot be read.
        log_lines: warnings and errors that it logged.
        tried: how often the misbehaving one sent something.
    """

    server: str
    what: str
    sent: int
    arrived: int
    p50_ms: float | None
    p99_ms: float | None
    newcomers: int
    let_in: int
    cpu: float
    memory_bytes: int | None
    log_lines: int
    tried: int


@attrs.frozen(kw_only=True)
class RelayCost:
    """Processor time for each relayed signal, in microseconds, round by round.

    Attributes:
        ours_us: the service's.
        bare_us: the bare relay's.
        per_s: how many signals a second were relayed.
    """

    ours_us: tuple[float, ...]
    bare_us: tuple[float, ...]
    per_s: float

    @property
    def ratio(self) -> float:
        """Ours as a multiple of the bare relay's, medians compared."""
        return statistics.median(self.ours_us) / statistics.median(self.bare_us)


@attrs.frozen(kw_only=True)
class LoadReport:
    """What the bench of a service found.

    Attributes:
        settings: its options, plain data.
        notes: what is compared, a sentence each.
        loads: a row of the table each, ours and the bare relay's in turn.
        cost: of a relayed signal.
    """

    settings: dict[str, Any]
    notes: Sequence[str]
    loads: Sequence[Load]
    cost: RelayCost

    def to_mapping(self) -> dict[str, Any]:
        """Return it as plain JSON-ready data."""
        plain = attrs.asdict(self)
        return {"bench": "service", **plain, "cost": {**plain["cost"], "ratio": self.cost.ratio}}


def bench_service(*, full: bool = False, rounds: int | None = None, progress: Progress) -> LoadReport:
    """Measure what honest clients of a service feel while others misbehave, beside a bare relay.

    Args:
        full: each load for five times as long, with nearly five times as many idle connections.
        rounds: of the cost of a signal; ``None`` is three, or seven.
        progress: is called with what goes on.
    """
    seconds, idle = _FULL if full else _QUICK
    if rounds is None:
        rounds = 7 if full else 3
    with contextlib.ExitStack() as stack:
        progress("starting")
        benches = [_Bench(stack, name) for name in _PROGRAMS]
        cost = _cost(benches, rounds, progress)
        loads = [one.under(_QUIET, seconds) for one in benches]
        for kind in KINDS:
            progress(kind)
            loads += [one.under(kind, seconds) for one in benches if one.takes(kind)]
        progress("idle connections")
        loads += [one.with_idle(idle, seconds) for one in benches]
    return LoadReport(
        settings={
            "full": full,
            "seconds": seconds,
            "rounds": rounds,
            "files": _FILES,
            "pairs": _PAIRS,
            "signals_per_s": 2 * _PAIRS * _PER_S,
        },
        notes=(
            f"p50, p99: from one honest client to another; {2 * _PAIRS} send {_PER_S:g} signals a second",
            f"let in: of the honest ones who came meanwhile; the service may have {_FILES} files open",
            "bare: the least that python-socketio does for the same, without checks and limits",
        ),
        loads=loads,
        cost=cost,
    )


class _Bench:
    """One server, and its honest clients."""

    def __init__(self, stack: contextlib.ExitStack, name: str) -> None:
        self._name = name
        self._bare = name != "ours"
        self._stack = stack
        self._sources = _sources()
        self._start()

    def _start(self) -> None:
        self._server = self._stack.enter_context(Worker("served", bare=self._bare, files=_FILES))
        self._url = self._server.request("url")
        crowd = Worker("crowd", url=self._url, source=next(self._sources))
        self._crowd = self._stack.enter_context(crowd)
        self._misbehaving = self._stack.enter_context(Worker("misbehaving", url=self._url))

    def takes(self, kind: str) -> bool:
        """Return whether this can be done to it."""
        return not (self._bare and kind == _WITHOUT_UPLOADS)

    def under(self, kind: str, seconds: float) -> Load:
        """Return what it does while somebody misbehaves, from an address that did not before."""
        self._crowd.request("pairs", count=_PAIRS)
        if kind == _QUIET:
            return self._measured(kind, seconds)
        self._misbehaving.request("begin", kind=kind, source=next(self._sources))
        load = self._measured(kind, seconds)
        return attrs.evolve(load, tried=self._misbehaving.request("end"))

    def with_idle(self, count: int, seconds: float) -> Load:
        """Return what it does while others are connected and silent."""
        self._crowd.request("pairs", count=_PAIRS)
        sources = [next(self._sources) for _ in range(0, count, _IDLE_OF_ONE_ADDRESS)]
        stay = self._crowd.request("idle", count=count, sources=sources)
        return self._measured(f"{stay} idle connections", seconds)

    def cost_us(self) -> tuple[float, float]:
        """Return the processor time of each signal, and how many there were a second."""
        self._crowd.request("pairs", count=_COST_PAIRS)
        before = self._server.request("usage")
        took = self._crowd.request(
            "measure", seconds=_COST_S, per_s=_COST_PER_S, patience_s=_PATIENCE_S, newcomers=False
        )
        after = self._server.request("usage")
        count = len(took["took_ms"])
        return (after["cpu_s"] - before["cpu_s"]) * 1e6 / count, count / _COST_S

    def _measured(self, what: str, seconds: float) -> Load:
        self._crowd.request("measure", seconds=_SETTLE_S, per_s=_PER_S, patience_s=_PATIENCE_S)
        before = self._server.request("usage")
        took = self._crowd.request("measure", seconds=seconds, per_s=_PER_S, patience_s=_PATIENCE_S)
        after = self._server.request("usage")
        took_ms = took["took_ms"]
        return Load(
            server=self._name,
            what=what,
            sent=took["sent"],
            arrived=len(took_ms),
            p50_ms=statistics.median(took_ms) if took_ms else None,
            p99_ms=nearest_rank(took_ms, 0.99) if took_ms else None,
            newcomers=took["came"],
            let_in=len(took["let_in_ms"]),
            cpu=(after["cpu_s"] - before["cpu_s"]) / (after["at_s"] - before["at_s"]),
            memory_bytes=after["memory_bytes"],
            log_lines=after["log_lines"] - before["log_lines"],
            tried=0,
        )


def _cost(benches: Sequence[_Bench], rounds: int, progress: Progress) -> RelayCost:
    found: list[list[tuple[float, float]]] = [[] for _ in benches]
    for number in range(rounds):
        progress(f"cost of a signal, round {number + 1} of {rounds}")
        for one, of_one in zip(benches, found, strict=True):
            of_one.append(one.cost_us())
    ours, bare = found
    return RelayCost(
        ours_us=tuple(cost for cost, _ in ours),
        bare_us=tuple(cost for cost, _ in bare),
        per_s=statistics.median(per_s for _, per_s in ours),
    )


def _sources() -> Iterator[str | None]:
    """Yield addresses of this machine; ``None``, whatever it likes, where it has but one."""
    number = 1
    while True:
        address = f"127.0.1.{number}"
        number += 1
        with socket.socket() as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                yield None
            else:
                yield address


assert MAX_SIGNALS >= _COST_S * _COST_PER_S  # noqa: S101 - what a match relays
