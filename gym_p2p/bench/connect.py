"""``bench connect``: from ``reset``, and from the match being found, to open channels; and start-up."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from gym_p2p.bench.figures import Report, Row
from gym_p2p.bench.processes import Pair, Worker
from gym_p2p.bench.run import Progress, Rounds, new_room, players, service, turns
from gym_p2p.processes.python import python_command

__all__ = ["bench_connect"]

_NETWORKS = ("thread", "process")


def bench_connect(*, rounds: int = 7, unreachable_stun: bool = False, progress: Progress) -> Report:
    """Measure how long a match takes to open, beside bare ICE and bare aiortc.

    Args:
        rounds: how often; one round is one connection of each kind.
        unreachable_stun: also with a STUN server that never answers (a silent socket of this machine);
            once, for bare aiortc waits for it.
        progress: is called with what goes on.
    """
    found = Rounds("ms")
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(service())
        opening = stack.enter_context(Worker("opening"))
        pair = stack.enter_context(players())
        for _ in turns(found, rounds, progress):
            found.add("bare aioice", [opening.request("aioice")])
            found.add("bare aiortc", [opening.request("aiortc", stun=None)])
            _open_ours(opening, url, found)
            for network in _NETWORKS:
                found.add(f"reset again, {network}", [_reset_ms(pair, url, network)])
                with players() as new:  # who have made no wrapper yet, and so no network process
                    found.add(f"first reset, {network}", [_reset_ms(new, url, network)])
            found.add("bare python", [_run_ms(sys.executable, "-c", "import argparse")])
            found.add("--help", [_run_ms(*python_command("gym_p2p", "--help"))])
        if unreachable_stun:
            progress("with a STUN server that never answers")
            with _silent_server() as stun:
                _open_ours(opening, url, found, stun)
                found.add("bare aiortc, dead STUN", [opening.request("aiortc", stun=stun)])
    return Report(
        bench="connect",
        settings={"rounds": rounds, "unreachable_stun": unreachable_stun},
        notes=(
            "floor: two ICE connections of bare aioice in one process (it sleeps 20 ms in there)",
            "anchor: two peer connections of bare aiortc in one process, without signalling between them",
            "resets contain signing in, and are of the player who comes last",
            "the floor of --help is Python with argparse",
        ),
        rows=_rows(found, unreachable_stun=unreachable_stun),
        series=found.all(),
    )


def _reset_ms(pair: Pair, url: str, network: str) -> float:
    """Return how long ``reset`` takes on wrappers made directly before, of the player who comes last.

    The other one waits meanwhile for that player's process to load what it needs.
    """
    took_ms = pair.request("open", url=url, room=new_room(), options={"network": network})
    pair.request("close")
    return float(min(took_ms))


def _run_ms(*command: str) -> float:
    """Return how long a program takes from its start to its end."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
    return (time.perf_counter() - began) * 1e3


def _open_ours(opening: Worker, url: str, found: Rounds, stun: str | None = None) -> None:
    times = opening.request("ours", url=url, room=new_room(), stun=stun)
    suffix = "" if stun is None else ", dead STUN"
    for name, key in (("sign in", "match_ms"), ("open", "open_ms"), ("agree", "agreed_ms")):
        found.add(f"{name}{suffix}", [times[key]])


def _rows(found: Rounds, *, unreachable_stun: bool) -> list[Row]:
    floor, anchor = found.series("bare aioice").p50, found.series("bare aiortc").p50

    def row(what: str, name: str, **beside: float | None) -> Row:
        return Row(what, "ms", found.series(name).p50, **beside)

    rows = [
        row("match found to channels open", "open", floor=floor, anchor=anchor),
        row("match found to handshake agreed", "agree", floor=floor, anchor=anchor),
        row("signing in until the match is found", "sign in"),
    ]
    for network in _NETWORKS:
        # The first is that of a program's first player, on a wrapper made directly before it.
        for which in ("first reset", "reset again"):
            name = f"{which}, {network}"
            rows.append(row(f"{which}, network={network}", name, floor=floor, anchor=anchor))
    rows.append(row("gym-p2p --help", "--help", floor=found.series("bare python").p50))
    if unreachable_stun:
        waits = found.series("bare aiortc, dead STUN").p50
        rows.append(row("to channels open, dead STUN server", "open, dead STUN", floor=floor, anchor=waits))
    return rows


@contextlib.contextmanager
def _silent_server() -> Iterator[str]:
    """Open a socket that takes everything and answers nothing; yields its STUN URL."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield f"stun:127.0.0.1:{silent.getsockname()[1]}"
