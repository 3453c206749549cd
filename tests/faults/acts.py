"""What faults do: how each is begun in a scene, and how it is undone."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import attrs

from tests.faults.clocks import Clock
from tests.faults.draws import Fault
from tests.faults.seats import Player
from tests.lab import SERVICE, Lab

__all__ = ["ACTS", "Act", "Scenery"]

Halves = Literal["user", "network", "both"]

_BALLAST_BYTES = 4096


class Scenery(Protocol):
    """What acts are done to."""

    lab: Lab
    clock: Clock | None

    def player(self, host: str) -> Player:
        """Return the player of a host."""

    def start_again(self, host: str) -> None:
        """Start the player of a host once more, as they would themselves."""

    def kill_service(self) -> None:
        """Kill it without a word."""

    def restart_service(self) -> None:
        """Start it again, with the data that it had."""


@attrs.frozen
class Act:
    """One fault's two ends.

    Attributes:
        begin: lets it happen.
        end: undoes it after its time.
        strikes: whether the fault's hosts are players whom it strikes, and not the ends of a path.
    """

    begin: Callable[[Scenery, Fault], None]
    end: Callable[[Scenery, Fault], None] = lambda _scene, _fault: None
    strikes: bool = True


def _loss(scene: Scenery, fault: Fault) -> None:
    scene.lab.condition(between=_pair(fault), loss=fault.amount)


def _no_loss(scene: Scenery, fault: Fault) -> None:
    scene.lab.condition(between=_pair(fault), loss=0.0)


def _jitter(scene: Scenery, fault: Fault) -> None:
    scene.lab.condition(
        between=_pair(fault), jitter_ms=fault.amount / 2, jitter="uniform", in_order=fault.amount < 50
    )


def _no_jitter(scene: Scenery, fault: Fault) -> None:
    scene.lab.condition(between=_pair(fault), jitter_ms=0.0, in_order=True)


def _pair(fault: Fault) -> tuple[str, str]:
    one, other = fault.hosts
    return one, other


def _black(*, between: bool, to: bool) -> Callable[[Scenery, Fault], None]:
    """Return what blacks out both directions of the pair (``between``) or the first alone, or ends that."""

    def change(scene: Scenery, fault: Fault) -> None:
        if between:
            scene.lab.condition(between=_pair(fault), blackout=to)
        else:
            scene.lab.condition(way=_pair(fault), blackout=to)

    return change


def _relay(*, to: bool) -> Callable[[Scenery, Fault], None]:
    return lambda scene, fault: scene.lab.condition(between=(fault.hosts[0], SERVICE), blackout=to)


def _send(number: int, halves: Halves) -> Callable[[Scenery, Fault], None]:
    return lambda scene, fault: scene.player(fault.hosts[0]).signal(number, halves)


def _from_terminal(number: int) -> Callable[[Scenery, Fault], None]:
    return lambda scene, fault: scene.player(fault.hosts[0]).from_terminal(number)


def _roam(scene: Scenery, fault: Fault) -> None:
    scene.lab.roam(fault.hosts[0])


def _set_clock(scene: Scenery, fault: Fault) -> None:
    assert scene.clock is not None, "the stage has no clock of its own"
    scene.clock.set(fault.amount)


def _start_again(scene: Scenery, fault: Fault) -> None:
    scene.start_again(fault.hosts[0])


def _fill_disk(scene: Scenery, fault: Fault) -> None:
    ballast = scene.player(fault.hosts[0]).exports / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * _BALLAST_BYTES)


def _stopped(halves: Halves) -> Act:
    return Act(_send(signal.SIGSTOP, halves), _send(signal.SIGCONT, halves))


ACTS: Mapping[str, Act] = {
    "loss": Act(_loss, _no_loss, strikes=False),
    "jitter": Act(_jitter, _no_jitter, strikes=False),
    "one way": Act(_black(between=False, to=True), _black(between=False, to=False), strikes=False),
    "blackout": Act(_black(between=True, to=True), _black(between=True, to=False), strikes=False),
    "relay blackout": Act(_relay(to=True), _relay(to=False), strikes=False),
    "path change": Act(_roam),
    "rebinding": Act(lambda scene, fault: scene.lab.rebind(fault.hosts[0])),
    "player killed": Act(_send(signal.SIGKILL, "both"), _start_again),
    "user half killed": Act(_send(signal.SIGKILL, "user"), _start_again),
    "network half killed": Act(_send(signal.SIGKILL, "network")),
    "player stopped": _stopped("both"),
    "user half stopped": _stopped("user"),
    "network half stopped": _stopped("network"),
    "SIGHUP": Act(_from_terminal(signal.SIGHUP)),
    "SIGINT": Act(_from_terminal(signal.SIGINT)),
    "clock": Act(_set_clock),
    "disk full": Act(_fill_disk),
    "service killed": Act(
        lambda scene, _fault: scene.kill_service(),
        lambda scene, _fault: scene.restart_service(),
        strikes=False,
    ),
}
