"""The path between hosts: carries IPv4 packets between TUN devices with chosen delay, loss and reordering.

A program of its own (``python forwarder.py --node NAME,NAMESPACE,ADDRESS,DEVICE ... --seed 1``), so that no
interpreter lock of a test disturbs its clock; it needs the standard library alone. It opens a TUN device for
each node in the node's network namespace and routes by destination address. Commands come as JSON lines on
stdin and each is answered by one JSON line on stdout, in order; it ends when stdin does. It knows nothing of
hosts' processes, NATs or tests.

A packet's way through it: read at ``now``; black-out and loss drop it; otherwise it is due at ``now`` plus
the delay plus a draw of the jitter, not before its predecessor where order is kept; a heap holds it until
then. Each kind of chance of each direction draws from a generator of its own, so the fate of a direction's
n-th packet depends on the seed alone, and not on timing or on the other options.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import dataclasses
import fcntl
import gc
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path

NAMESPACES = Path("/var/run/netns")  # where iproute2 names them

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_READ_BYTES = 65536
_POLLED_S = 0.0001  # the end of each wait is polled: waking an idle processor takes about as long
_HELD = 20_000  # of one direction's packets, the newest whose delays are kept
_BURST = 32  # packets read from one device before the others, and what is due, get their turn


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How one direction between two nodes treats its packets.

    Attributes:
        one_way_ms: constant delay.
        jitter_ms: mean of the random delay on top of it.
        jitter: its distribution: ``"exponential"``, or ``"uniform"`` from 0 to twice the mean.
        in_order: whether a packet waits for its predecessors, as on a real link; otherwise jitter reorders.
        loss: share of packets that vanish.
        duplicate: share of packets that arrive twice.
        reorder: share of packets that are held back, and overtaken, for ``reorder_ms``, even if ``in_order``.
        reorder_ms: how long those are held back.
        blackout: nothing passes; what is already under way still arrives.
    """

    one_way_ms: float = 0.0
    jitter_ms: float = 0.0
    jitter: str = "exponential"
    in_order: bool = True
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_ms: float = 10.0
    blackout: bool = False

    def __post_init__(self) -> None:
        for name in ("one_way_ms", "jitter_ms", "reorder_ms"):
            if not 0 <= getattr(self, name) <= 60_000:
                raise ValueError(f"{name} must lie in 0..60000, not {getattr(self, name)}")
        for name in ("loss", "duplicate", "reorder"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in 0..1, not {getattr(self, name)}")
        if self.jitter not in {"exponential", "uniform"}:
            raise ValueError(f'jitter must be "exponential" or "uniform", not {self.jitter!r}')


@dataclasses.dataclass(slots=True)
class Counters:
    """What became of one direction's packets.

    ``received`` + ``duplicated`` = ``lost`` + ``blacked_out`` + ``forwarded`` + ``failed`` + those under way.
    ``reordered`` counts packets delivered after one that was read later. ``late_max_ms`` and
    ``late_over_1ms`` tell how well the forwarder kept its own times: a timing test on a disturbed machine can
    see it.
    """

    received: int = 0
    forwarded: int = 0
    lost: int = 0
    blacked_out: int = 0
    duplicated: int = 0
    reordered: int = 0
    failed: int = 0
    late_over_1ms: int = 0
    late_max_ms: float = 0.0


class Way:
    """One direction between two nodes: decides when each packet arrives, if at all, and counts.

    Attributes:
        held_ms: how long each packet was really kept, from reading it to handing it over; the newest ones.
    """

    def __init__(self, *, seed: str) -> None:
        self.condition = Condition()
        self.counters = Counters()
        self._loss, self._duplicate, self._reorder, self._jitter = (
            random.Random(f"{seed}/{purpose}") for purpose in ("loss", "duplicate", "reorder", "jitter")
        )
        self.held_ms: collections.deque[float] = collections.deque(maxlen=_HELD)
        self._last_due = 0.0
        self._newest_delivered = 0

    def accept(self, now: float) -> list[float]:
        """Take in the next packet, the ``counters.received``-th; return when its copies are due, if any."""
        counters, condition = self.counters, self.condition
        counters.received += 1
        if condition.blackout:
            counters.blacked_out += 1
            return []
        if self._loss.random() < condition.loss:
            counters.lost += 1
            return []
        dues = [self._due(now)]
        if self._duplicate.random() < condition.duplicate:
            counters.duplicated += 1
            dues.append(self._due(now))
        return dues

    def delivered(self, number: int, *, read: float, due: float, now: float) -> None:
        """Count the packet that ``accept`` numbered so, now that it was handed over."""
        counters = self.counters
        self.held_ms.append((now - read) * 1e3)
        counters.forwarded += 1
        if number < self._newest_delivered:
            counters.reordered += 1
        else:
            self._newest_delivered = number
        late_ms = (now - due) * 1e3
        if late_ms > 1.0:
            counters.late_over_1ms += 1
        counters.late_max_ms = max(counters.late_max_ms, late_ms)

    def _due(self, now: float) -> float:
        condition = self.condition
        due = now + (condition.one_way_ms + self._draw_jitter_ms()) / 1e3
        if self._reorder.random() < condition.reorder:
            return due + condition.reorder_ms / 1e3
        if condition.in_order:
            due = self._last_due = max(due, self._last_due)
        return due

    def _draw_jitter_ms(self) -> float:
        mean_ms = self.condition.jitter_ms
        if not mean_ms:
            return 0.0
        if self.condition.jitter == "uniform":
            return self._jitter.uniform(0.0, 2.0 * mean_ms)
        return self._jitter.expovariate(1.0 / mean_ms)


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """One end of the path: its name, the one address that it may send from, and its open device."""

    name: str
    address: bytes
    device: int


class Forwarder:
    """The loop over devices, due packets and commands."""

    def __init__(self, nodes: list[Node], *, seed: int) -> None:
        self._nodes = {node.device: node for node in nodes}
        self._by_address = {node.address: node for node in nodes}
        self._ways = {
            (source.name, target.name): Way(seed=f"{seed}/{source.name}/{target.name}")
            for source in nodes
            for target in nodes
            if source is not target
        }
        self._heap: list[tuple[float, int, float, Way, int, int, bytes]] = []
        self._pushed = 0
        self._unroutable = 0
        self._commands = b""

    def run(self) -> None:
        """Carry packets and answer commands until stdin ends."""
        stdin = sys.stdin.fileno()
        watched = [stdin, *self._nodes]
        while True:
            self._deliver_due()
            readable, _, _ = select.select(watched, [], [], self._wait_s())
            for descriptor in readable:
                if descriptor != stdin:
                    self._read_packets(self._nodes[descriptor])
                elif not self._read_commands(stdin):
                    return

    def _wait_s(self) -> float | None:
        # select and not epoll: epoll's timeout counts whole milliseconds.
        if not self._heap:
            return None
        return max(0.0, self._heap[0][0] - time.perf_counter() - _POLLED_S)

    def _read_packets(self, source: Node) -> None:
        for _ in range(_BURST):
            try:
                packet = os.read(source.device, _READ_BYTES)
            except BlockingIOError:
                return
            self._take(packet, source, time.perf_counter())

    def _take(self, packet: bytes, source: Node, now: float) -> None:
        target = self._by_address.get(packet[16:20])
        if packet[0] >> 4 != 4 or packet[12:16] != source.address or target is None or target is source:
            self._unroutable += 1
            return
        way = self._ways[source.name, target.name]
        for due in way.accept(now):
            self._pushed += 1
            number = way.counters.received
            heapq.heappush(self._heap, (due, self._pushed, now, way, number, target.device, packet))

    def _deliver_due(self) -> None:
        now = time.perf_counter()
        while self._heap and self._heap[0][0] <= now:
            due, _, read, way, number, device, packet = heapq.heappop(self._heap)
            try:
                os.write(device, packet)
            except OSError:  # the device is down, or its namespace is being taken away
                way.counters.failed += 1
                continue
            now = time.perf_counter()
            way.delivered(number, read=read, due=due, now=now)

    def _read_commands(self, stdin: int) -> bool:
        data = os.read(stdin, _READ_BYTES)
        *lines, self._commands = (self._commands + data).split(b"\n")
        for line in lines:
            sys.stdout.write(json.dumps(self._answer(json.loads(line))) + "\n")
        sys.stdout.flush()
        return bool(data)

    def _answer(self, command: Mapping[str, object]) -> dict[str, object]:
        match command:
            case {"do": "condition", "ways": list(ways)}:
                for source, target, fields in ways:
                    self._ways[source, target].condition = Condition(**fields)
                return {}
            case {"do": "counters"}:
                counted = [[*names, dataclasses.asdict(way.counters)] for names, way in self._ways.items()]
                return {"ways": counted, "unroutable": self._unroutable}
            case {"do": "held", "way": [str(source), str(target)]}:
                held_ms = self._ways[source, target].held_ms
                answer: dict[str, object] = {"held_ms": list(held_ms)}
                held_ms.clear()
                return answer
            case _:
                raise ValueError(f"no such command: {command!r}")


def enter_namespace(namespace: int) -> None:
    """Move the calling thread into a network namespace, given a descriptor of it.

    Raises:
        OSError: it may not.
    """
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12
    if libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot enter the network namespace")


def _open_tun(namespace: str, device: str) -> int:
    with (NAMESPACES / namespace).open("rb") as handle:
        enter_namespace(handle.fileno())
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TUN | _IFF_NO_PI))
    return descriptor


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Carry packets between TUN devices.")
    parser.add_argument("--node", action="append", required=True, help="NAME,NAMESPACE,ADDRESS,DEVICE")
    parser.add_argument("--seed", type=int, required=True)
    return parser.parse_args()


def main() -> None:
    """Open the devices, say so in one line, and run."""
    options = _parse()
    nodes = []
    for text in options.node:
        name, namespace, address, device = text.split(",")
        nodes.append(Node(name, socket.inet_aton(address), _open_tun(namespace, device)))
    forwarder = Forwarder(nodes, seed=options.seed)
    gc.freeze()
    gc.disable()  # the loop makes no cycles, and a collection would be jitter
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        forwarder.run()


if __name__ == "__main__":
    main()
