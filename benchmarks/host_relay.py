"""What a relayed signal costs a host: by a mounted service, beside the host's own bare relay, for each kind.

``python -m benchmarks.host_relay [--rounds 40]`` starts one host process for each kind (those of
``tests/server/hosts``), matches pairs of raw clients in it, and has one of each pair send signals in bursts.
The bare relay is an event of the same host's, ``relay``, that emits what it is told to another socket: the
least that anybody would write, without checks and limits. The rate is that of the host's processor time, not
of the wall clock, in which a burst is mostly the network's own waiting. What counts is the ratio.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.server.hosts.conftest import KINDS, Running
from tests.server.raw import RawClient, candidate

_OF_A_MATCH = 64
"""Below what one player may signal to another in a match."""


def relayed_s(host: Running, send: Callable[[int], None], receiver: RawClient, event: str) -> float:
    """Return the host's processor time for one burst from one client to the other."""
    before = host.cpu_s()
    for number in range(_OF_A_MATCH):
        send(number)
    for _ in range(_OF_A_MATCH):
        receiver.event(event)
    return host.cpu_s() - before


def ours(host: Running, name: str) -> float:
    """Return the cost of a burst by the mounted service, in a match of its own."""
    with RawClient(host.url, subject=f"{name}-ann") as ann, RawClient(host.url, subject=f"{name}-bob") as bob:
        for client in (ann, bob):
            client.call("join_room", {"room": name, "seats": [0, 1]})
        game_id = bob.event("match_found")["match_id"]

        def send(number: int) -> None:
            signal: dict[str, Any] = {"type": "ice-candidate", "payload": candidate(number)}
            ann.emit("webrtc_signal", {"game_id": game_id, "target_player_id": 1, **signal})

        return relayed_s(host, send, bob, "webrtc_signal")


def bare(host: Running) -> float:
    """Return the cost of a burst by the host's own relay."""
    with RawClient(host.url) as ann, RawClient(host.url) as bob:
        to = bob.call("who")

        def send(number: int) -> None:
            ann.emit("relay", {"to": to, "type": "ice-candidate", "payload": candidate(number)})

        return relayed_s(host, send, bob, "relayed")


def main() -> None:
    """Print a row for each kind of host."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    print(f"{'host':<26}{'mounted':>10}{'bare':>10}{'ratio':>8}   signals a processor second")  # noqa: T201  # a command prints
    with tempfile.TemporaryDirectory() as directory:
        for kind in KINDS:
            with Running(kind, Path(directory) / kind) as host:
                signals = rounds * _OF_A_MATCH
                mounted = signals / sum(ours(host, f"round{number}") for number in range(rounds))
                own = signals / sum(bare(host) for _ in range(rounds))
            print(f"{kind:<26}{mounted:>10.0f}{own:>10.0f}{mounted / own:>8.2f}")  # noqa: T201  # a command prints


if __name__ == "__main__":
    main()
