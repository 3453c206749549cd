"""What all benches share: rounds that take turns, matches and wires between workers, the service."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import attrs

from gym_p2p.bench.figures import Round, Series
from gym_p2p.bench.processes import Worker, request_all
from gym_p2p.config import ServiceConfig
from gym_p2p.server import serve_in_thread

__all__ = ["PlayerPair", "Progress", "Rounds", "Wires", "matches", "new_room", "players", "service", "wires"]

Progress = Callable[[str], None]
"""Is called with what goes on, in words."""

_K = TypeVar("_K")

_numbers = itertools.count(1)


class Rounds:
    """Collects rounds by the name of their series."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._rounds: dict[str, list[Round]] = {}

    def add(self, name: str, one: Round | Mapping[str, Any]) -> None:
        """Add a round, as it is or as a worker reported it."""
        self._rounds.setdefault(name, []).append(one if isinstance(one, Round) else Round(**one))

    def series(self, name: str) -> Series:
        """Return what was collected under a name."""
        return Series(name=name, unit=self._unit, rounds=tuple(self._rounds.get(name, ())))

    def all(self) -> list[Series]:
        """Return everything."""
        return [self.series(name) for name in self._rounds]


@attrs.frozen(eq=False)
class PlayerPair:
    """Two players in workers of their own, in a match that is open."""

    players: tuple[Worker, Worker]

    def request(self, operation: str, **arguments: Any) -> list[Any]:
        """Send both players a request at the same time; return their responses."""
        return request_all(*self.players, operation=operation, **arguments)


@attrs.frozen(eq=False)
class Wires:
    """The two ends of a wire, in workers of their own; the first one measures."""

    ends: tuple[Worker, Worker]

    def request(self, operation: str, **arguments: Any) -> list[Any]:
        """Send both ends a request at the same time; return their responses."""
        return request_all(*self.ends, operation=operation, **arguments)


@contextlib.contextmanager
def service() -> Iterator[str]:
    """Run a service for the length of a ``with`` block; yields its address."""
    with (
        tempfile.TemporaryDirectory(prefix="gym-p2p-bench-") as data_dir,
        serve_in_thread(ServiceConfig(port=0, data_dir=data_dir)) as running,
    ):
        yield running.url


@contextlib.contextmanager
def players() -> Iterator[PlayerPair]:
    """Start two players who have no match yet."""
    with Worker("player", seat="left") as left, Worker("player", seat="right") as right:
        yield PlayerPair((left, right))


@contextlib.contextmanager
def matches(url: str, wanted: Mapping[_K, Mapping[str, Any]]) -> Iterator[dict[_K, PlayerPair]]:
    """Open matches of two at the same time, each with its options of :class:`~gym_p2p.wrapper.P2PEnv`."""
    with contextlib.ExitStack() as stack:
        opened = {key: stack.enter_context(players()) for key in wanted}
        for key, options in wanted.items():
            room = new_room()
            for player in opened[key].players:
                player.send_request("open", url=url, room=room, options=options)
        for pair in opened.values():
            for player in pair.players:
                player.response()
        yield opened


@contextlib.contextmanager
def wires(wire: str, loop: str, emulation: Mapping[str, Any] | None = None) -> Iterator[Wires]:
    """Open a wire between two workers; see :class:`~gym_p2p.bench.wire_end.WireStation`."""
    arguments = {"wire": wire, "loop": loop, "emulation": emulation}
    with Worker("wire", **arguments) as one, Worker("wire", **arguments) as other:
        answer = other.request("answer", offer=one.request("offer"))
        other.send_request("finish", answer=None)
        one.request("finish", answer=answer)
        other.response()
        yield Wires((one, other))


def new_room() -> str:
    """Return a room's name that was not used yet."""
    return f"bench-{next(_numbers)}"
