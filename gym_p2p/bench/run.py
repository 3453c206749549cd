"""What all benches share: rounds that take turns, matches and wires between workers, the service."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from gym_p2p.bench.figures import Round, Series
from gym_p2p.bench.placement import Processors
from gym_p2p.bench.processes import Pair, Worker
from gym_p2p.config import ServiceConfig
from gym_p2p.server import serve_in_thread

__all__ = ["Progress", "Rounds", "matches", "new_room", "players", "service", "turns", "wires"]

Progress = Callable[[str], None]
"""Is called with what goes on, in words."""

_K = TypeVar("_K")

_numbers = itertools.count(1)


class Rounds:
    """Collects rounds by the name of their series, all of one unit."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._rounds: dict[str, list[Round]] = {}

    def add(self, name: str, samples: Sequence[float]) -> None:
        """Add a round; without samples there was none."""
        if samples:
            self._rounds.setdefault(name, []).append(Round.of(samples))

    def forget(self) -> None:
        """Begin anew."""
        self._rounds.clear()

    def series(self, name: str) -> Series:
        """Return what was collected under a name."""
        return Series(name=name, unit=self._unit, rounds=tuple(self._rounds.get(name, ())))

    def all(self) -> list[Series]:
        """Return everything."""
        return [self.series(name) for name in self._rounds]


def turns(
    found: Rounds, rounds: int, progress: Progress, *, count: int = 1, warm_up: int = 1
) -> Iterator[int]:
    """Yield how many samples to take of everything in turn: a few to warm up, then ``count`` a round.

    What warming up finds is forgotten.
    """
    progress("warming up")
    yield min(warm_up, count)
    found.forget()
    for number in range(1, rounds + 1):
        progress(f"round {number} of {rounds}")
        yield count


@contextlib.contextmanager
def service() -> Iterator[str]:
    """Run a service for the length of a ``with`` block; yields its address."""
    with (
        tempfile.TemporaryDirectory(prefix="gym-p2p-bench-") as data_dir,
        serve_in_thread(ServiceConfig(port=0, data_dir=data_dir)) as running,
    ):
        yield running.url


@contextlib.contextmanager
def players(python: str | None = None) -> Iterator[Pair]:
    """Start two players who have no match yet; ``python`` is as for :class:`Worker`."""
    left, right = (Worker("player", python, seat=seat) for seat in ("left", "right"))
    with left, right:
        yield Pair(left, right)


@contextlib.contextmanager
def matches(
    url: str, wanted: Mapping[_K, Mapping[str, Any]], python: str | None = None
) -> Iterator[dict[_K, Pair]]:
    """Open matches of two at the same time, each with its options of :class:`~gym_p2p.wrapper.P2PEnv`."""
    with contextlib.ExitStack() as stack:
        opened = {key: stack.enter_context(players(python)) for key in wanted}
        for key, options in wanted.items():
            room = new_room()
            opened[key].send_request("open", url=url, room=room, options=options)
        for pair in opened.values():
            pair.response()
        yield opened


@contextlib.contextmanager
def wires(
    wire: str,
    loop: str,
    emulation: Mapping[str, Any] | None = None,
    python: str | None = None,
    processors: Processors = (None, None),
) -> Iterator[Pair]:
    """Open a wire between two workers; see :class:`~gym_p2p.bench.wire_end.WireStation`."""
    arguments = {"wire": wire, "loop": loop, "emulation": emulation}
    ends = (Worker("wire", python, processor, **arguments) for processor in processors)
    with contextlib.ExitStack() as stack:
        one, other = map(stack.enter_context, ends)
        answer = other.request("answer", offer=one.request("offer"))
        other.send_request("finish", answer=None)
        one.request("finish", answer=answer)
        other.response()
        yield Pair(one, other)


def new_room() -> str:
    """Return a room's name that was not used yet."""
    return f"bench-{next(_numbers)}"
