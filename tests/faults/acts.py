"""What faults do: how each is begun in a scene, and how it is undone."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import attrs

from tests.faults.clocks import Clock
from tests.faults.draws import Fault
from tests.faults.seats import Player
from tests.lab import SERVICE, Lab

__all__ = ["ACTS", "Act", "Scenery"]

Halves = Literal["user", "network", "warm", "both"]

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

    def signal_service(self, number: int) -> None:
        """Send it a signal."""

    def cut_power(self, host: str) -> None:
        """End everything in a host at once, in the middle of whatever it is at, and its link before it."""

    def restore_power(self, host: str) -> None:
        """Let a host have its link again; nothing runs there."""

    def kill_spectators(self) -> None:
        """Kill all processes of who looks on."""


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


def _line(*, to: bool) -> Callable[[Scenery, Fault], None]:
    """Return what cuts a host's path to the service, and nothing else, or mends it."""
    return lambda scene, fault: scene.lab.condition(between=(fault.hosts[0], SERVICE), blackout=to)


def _cut_off(*, to: bool) -> Callable[[Scenery, Fault], None]:
    """Return what cuts all paths of a host, or mends them."""
    return lambda scene, fault: scene.lab.cut_off(fault.hosts[0], to=to)


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


def _power_again(scene: Scenery, fault: Fault) -> None:
    scene.restore_power(fault.hosts[0])
    scene.start_again(fault.hosts[0])


def _fill_disk(scene: Scenery, fault: Fault) -> None:
    ballast = scene.player(fault.hosts[0]).exports / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * _BALLAST_BYTES)


def _delete_folder(scene: Scenery, fault: Fault) -> None:
    shutil.rmtree(scene.player(fault.hosts[0]).exports)


def _forbid_writing(scene: Scenery, fault: Fault) -> None:
    """Take the right to write from everything in a player's exports folder, as ``chmod -R a-w`` does."""
    exports = scene.player(fault.hosts[0]).exports
    for path in [exports, *exports.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)


def _tell(word: str) -> Callable[[Scenery, Fault], None]:
    """Return what has a player's own program do something (:func:`tests.faults.games.told`)."""
    return lambda scene, fault: scene.player(fault.hosts[0]).tell(word)


def _signal_service(number: int) -> Callable[[Scenery, Fault], None]:
    return lambda scene, _fault: scene.signal_service(number)


def _stopped(halves: Halves) -> Act:
    return Act(_send(signal.SIGSTOP, halves), _send(signal.SIGCONT, halves))


ACTS: Mapping[str, Act] = {
    "loss": Act(_loss, _no_loss, strikes=False),
    "jitter": Act(_jitter, _no_jitter, strikes=False),
    "one way": Act(_black(between=False, to=True), _black(between=False, to=False), strikes=False),
    "blackout": Act(_black(between=True, to=True), _black(between=True, to=False), strikes=False),
    "relay blackout": Act(_line(to=True), _line(to=False), strikes=False),
    "line cut": Act(_line(to=True), _line(to=False), strikes=False),
    "cut off": Act(_cut_off(to=True), _cut_off(to=False), strikes=False),
    "path change": Act(_roam),
    "rebinding": Act(lambda scene, fault: scene.lab.rebind(fault.hosts[0])),
    "player killed": Act(_send(signal.SIGKILL, "both"), _start_again),
    "user half killed": Act(_send(signal.SIGKILL, "user"), _start_again),
    "network half killed": Act(_send(signal.SIGKILL, "network")),
    "warm server killed": Act(_send(signal.SIGKILL, "warm")),
    "power cut": Act(lambda scene, fault: scene.cut_power(fault.hosts[0]), _power_again),
    "error in step": Act(_tell("fail")),
    "chdir": Act(_tell("chdir")),
    "player stopped": _stopped("both"),
    "user half stopped": _stopped("user"),
    "network half stopped": _stopped("network"),
    "SIGHUP": Act(_from_terminal(signal.SIGHUP)),
    "SIGINT": Act(_from_terminal(signal.SIGINT)),
    "clock": Act(_set_clock),
    "disk full": Act(_fill_disk),
    "folder deleted": Act(_delete_folder),
    "read-only": Act(_forbid_writing),
    "spectator killed": Act(lambda scene, _fault: scene.kill_spectators(), strikes=False),
    "service stopped": Act(_signal_service(signal.SIGSTOP), _signal_service(signal.SIGCONT), strikes=False),
    "service killed": Act(
        lambda scene, _fault: scene.kill_service(),
        lambda scene, _fault: scene.restart_service(),
        strikes=False,
    ),
}
