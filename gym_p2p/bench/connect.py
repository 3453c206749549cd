"""``bench connect``: from ``reset``, and from the match being found, to channels that are open."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from gym_p2p.bench.figures import Report, Row
from gym_p2p.bench.processes import Worker
from gym_p2p.bench.run import Progress, Rounds, new_room, players, service, turns

__all__ = ["bench_connect"]


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
            for network in ("thread", "process"):
                took_ms = pair.request("open", url=url, room=new_room(), options={"network": network})
                pair.request("close")
                found.add(f"reset, network={network}", [max(took_ms)])
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
        ),
        rows=_rows(found, unreachable_stun=unreachable_stun),
        series=found.all(),
    )


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
        row("reset, network=thread", "reset, network=thread", floor=floor, anchor=anchor),
        row("reset, network=process", "reset, network=process", floor=floor, anchor=anchor),
    ]
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
