"""The ground truth of a path: a UDP echo and a ping beside it, each a program of its own.

``python udp_ping.py echo --bind ADDRESS:PORT`` prints one line when it listens, and answers until it is
killed; ``python udp_ping.py ping --to ADDRESS:PORT ... --count 50 --interval-ms 10`` prints one JSON object:
a report for each target, all asked from one socket. Standard library only; it knows nothing of WebRTC, STUN
or the laboratory.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import statistics
import struct
import sys
import time

_HEADER = struct.Struct("!IId")  # target's index, sequence number, time of sending
_LINGER_S = 0.02  # for second copies of the last answers
_Address = tuple[str, int]


def _address(text: str) -> _Address:
    host, port = text.rsplit(":", 1)
    return host, int(port)


def echo(bind: _Address) -> None:
    """Answer every datagram with its content and, behind it, the address that it seemed to come from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(bind)
        print(json.dumps({"listening": sock.getsockname()}), flush=True)  # noqa: T201 - a program's output
        while True:
            data, sender = sock.recvfrom(2048)
            sock.sendto(data[: _HEADER.size] + f"{sender[0]}:{sender[1]}".encode(), sender)


class Ping:
    """Sends numbered datagrams to each target in turn and files the answers."""

    def __init__(self, targets: list[_Address], *, count: int, interval_s: float, wait_s: float) -> None:
        self._targets = targets
        self._count = count
        self._interval_s = interval_s
        self._wait_s = wait_s
        self._answers: list[list[tuple[int, float]]] = [[] for _ in targets]
        self._seen_as: list[str | None] = [None for _ in targets]
        self._unanswered = {(index, number) for index in range(len(targets)) for number in range(count)}
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def run(self) -> list[dict[str, object]]:
        """Ping, wait ``wait_s`` for the last answers (or until all are here), and report target by target."""
        start = time.perf_counter()
        for number in range(self._count):
            self._receive_until(start + number * self._interval_s)
            for index, target in enumerate(self._targets):
                self._sock.sendto(_HEADER.pack(index, number, time.perf_counter()), target)
        self._receive_until(time.perf_counter() + self._wait_s, all_is_enough=True)
        self._receive_until(time.perf_counter() + _LINGER_S)
        self._sock.close()
        return [self._report(index) for index in range(len(self._targets))]

    def _receive_until(self, deadline: float, *, all_is_enough: bool = False) -> None:
        while (left_s := deadline - time.perf_counter()) > 0:
            if all_is_enough and not self._unanswered:
                return
            if not select.select([self._sock], [], [], left_s)[0]:
                return
            data = self._sock.recv(2048)
            now = time.perf_counter()
            index, number, sent = _HEADER.unpack_from(data)
            self._answers[index].append((number, (now - sent) * 1e3))
            self._unanswered.discard((index, number))
            self._seen_as[index] = data[_HEADER.size :].decode()

    def _report(self, index: int) -> dict[str, object]:
        answers = self._answers[index]
        first = dict(reversed(answers))
        rtts = sorted(first.values())
        newest, out_of_order = -1, 0
        for number, _ in answers:
            out_of_order += number < newest
            newest = max(newest, number)
        return {
            "sent": self._count,
            "received": len(first),
            "lost": self._count - len(first),
            "duplicates": len(answers) - len(first),
            "out_of_order": out_of_order,
            "min_ms": rtts[0] if rtts else None,
            "median_ms": statistics.median(rtts) if rtts else None,
            "p95_ms": _percentile(rtts, 0.95),
            "p99_ms": _percentile(rtts, 0.99),
            "max_ms": rtts[-1] if rtts else None,
            "seen_as": self._seen_as[index],
            "rtts_ms": [first.get(number) for number in range(self._count)],
        }


def _percentile(ordered: list[float], share: float) -> float | None:
    """Return the nearest-rank percentile, ``None`` of nothing."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Echo UDP datagrams, or ping such an echo.")
    commands = parser.add_subparsers(dest="command", required=True)
    echoing = commands.add_parser("echo")
    echoing.add_argument("--bind", type=_address, required=True, metavar="ADDRESS:PORT")
    pinging = commands.add_parser("ping")
    pinging.add_argument("--to", type=_address, required=True, nargs="+", metavar="ADDRESS:PORT")
    pinging.add_argument("--count", type=int, default=50)
    pinging.add_argument("--interval-ms", type=float, default=10.0)
    pinging.add_argument("--wait-ms", type=float, default=500.0, help="for the last answers")
    return parser.parse_args()


def main() -> None:
    """Run the command that the arguments name."""
    options = _parse()
    if options.command == "echo":
        echo(options.bind)
        return
    ping = Ping(
        options.to, count=options.count, interval_s=options.interval_ms / 1e3, wait_s=options.wait_ms / 1e3
    )
    sys.stdout.write(json.dumps(ping.run()) + "\n")


if __name__ == "__main__":
    main()
