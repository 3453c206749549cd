"""A match in the network laboratory: the service, players in hosts, and what they leave behind.

Knows the commands' arguments and the documents' names; the paths' behaviour is the laboratory's business.
"""

from __future__ import annotations

import gzip
import itertools
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import attrs

from gym_p2p.wrapper import P2POptions
from tests.lab import SERVICE, Lab, read_line

__all__ = ["LabMatch", "LabPlayer", "start_service"]

ROOT = Path(__file__).parents[2]

_NICE = -15
"""Before what else the machine runs: a host of the laboratory stands for a machine of its own."""

_RUN = [sys.executable, "-c", "from tests.net.lab_player import main; main()"]
_START_TIMEOUT_S = 40.0
_END_TIMEOUT_S = 60.0


def start_service(
    lab: Lab, folder: Path, *options: str, env: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[bytes], str]:
    """Start the signalling service on its node; return its process and its URL."""
    command = [
        *("nice", "-n", str(_NICE)),
        sys.executable,
        "-m",
        "gym_p2p",
        "serve",
        "--host",
        lab.address(SERVICE),
        "--open",
        "--port",
        "8765",
    ]
    with (folder / "service.log").open("ab") as log:
        process = lab.run(
            SERVICE,
            [*command, "--data-dir", str(folder / "service"), *options],
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=ROOT,
            env=env,
        )
    return process, read_line(process, timeout_s=_START_TIMEOUT_S).split()[-1]


@attrs.define(eq=False)
class LabPlayer:
    """One player process, and the lines it has written."""

    process: subprocess.Popen[bytes]
    output: Path
    log: Path

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """Return the lines of one type that are there by now."""
        whole = [line for line in self.output.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in map(json.loads, whole) if line["type"] == kind]

    def wait_for(self, kind: str, timeout_s: float) -> dict[str, Any]:
        """Return the first line of a type.

        Raises:
            TimeoutError: it did not come in time, or the player ended without it.
        """
        deadline = time.monotonic() + timeout_s
        while not (found := self.lines(kind)):
            if deadline < time.monotonic() or self.process.poll() is not None:
                raise TimeoutError(
                    f"no {kind}: {self.output.read_text()[-500:]} {self.log.read_text()[-2000:]}"
                )
            time.sleep(0.02)
        return found[0]

    def end(self, *, within_s: float = _END_TIMEOUT_S) -> None:
        """Wait until the player has ended by itself."""
        self.process.wait(within_s)

    def kill(self) -> None:
        """Kill the player without a word."""
        self.process.kill()
        self.process.wait(_END_TIMEOUT_S)

    def stop(self) -> None:
        """Tell the player to stop, as a terminal's Ctrl-C does, and wait until it has."""
        self.process.send_signal(signal.SIGTERM)
        self.end()

    @property
    def summary(self) -> dict[str, Any]:
        """The summary of a player who has ended."""
        return self.wait_for("summary", 0.0) if self.process.poll() is None else self._summary()

    def _summary(self) -> dict[str, Any]:
        found = self.lines("summary")
        assert found, f"{self.output.read_text()[-500:]} {self.log.read_text()[-3000:]}"
        return found[0]

    def document(self, kind: str) -> dict[str, Any]:
        """Return one of the three documents, from disk."""
        path = Path(self.summary["exports"][kind])
        data = path.read_bytes()
        document: dict[str, Any] = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
        return document

    def step_times_ms(self, *, skip: int = 30) -> list[float]:
        """Return the times from one frame to the next, without the first ``skip``."""
        frames = self.summary["frames"][skip:]
        return [(after - before) * 1e3 for before, after in itertools.pairwise(frames)]

    def rtts_ms(self, start: float = 0.0, end: float = float("inf")) -> list[float]:
        """Return the exported latency samples of a span of Unix time."""
        samples = self.document("session")["latency"]["samples"]
        return [s["rttMs"] for s in samples if start <= s["timestamp"] / 1e3 <= end]

    def median_rtt_ms(self, start: float, end: float) -> float:
        """Return the median of those samples."""
        return statistics.median(self.rtts_ms(start, end))


class LabMatch:
    """A service and one player in every host of a laboratory."""

    def __init__(self, lab: Lab, folder: Path, *service_options: str) -> None:
        self.lab = lab
        self._folder = folder
        self._rounds = 0
        _, self.url = start_service(lab, folder, *service_options)
        self.players: dict[str, LabPlayer] = {}

    def play(
        self,
        *,
        env: str = "gym_p2p/Rally-v0",
        env_args: Mapping[str, Any] | None = None,
        seats: Sequence[str] = ("left", "right"),
        frames: int | None = None,
        busy_ms: Mapping[str, float] | None = None,
        shifts: Sequence[int] | None = None,
        **options: Any,
    ) -> Self:
        """Start a match with a player in every host, each with these options.

        ``busy_ms`` is by host; ``shifts``, in the order of the hosts, lets players change their actions at
        different frames.
        """
        self._rounds += 1
        busy = busy_ms or {}
        for host, seat, shift in zip(self.lab.hosts, seats, shifts or [0] * len(seats), strict=True):
            own: P2POptions = {
                "server_url": self.url,
                "room": f"round-{self._rounds}",
                "exports": str(self._folder / f"exports-{host}"),
                **options,  # type: ignore[typeddict-item]  # the player checks them
            }
            wish = {
                "env": env,
                "env_args": dict(env_args or {}),
                "seat": seat,
                "shift": shift,
                "frames": frames,
                "busy_ms": busy.get(host, 0.0),
                "nice": _NICE,
                "options": own,
            }
            self.players[host] = self._start(host, wish)
        return self

    def _start(self, host: str, wish: Mapping[str, Any]) -> LabPlayer:
        output = self._folder / f"{host}-{self._rounds}.jsonl"
        log = output.with_suffix(".log")
        with output.open("wb") as out, log.open("wb") as err:
            process = self.lab.run(host, [*_RUN, json.dumps(wish)], stdout=out, stderr=err, cwd=ROOT)
        return LabPlayer(process, output, log)

    def __getitem__(self, host: str) -> LabPlayer:
        return self.players[host]

    def wait_until_playing(self, timeout_s: float = 60.0) -> Self:
        """Wait until every player has begun the first episode."""
        for player in self.players.values():
            player.wait_for("EpisodeBegan", timeout_s)
        return self

    def end(self, *, within_s: float = _END_TIMEOUT_S) -> Self:
        """Wait until all players have ended by themselves."""
        for player in self.players.values():
            player.end(within_s=within_s)
        return self

    def stop(self) -> Self:
        """Stop the first player, and wait for all to end."""
        next(iter(self.players.values())).stop()
        return self.end()

    def no_desync(self) -> bool:
        """Say whether all players compared checksums, and all were equal."""
        return all(
            player.summary["status"]["desyncs"] == 0 and player.summary["status"]["checksums_agreed"] > 0
            for player in self.players.values()
        )
