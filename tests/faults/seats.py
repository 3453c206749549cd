"""One player of a scene, from outside: the product's command, its processes, and how far it has come."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs

from tests.faults.draws import EPISODE_FRAMES, FPS
from tests.faults.games import ACCOUNT, SEAT
from tests.faults.scenario import Plan
from tests.lab import SERVICE, Lab
from tests.net.lab_match import ROOT

__all__ = ["Player", "family", "start_player", "start_spectator"]

ROOM = "faults"

NETWORK = "gym_p2p-network"
"""What the network half is called where processes are listed."""
WARM = "gym_p2p-warm"
"""What the server is called that forked it."""
_BY_MODES = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Runs a program of root's for whom files' modes count, as for any other user."""


@attrs.define(eq=False)
class Player:
    """A player in a host of the laboratory.

    Attributes:
        host: where.
        seat: theirs.
        folder: where their files are.
        process: the half that plays.
        struck: whether a fault struck it.
        starts: how often it was started.
        frames: how many actions it was asked for so far.
    """

    host: str
    seat: str
    folder: Path
    process: subprocess.Popen[bytes]
    struck: bool = False
    starts: int = 1
    frames: int = 0
    _read: int = 0

    @property
    def exports(self) -> Path:
        """Where its documents go."""
        return self.folder / "exports"

    def follow(self) -> int:
        """Return how many actions it was asked for so far."""
        with contextlib.suppress(FileNotFoundError), (self.folder / "account.asked.jsonl").open("rb") as file:
            file.seek(self._read)
            news = file.read()
            self._read += len(news)
            self.frames += news.count(b"\n")
        return self.frames

    def family(self) -> list[int]:
        """Return the ids of all its processes that live, its own first."""
        return family(self.process.pid)

    def signal(self, number: int, halves: Literal["user", "network", "warm", "both"]) -> None:
        """Send a signal to the half that plays, to the other one, to what forked that, or to all of them."""
        family = self.family()
        struck = {
            "user": family[:1],
            "network": [pid for pid in family if _name(pid) == NETWORK],
            "warm": [pid for pid in family if _name(pid) == WARM],
            "both": family,
        }[halves]
        for pid in struck:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def from_terminal(self, number: int) -> None:
        """Send a signal as a terminal does: to the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def tell(self, word: str) -> None:
        """Have its own program do something, with its next step."""
        (self.folder / f"account.{word}").touch()

    def told(self) -> dict[str, Any] | None:
        """Return the summary that it printed, if it did."""
        for line in (self.folder / "out.jsonl").read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                said = json.loads(line)
                if said.get("type") == "summary":
                    return dict(said)
        return None


def start_player(
    lab: Lab,
    host: str,
    seat: str,
    plan: Plan,
    url: str,
    folder: Path,
    *,
    options: Sequence[str],
    environment: Mapping[str, str],
    by_modes: bool = False,
) -> subprocess.Popen[bytes]:
    """Start one: ``gym-p2p join``, with nothing of ours but the game and the policy.

    Its folder of exports is named from its working directory, which is its own.
    """
    folder.mkdir(exist_ok=True)
    (folder / "exports").mkdir(exist_ok=True)
    command = [
        *(_BY_MODES if by_modes else ()),
        *(sys.executable, "-m", "gym_p2p", "join", f"tests.faults.games:{plan.game}"),
        *("--env-arg", f"max_frames={EPISODE_FRAMES}", "--policy", "tests.faults.games:act"),
        *("--server", url, "--room", ROOM, "--seat", seat, "--subject", f"subject-of-{seat}"),
        *("--sync", plan.sync, "--fps", str(FPS), "--frames", str(plan.frames)),
        *("--exports", "exports", "--json", *options),
    ]
    home = {"HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "home" / "state")}
    ours = {"PYTHONPATH": str(ROOT), ACCOUNT: str(folder / "account"), SEAT: seat}
    own = {**os.environ, **home, **ours, **environment}
    with (folder / "out.jsonl").open("ab") as out, (folder / "log").open("ab") as log:
        return lab.run(host, command, stdout=out, stderr=log, cwd=folder, env=own, start_new_session=True)


def start_spectator(lab: Lab, plan: Plan, url: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start somebody who looks on, on the service's node."""
    folder.mkdir()
    command = [
        *(sys.executable, "-m", "gym_p2p", "watch", f"tests.faults.games:{plan.game}"),
        *("--env-arg", f"max_frames={EPISODE_FRAMES}", "--server", url, "--room", ROOM, "--json"),
    ]
    own = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    with (folder / "log").open("ab") as log:
        return lab.run(SERVICE, command, stdout=log, stderr=log, cwd=folder, env=own, start_new_session=True)


def family(pid: int) -> list[int]:
    """Return the ids of a process and of all that it and these have started."""
    found = [pid]
    for one in found:  # which grows meanwhile
        # Each at once from the kernel: looking through all of a busy machine's takes half a second.
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return found


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""
