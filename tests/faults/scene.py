"""One run: a laboratory, the service, players, faults at their moments, and what is left when all is over.

It plays and notes; what that is worth is the audit's business (:mod:`tests.faults.audit`), which reads the
folder of the run and nothing else. Its own note is ``scene.json``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import psutil

from tests.faults.acts import ACTS
from tests.faults.clocks import Clock
from tests.faults.draws import Fault
from tests.faults.games import SEATS
from tests.faults.kinds import KINDS
from tests.faults.scenario import Plan
from tests.faults.seats import Player, family, start_player, start_spectator
from tests.lab import SERVICE, Lab
from tests.net.coturn import SECRET, coturn_command
from tests.net.lab_match import ROOT, start_service

__all__ = ["Scene", "Stopped"]

_LOOKS_EVERY_S = 0.01
_START_S = 45.0
"""For all to come together, on a machine that has other things to do."""
_END_S = 40.0
"""For a match to be over after its last frame, or after what ended it; longer than any timeout on the way."""
_GONE_S = 25.0
"""For processes to be gone after the command has ended. Documents of a killed player are handed in by another
process, which has 20 s for that."""
_SERVICE_END_S = 15.0
_RECOVERY_S = 60.0
_ENDING = {"TIME-WAIT", "FIN-WAIT-1", "FIN-WAIT-2", "LAST-ACK", "CLOSING"}
"""What the kernel keeps of connections that nobody has any more."""
_SMALL_DISK = "size=64k"
_TURN_PORT = 3478


class Stopped(Exception):
    """The bench was told to stop."""


class Scene:
    """A run of a plan.

    Args:
        plan: what happens.
        folder: for everything that is left of it; made.
        stop: set by whoever wants no more of it.
        revision: of what is tried, for the note; ``None`` is unknown.
    """

    def __init__(
        self, plan: Plan, folder: Path, stop: threading.Event, *, revision: str | None = None
    ) -> None:
        self._plan = plan
        self._revision = revision
        self._stage = KINDS[plan.kind].stage
        self._folder = folder
        self._stop = stop
        self._players: dict[str, Player] = {}
        self._service: subprocess.Popen[bytes] | None = None
        self._spectator: subprocess.Popen[bytes] | None = None
        self._url = ""
        self._happened: list[dict[str, Any]] = []
        self.clock: Clock | None = None
        behind = plan.hosts[: self._stage.behind] if self._stage.nat is not None else ()
        nats = {host: self._stage.nat for host in behind if self._stage.nat is not None}
        roaming = plan.hosts[:1] if self._stage.roaming else ()
        self.lab = Lab(plan.hosts, nats=nats, roaming=roaming, seed=plan.seed, one_way_ms=plan.one_way_ms)

    def run(self) -> None:
        """Play it through, and leave the folder to the audit.

        Raises:
            Stopped: it was told to.
        """
        self._folder.mkdir(parents=True)
        with self._small_disk(), self.lab:
            self._set_up()
            self._start_players()
            self._play()
            left = self._what_is_left()
            self._bring_back()
            self._recover()
            self._end_service()
            self._note(left)

    def player(self, host: str) -> Player:
        """Return the player of a host."""
        return self._players[host]

    def kill_service(self) -> None:
        """Kill it without a word."""
        assert self._service is not None
        self._service.kill()
        self._service.wait()
        self._service = None

    def restart_service(self) -> None:
        """Start it again, with the data that it had."""
        place = f"{self.lab.address(SERVICE)}:{_TURN_PORT}"
        options = [f"--ice-server={scheme}:{place}" for scheme in self._stage.ice]
        own = {**os.environ, "HOME": str(self._folder), "GYM_P2P_TURN_SECRET": SECRET}
        self._service, self._url = start_service(self.lab, self._folder, *options, env=own)

    def signal_service(self, number: int) -> None:
        """Send it a signal."""
        assert self._service is not None
        self._service.send_signal(number)

    def cut_power(self, host: str) -> None:
        """End everything in a host at once, in the middle of whatever it is at, and its link before it."""
        self.lab.cut_off(host, to=True)
        self.lab.reset(host)

    def restore_power(self, host: str) -> None:
        """Let a host have its link again; nothing runs there."""
        self.lab.cut_off(host, to=False)

    def kill_spectators(self) -> None:
        """Kill all processes of who looks on."""
        assert self._spectator is not None
        for pid in family(self._spectator.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _set_up(self) -> None:
        if self._stage.ice:
            command = coturn_command(self._folder, self.lab.address(SERVICE), _TURN_PORT)
            with (self._folder / "turn.log").open("wb") as log:
                self.lab.run(SERVICE, command, stdout=log, stderr=log)
        if self._stage.own_clock:
            self.clock = Clock(self._folder)
        if self._stage.roaming:
            first = self.lab.second(self._plan.hosts[0])
            for other in self._plan.hosts[1:]:
                self.lab.condition(between=(first, other), one_way_ms=self._plan.one_way_ms)
        self.restart_service()

    @contextlib.contextmanager
    def _small_disk(self) -> Iterator[None]:
        if not self._stage.small_disk:
            yield
            return
        place = self._folder / self._plan.hosts[0] / "exports"
        place.mkdir(parents=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", _SMALL_DISK, "tmpfs", str(place)], check=True, timeout=10
        )
        try:
            yield
        finally:
            kept = place.with_name("exports-kept")  # for the audit, which comes when the disk is gone
            with contextlib.suppress(OSError):
                shutil.copytree(place, kept, ignore=shutil.ignore_patterns("ballast"))
            subprocess.run(["umount", "-l", str(place)], check=True, timeout=10)

    def _start_players(self) -> None:
        for host, seat in zip(self._plan.hosts, SEATS[self._plan.game], strict=True):
            folder = self._folder / host
            self._players[host] = Player(host, seat, folder, self._start(host, seat))
        if self._stage.spectator:
            self._spectator = start_spectator(self.lab, self._plan, self._url, self._folder / "spectator")

    def start_again(self, host: str) -> None:
        """Start the player of a host once more, as they would themselves."""
        player = self._players[host]
        player.process.wait()
        player.process = self._start(host, player.seat)
        player.starts += 1

    def _start(self, host: str, seat: str) -> subprocess.Popen[bytes]:
        first = host == self._plan.hosts[0]
        own_clock = self.clock is not None and first
        environment = self.clock.environment if own_clock and self.clock is not None else {}
        return start_player(
            self.lab,
            host,
            seat,
            self._plan,
            self._url,
            self._folder / host,
            options=self._stage.join,
            environment=environment,
            by_modes=first and self._stage.by_modes,
        )

    def _play(self) -> None:
        """Let every fault happen in its moment, until all players have ended or should have."""
        waiting = list(self._plan.faults)
        ends: list[tuple[float, Fault, dict[str, Any]]] = []
        deadline = time.monotonic() + _START_S
        while any(player.process.poll() is None for player in self._players.values()):
            if self._stop.is_set():
                raise Stopped
            now = time.monotonic()
            if now > deadline and not ends:
                return
            frames = [player.follow() for player in self._players.values()]
            while waiting and self._is_due(waiting[0], min(frames), max(frames)):
                fault = waiting.pop(0)
                time.sleep(fault.delay_s)
                ends += self._begin(fault)
                deadline = time.monotonic() + (fault.seconds or 0) + _END_S + self._plan.frames / 15
            for due, fault, happened in [one for one in ends if one[0] <= now]:
                ends.remove((due, fault, happened))
                ACTS[fault.what].end(self, fault)
                happened["to"] = time.monotonic()
            time.sleep(_LOOKS_EVERY_S)

    def _is_due(self, fault: Fault, slowest: int, fastest: int) -> bool:
        match fault.when:
            case "starting":
                return True
            case "meeting":
                return bool(self.lab.udp_ports(fault.hosts[0]))
            case "returning":
                awaited = fault.awaits or fault.hosts[0]
                return self._players[awaited].starts > 1 and bool(self.lab.udp_ports(awaited))
            case "closing":
                return fastest >= self._plan.frames
            case "playing":
                return slowest >= fault.frame

    def _begin(self, fault: Fault) -> list[tuple[float, Fault, dict[str, Any]]]:
        act, expected = ACTS[fault.what], KINDS[fault.of or self._plan.kind].expected
        named = {"naming": expected.naming, "names": expected.names}
        played = max(player.follow() for player in self._players.values())
        happened = {**attrs.asdict(fault), **named, "played": played, "from": time.monotonic(), "to": None}
        act.begin(self, fault)
        happened["begun"] = time.monotonic()
        if act.strikes:
            self._players[fault.hosts[0]].struck = True
        self._happened.append(happened)
        return [] if fault.seconds is None else [(time.monotonic() + fault.seconds, fault, happened)]

    def _what_is_left(self) -> dict[str, list[str]]:
        """Wait for what ends by itself, and name what does not."""
        self._ask_the_waiting_to_end()
        deadline = time.monotonic() + _GONE_S
        while (alive := self._alive()) and time.monotonic() < deadline:
            time.sleep(_LOOKS_EVERY_S)
        return {"processes": [_in_words(pid) for pid in alive], "sockets": self._sockets()}

    def _ask_the_waiting_to_end(self) -> None:
        """Who has met nobody waits on for somebody: end them as a person would, with Ctrl-C."""
        for player in self._players.values():
            if player.process.poll() is None and not player.frames:
                player.from_terminal(signal.SIGINT)
        for player in self._players.values():
            if not player.frames:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    player.process.wait(_GONE_S)

    def _alive(self) -> list[int]:
        return sorted(pid for host in self._plan.hosts for pid in self.lab.processes(host))

    def _sockets(self) -> list[str]:
        told = []
        for host in self._plan.hosts:
            process = self.lab.run(host, ["ss", "-Hantup"], stdout=subprocess.PIPE)
            lines = process.communicate(timeout=10)[0].decode().splitlines()
            told += [f"{host}: {line}" for line in lines if line.split()[1] not in _ENDING]
        return told

    def _end_service(self) -> None:
        """End it as its operator would."""
        if self._service is None:
            return
        self._service.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._service.wait(_SERVICE_END_S)

    def _bring_back(self) -> None:
        """Let there be again what had gone for the rest of the match, and is wanted after it."""
        for host in self._plan.hosts:
            self.restore_power(host)
        if self._service is None and self._stage.service_later:
            self.restart_service()

    def _recover(self) -> None:
        """Do what players are told to do: recover what the killed have left, hand in what was kept."""
        for player in self._players.values():
            told = player.told()
            if told is not None and told["uploaded"]:
                continue
            with (player.folder / "recover.log").open("wb") as log:
                for what in ("recover", "upload"):
                    command = [sys.executable, "-m", "gym_p2p", "exports", what, str(player.exports)]
                    process = self.lab.run(player.host, command, cwd=ROOT, stdout=log, stderr=log)
                    process.wait(_RECOVERY_S)

    def _note(self, left: dict[str, list[str]]) -> None:
        scene = {
            **attrs.asdict(self._plan),
            "plan": attrs.asdict(self._plan),
            "revision": self._revision,
            "expected": attrs.asdict(KINDS[self._plan.kind].expected),
            "clock": {"unix": time.time(), "monotonic": time.monotonic()},
            "players": {
                host: {
                    "seat": player.seat,
                    "struck": player.struck,
                    "exit": player.process.poll(),
                    "frames": player.follow(),
                }
                for host, player in self._players.items()
            },
            "planned": [fault.what for fault in self._plan.faults],
            "faults": self._happened,
            "service": None if self._service is None else self._service.poll(),
            "left": left,
        }
        (self._folder / "scene.json").write_text(json.dumps(scene, indent=1))


def _in_words(pid: int) -> str:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        told = " ".join(process.cmdline())
        return f"{process.name()} ({told if len(told) < 160 else told[:60] + ' ... ' + told[-100:]})"
    return f"process {pid}"
