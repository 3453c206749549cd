"""How long a player is away who is killed in a long match of Rally, and started again.

``python -m benchmarks.rejoin [--frames 30000] [--sync lockstep]``. Two real players, ``gym-p2p join`` with
all their processes, as fast as they can; one is killed with all of them (``kill -9``) in that frame, and
started again at once. Prints how long it takes from the start of the new process to its first step, in parts,
and what of each part its own process computed; then both play on to the end, and must have the same match.

:mod:`benchmarks.rejoin_memory` has the parts that need no network, by themselves.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console
from rich.table import Table

from benchmarks.measured.returning import HOLD_AT, MARKS, marks
from gym_p2p.bench.run import service
from tests.faults.seats import family

__all__ = ["Comeback", "main", "measure", "parts"]

PARTS = (
    ("the interpreter", "started"),
    ("imports, the environment, the network half", "coming back"),
    ("signing in", "signed in"),
    ("connecting", "reached"),
    ("fetching", "the others tell"),
    ("playing again", "played"),
    ("taking the seat", "back at"),
    ("the first step", "first step"),
)
"""Each ends with a note that begins so."""

_PLAYED_ON_FRAMES = 300
_LIMIT_S = 300.0
_LOOK_EVERY_S = 0.01


@attrs.frozen
class Comeback:
    """What came of it.

    Attributes:
        parts: of each part, in order, the seconds that it took, and those of the processor in its process.
        total_s: from the start of the process to its first step.
        pause_s: how long the other player stood, from the kill on.
    """

    parts: Sequence[tuple[str, float, float]]
    total_s: float
    pause_s: float


def parts(noted: Sequence[dict[str, Any]], began: float) -> list[tuple[str, float, float]]:
    """Return what each part took, by a player's notes since it was started.

    Raises:
        ValueError: a note is missing.
    """
    found, at, cpu_s = [], began, 0.0
    for name, begins in PARTS:
        note = next((one for one in noted if one["what"].startswith(begins)), None)
        if note is None:
            raise ValueError(f"the player never came to {begins!r}: {[one['what'] for one in noted]}")
        found.append((name, note["at"] - at, note["cpu_s"] - cpu_s))
        at, cpu_s = note["at"], note["cpu_s"]
    return found


class _Player:
    def __init__(self, folder: Path, seat: str, url: str, *, sync: str, frames: int, hold_at: int) -> None:
        self.folder = folder / seat
        self.folder.mkdir()
        self.marks = self.folder / "marks.jsonl"
        self._command = [
            *(sys.executable, "-m", "benchmarks.measured.returning", "join", "gym_p2p/Rally-v0"),
            *("--server", url, "--seat", seat, "--subject", f"subject-of-{seat}", "--sync", sync),
            *("--policy", "benchmarks.measured.returning:act", "--frames", str(frames + _PLAYED_ON_FRAMES)),
            *("--rejoin-timeout", "60", "--exports", str(self.folder / "exports"), "--json"),
        ]
        self.process = self._start(hold_at)

    def start_again(self) -> float:
        """Start it once more; return when."""
        self.marks.unlink()
        began = time.monotonic()
        self.process = self._start(0)
        return began

    def _start(self, hold_at: int) -> subprocess.Popen[bytes]:
        own = {MARKS: str(self.marks), HOLD_AT: str(hold_at), "XDG_STATE_HOME": str(self.folder / "state")}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own command
                self._command, stdout=log, stderr=log, env={**os.environ, **own}
            )

    def wait_for(self, what: str, *, after: float = 0.0) -> dict[str, Any]:
        """Return the first note since then that begins so."""
        deadline = time.monotonic() + _LIMIT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            for note in marks(self.marks):
                if note["at"] > after and note["what"].startswith(what):
                    return note
            time.sleep(_LOOK_EVERY_S)
        raise TimeoutError(f"no {what!r}: {(self.folder / 'log').read_text()[-2000:]}")

    def kill(self) -> float:
        """Kill all its processes; return when."""
        at, killed = time.monotonic(), family(self.process.pid)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        return at

    def document(self) -> dict[str, Any]:
        """Return what it has to show of the match."""
        (path,) = (self.folder / "exports").glob("[!.]*/*.multiplayer.json*")
        data = path.read_bytes()
        document: dict[str, Any] = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
        return document


def measure(frames: int, sync: str) -> Comeback:
    """Play, kill, start again, and play to the end.

    Raises:
        ValueError: the two have not played the same match.
        TimeoutError: something never happened.
    """
    with tempfile.TemporaryDirectory(prefix="gym-p2p-rejoin-") as name, service() as url:
        folder = Path(name)
        with _players(folder, url, sync=sync, frames=frames) as (stays, returns):
            returns.wait_for("there")
            killed = returns.kill()
            began = returns.start_again()
            first = returns.wait_for("first step")
            went_on = stays.wait_for("went on", after=killed)
            for player in (stays, returns):
                if player.process.wait(_LIMIT_S) != 0:
                    raise ValueError((player.folder / "log").read_text()[-2000:])
            _require_same(stays.document(), returns.document(), frames + _PLAYED_ON_FRAMES)
            return Comeback(
                parts(marks(returns.marks), began),
                total_s=first["at"] - began,
                pause_s=went_on["at"] - killed,
            )


@contextlib.contextmanager
def _players(folder: Path, url: str, *, sync: str, frames: int) -> Iterator[tuple[_Player, _Player]]:
    stays = _Player(folder, "left", url, sync=sync, frames=frames, hold_at=0)
    returns = _Player(folder, "right", url, sync=sync, frames=frames, hold_at=frames)
    try:
        yield stays, returns
    finally:
        for player in (stays, returns):
            if player.process.poll() is None:
                player.kill()


def _require_same(one: dict[str, Any], other: dict[str, Any], frames: int) -> None:
    played = [document["validation"]["allActions"] for document in (one, other)]
    checked = [document["validation"]["allHashes"] for document in (one, other)]
    if played[0] != played[1] or checked[0] != checked[1] or len(played[0]) != 2 * frames:
        raise ValueError(f"the two have not played the same {frames} frames")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--frames", type=int, default=30_000, help="after which it is killed (default: %(default)s)"
    )
    parser.add_argument("--sync", choices=["lockstep", "rollback"], default="lockstep")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    found = measure(given.frames, given.sync)
    if given.json:
        sys.stdout.write(json.dumps(attrs.asdict(found)) + "\n")
        return 0
    table = Table(
        "part", "s", "of which its process computed", title=f"back at frame {given.frames:,}, {given.sync}"
    )
    for name, took_s, cpu_s in found.parts:
        table.add_row(name, f"{took_s:.2f}", f"{cpu_s:.2f}")
    table.add_row("from the start to the first step", f"{found.total_s:.2f}", "")
    table.add_row("the other player stood, from the kill", f"{found.pause_s:.2f}", "")
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
