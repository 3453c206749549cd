"""The laboratory: hosts in network namespaces, joined by a path whose delay and losses the test chooses.

Every host has a namespace with one address on one device, a TUN device of the forwarder, so that whatever
leaves it goes through the forwarder and nothing else: ICE sees one interface and gathers one host candidate.
The node ``service`` is one more host on the same path, for the signalling service (or a STUN server): its
directions stay free of delay and loss unless they are named, so blacking out the players leaves the service
reachable, and the other way round. A host may stand behind a translator (``nats``), whose namespace then
holds the TUN device.

It refuses to know what runs in the hosts. Traffic cannot leave: no namespace is linked to the machine's
network.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack

import attrs

from tests.lab import namespaces, nat
from tests.lab.forwarder import NAMESPACES, Condition, Counters, enter_namespace
from tests.lab.processes import end, read_line, take_precedence

SERVICE = "service"

_DEVICE = "path0"
_SECOND_DEVICE = "path1"
_SECOND = "second"
_ANSWER_TIMEOUT_S = 10.0
_FORWARDER = Path(__file__).with_name("forwarder.py")

Pair = tuple[str, str]


class Conditions(TypedDict, total=False):
    """What can be said of a direction: the fields of :class:`Condition`; those not named stay as they are."""

    one_way_ms: float
    jitter_ms: float
    jitter: Literal["exponential", "uniform"]
    in_order: bool
    loss: float
    duplicate: float
    reorder: float
    reorder_ms: float
    blackout: bool


@attrs.frozen
class Totals:
    """The forwarder's counters.

    Attributes:
        ways: by direction, ``(source, target)``.
        unroutable: packets that named no node, or came from an address that is not their sender's.
    """

    ways: Mapping[Pair, Counters]
    unroutable: int

    def total(self, name: str) -> float:
        """Return the sum of one counter over all directions."""
        return float(sum(getattr(way, name) for way in self.ways.values()))


class Lab:
    """A network of its own, from entering it as a context manager until leaving.

    Args:
        hosts: their names, 2 to 16, of letters and digits; the node ``service`` comes in addition.
        nats: translators in front of hosts, by host.
        dead_interfaces: so many more interfaces in each host, listed before the path's, with addresses that
            lead nowhere (as those of container bridges do): ICE gathers a candidate for each, all its pairs
            fail, and connecting takes longer (aioice at 50 ms of round trip: 52 ms with none, 115 with 1).
        roaming: hosts with a second interface on the path, of another address, which is down until
            :meth:`roam`; its directions are those of the node :meth:`second`.
        seed: decides every loss, duplicate, jitter and reordering.
        conditions: of every direction between hosts; see :class:`Conditions`.
    """

    def __init__(
        self,
        hosts: Sequence[str] = ("a", "b"),
        *,
        nats: Mapping[str, nat.Nat] | None = None,
        dead_interfaces: int = 0,
        roaming: Sequence[str] = (),
        seed: int = 1,
        **conditions: Unpack[Conditions],
    ) -> None:
        self.hosts = tuple(hosts)
        self._nats = dict(nats or {})
        self._roaming = {self.second(host): host for host in roaming}
        self._check_names()
        self._dead_interfaces = dead_interfaces
        self._seed = seed
        self._nodes = (*self.hosts, SERVICE, *self._roaming)
        fresh = namespaces.fresh_names([*self.hosts, SERVICE, *(f"{host}_nat" for host in self._nats)])
        self._namespaces = fresh | {node: fresh[host] for node, host in self._roaming.items()}
        self._conditions = dict.fromkeys(itertools.permutations(self._nodes, 2), Condition())
        self._first_conditions = conditions
        self._forwarder: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []
        self._rebound = 0

    def _check_names(self) -> None:
        proper = all(host.isascii() and host.isalnum() and host != SERVICE for host in self.hosts)
        if not proper or not 2 <= len(set(self.hosts)) == len(self.hosts) <= 16:
            raise ValueError(f"wanted 2 to 16 different names of hosts, not {self.hosts}")
        if unknown := {*self._nats, *self._roaming.values()} - set(self.hosts):
            raise ValueError(f"no such hosts: {sorted(unknown)}")
        if both := set(self._nats) & set(self._roaming.values()):
            raise ValueError(f"behind a translator nobody has a second interface: {sorted(both)}")

    def __enter__(self) -> Self:
        namespaces.sweep()
        try:
            self._build()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _build(self) -> None:
        namespaces.ip(*(f"netns add {name}" for name in sorted(set(self._namespaces.values()))))
        for host in self.hosts:
            self._add_dead_interfaces(host)
        self._start_forwarder()
        for node in (*self.hosts, SERVICE):
            self._attach_to_path(node)
        for host, kind in self._nats.items():
            self._put_behind_nat(host, kind)
        self.condition(**self._first_conditions)

    def _on_path(self, node: str) -> str:
        return self._namespaces[f"{node}_nat" if node in self._nats else node]

    def _start_forwarder(self) -> None:
        nodes = [
            f"--node={node},{self._on_path(node)},{self.address(node)},{self._device(node)}"
            for node in self._nodes
        ]
        program = [sys.executable, "-I", "-S", str(_FORWARDER), f"--seed={self._seed}"]
        # Inside a namespace of ours, so that whoever removes the namespaces ends it as well.
        self._forwarder = self.run(
            SERVICE, [*program, *nodes], stdin=subprocess.PIPE, stdout=subprocess.PIPE, realtime=True
        )
        self._read_answer()

    def _device(self, node: str) -> str:
        return _SECOND_DEVICE if node in self._roaming else _DEVICE

    def _attach_to_path(self, node: str) -> None:
        device = self._device(node)
        namespaces.ip(
            "link set lo up",
            f"link set {device} addrgenmode none txqueuelen 5000 up",
            f"address add {self.address(node)}/24 dev {device}",
            f"route add default dev {device}",
            namespace=self._on_path(node),
        )

    def roam(self, host: str) -> None:
        """Take a host from its interface to the second one: what it had opened by the first leads nowhere."""
        if host not in self._roaming.values():
            raise ValueError(f"{host} has no second interface")
        namespaces.ip(
            f"address flush dev {_DEVICE}", f"link set {_DEVICE} down", namespace=self._namespaces[host]
        )
        self._attach_to_path(self.second(host))

    def rebind(self, host: str) -> None:
        """Let a host's translator forget its mappings; those that are made anew have other ports."""
        router = self._on_path(host)
        if self._nats[host] is not nat.Nat.SYMMETRIC:  # whose ports are others every time
            ports = namespaces.udp_ports(self._namespaces[host])
            rules = nat.other_ports(ports, outside=_DEVICE, times=self._rebound)
            namespaces.inside(router, "nft", "-f", "-", stdin=rules)
            self._rebound += 1
        # A device that goes down takes along what was masqueraded by it.
        namespaces.ip(
            f"link set {_DEVICE} down",
            f"link set {_DEVICE} up",
            f"route add default dev {_DEVICE}",
            namespace=router,
        )

    def _put_behind_nat(self, host: str, kind: nat.Nat) -> None:
        router, inner = self._on_path(host), self._namespaces[host]
        subnet = f"192.168.{self._nodes.index(host)}"
        namespaces.ip(f"link add home0 netns {router} type veth peer name eth0 netns {inner}")
        namespaces.ip(
            f"address add {subnet}.1/24 dev home0", "link set home0 addrgenmode none up", namespace=router
        )
        namespaces.ip(
            "link set lo up",
            f"address add {subnet}.2/24 dev eth0",
            "link set eth0 addrgenmode none up",
            f"route add default via {subnet}.1",
            namespace=inner,
        )
        namespaces.inside(router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        namespaces.inside(
            router, "nft", "-f", "-", stdin=nat.rules(kind, outside=_DEVICE, host=f"{subnet}.2")
        )

    def _add_dead_interfaces(self, host: str) -> None:
        for number in range(self._dead_interfaces):
            namespaces.ip(
                f"link add dead{number} type veth peer name void{number}",
                f"address add 172.{16 + number}.{self._nodes.index(host)}.1/24 dev dead{number}",
                f"link set dead{number} addrgenmode none up",
                f"link set void{number} addrgenmode none up",
                namespace=self._namespaces[host],
            )

    def stop(self) -> None:
        """Kill everything that runs in the hosts, and remove them. Idempotent."""
        for process in self._started:
            process.kill()  # first those that may still be on their way into a namespace
        namespaces.remove(self._namespaces.values())
        while self._started:
            end(self._started.pop())
        self._forwarder = None

    @staticmethod
    def second(host: str) -> str:
        """Return the node that a roaming host is by its second interface."""
        return f"{host}{_SECOND}"

    def address(self, node: str) -> str:
        """Return the address under which a node is known on the path; its translator's, if it has one."""
        return f"10.77.0.{1 + self._nodes.index(node)}"

    def inner_address(self, node: str) -> str:
        """Return the node's own address, which differs from that on the path if it is behind a translator."""
        return f"192.168.{self._nodes.index(node)}.2" if node in self._nats else self.address(node)

    def run(
        self, node: str, argv: Sequence[str], *, realtime: bool = False, **popen: Any
    ) -> subprocess.Popen[bytes]:
        """Start a process inside a node; it is killed at the end of the laboratory, if not before.

        Its ``pid`` is the program's own. ``realtime`` lets it run before everything else on the machine: for
        programs that measure, and sleep most of the time. ``popen`` goes to :class:`subprocess.Popen`; its
        streams stay bytes (no ``text``).
        """
        command = ["ip", "netns", "exec", self._namespaces[node], *argv]
        process: subprocess.Popen[bytes] = subprocess.Popen(command, **popen)
        self._started.append(process)
        if realtime:
            take_precedence(process.pid)
        return process

    @contextlib.contextmanager
    def inside(self, node: str) -> Iterator[None]:
        """Move the calling thread into a node: sockets made in the block stay there for their life.

        Threads and processes started in the block start in the node as well (and those processes are killed
        with it). Awaiting in the block lets other tasks of the thread run in the node too.
        """
        there = NAMESPACES / self._namespaces[node]
        with Path("/proc/thread-self/ns/net").open("rb") as home, there.open("rb") as away:
            enter_namespace(away.fileno())
            try:
                yield
            finally:
                enter_namespace(home.fileno())

    def udp_ports(self, node: str) -> list[int]:
        """Return the ports of all UDP sockets in a node."""
        return namespaces.udp_ports(self._namespaces[node])

    def reset(self, node: str) -> None:
        """Kill everything in a node at once, and forget its sockets, which say nothing any more."""
        for number in (signal.SIGSTOP, signal.SIGKILL):  # nobody sees another one end
            for pid in self.processes(node):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        namespaces.inside(self._namespaces[node], "ss", "-K", "-a")

    def filter(self, node: str, rules: str) -> None:
        """Change a node's own packet filter, as ``nft -f`` does."""
        namespaces.inside(self._namespaces[node], "nft", "-f", "-", stdin=rules)

    def processes(self, node: str) -> set[int]:
        """Return the ids of all processes in a node, the forwarder's excepted."""
        own = set() if self._forwarder is None else {self._forwarder.pid}
        return namespaces.processes([self._namespaces[node]]) - own

    def condition(
        self, *, between: Pair | None = None, way: Pair | None = None, **changes: Unpack[Conditions]
    ) -> None:
        """Change conditions from now on; in force when this returns.

        Applies to both directions of the pair ``between``, or the one direction ``way = (source, target)``,
        or, with neither named, to every direction between hosts (and not to the service's). What is not named
        stays as it is. Packets under way keep their time; later ones that are to keep the order wait for
        them.

        Raises:
            ValueError: no such node, or a value that cannot be.
        """
        self._change(self._chosen(between, way), changes)

    def _change(self, ways: Sequence[Pair], changes: Conditions) -> None:
        changed = {way: dataclasses.replace(self._conditions[way], **changes) for way in ways}
        self._ask(
            {
                "do": "condition",
                "ways": [[*names, dataclasses.asdict(condition)] for names, condition in changed.items()],
            }
        )
        self._conditions |= changed

    def cut_off(self, node: str, *, to: bool) -> None:
        """Let nothing pass between a node and any other one from now on, or again."""
        nodes = {node, self.second(node)} & set(self._nodes)
        ways = [way for way in self._conditions if nodes & set(way)]
        self._change(ways, {"blackout": to})

    def counters(self) -> Totals:
        """Return what the forwarder has counted so far."""
        answer = self._ask({"do": "counters"})
        ways = {(source, target): Counters(**fields) for source, target, fields in answer["ways"]}
        return Totals(ways, answer["unroutable"])

    def take_held_ms(self, source: str, target: str) -> list[float]:
        """Return how long the packets of one direction were kept since this was asked last: the path's truth.

        Of the newest ones, in the order of their arrival; from the forwarder's reading a packet to its having
        handed it over, so that its own lateness is in it.
        """
        if (source, target) not in self._conditions:
            raise ValueError(f"no such way: {(source, target)}")
        held_ms: list[float] = self._ask({"do": "held", "way": [source, target]})["held_ms"]
        return held_ms

    def _chosen(self, between: Pair | None, way: Pair | None) -> list[Pair]:
        if between and way:
            raise ValueError("between names both directions and way names one: pass one of them")
        if between is None and way is None:
            return list(itertools.permutations(self.hosts, 2))
        chosen = [way] if way else []
        if between:
            chosen += [between, between[::-1]]
        if unknown := set(chosen) - set(self._conditions):
            raise ValueError(f"no such way: {sorted(unknown)}; there are {', '.join(self._nodes)}")
        return chosen

    def _ask(self, command: Mapping[str, object]) -> dict[str, Any]:
        assert self._forwarder is not None, "outside its with block a laboratory has no path"
        assert self._forwarder.stdin is not None
        self._forwarder.stdin.write(json.dumps(command).encode() + b"\n")
        self._forwarder.stdin.flush()
        return self._read_answer()

    def _read_answer(self) -> dict[str, Any]:
        assert self._forwarder is not None
        answer: dict[str, Any] = json.loads(read_line(self._forwarder, timeout_s=_ANSWER_TIMEOUT_S))
        return answer
