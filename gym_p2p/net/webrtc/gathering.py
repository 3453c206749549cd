"""Our own addresses: the machine's at once, a STUN or TURN server's view of us when it comes.

aioice waits for its servers before it has any candidate at all, five seconds for a dead one. Here the
machine's own addresses are ready in a millisecond; every server of the list is queried at the same time, and
what it answers joins the description, or is handed on as a candidate of its own when that is out already.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import aioice
import aioice.candidate
import aioice.ice
from aiortc.rtcicetransport import RTCIceCandidate, candidate_from_aioice, parse_stun_turn_uri

from gym_p2p.config import IceServer
from gym_p2p.net.webrtc.relays import keep_channels, obtain_relay
from gym_p2p.net.webrtc.server_failures import ServerFailures
from gym_p2p.processes.tasks import note_failure

__all__ = ["Gatherer", "host_addresses"]

_log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

SERVER_TIMEOUT_S = 5.0
"""As long as aioice gives a server (``get_component_candidates``)."""


MAX_HOST_ADDRESSES = 32
"""A machine with many containers has an address for each of their networks, which nobody else reaches; each
costs a socket, and a check with each of the other side's."""

_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses that only documentation uses (RFC 5737, RFC 3849); nothing is sent to them."""


def host_addresses() -> list[str]:
    """Return the addresses to offer, the best first: the machine's own, or loopback where there is none."""
    found = aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True)
    towards = [_source_towards(family, there) for family, there in _ELSEWHERE]
    best_first = dict.fromkeys([*(address for address in towards if address in found), *found])
    return [address for address in best_first if address is not None][:MAX_HOST_ADDRESSES] or [LOOPBACK]


def _source_towards(family: socket.AddressFamily, there: str) -> str | None:
    """Return the address from which this machine would send to another network; ``None`` without a way."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((there, 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


_BEST_LOCAL = 65_535
"""Of one component and type, every candidate has a preference of its own (RFC 8445, section 5.1.2.1)."""


class Gatherer:
    """Gathers the candidates of one ICE connection, in place of aioice's own gathering."""

    def __init__(
        self,
        connection: aioice.ice.Connection,
        *,
        servers: Sequence[IceServer],
        relay_only: bool,
        prepare: Callable[[aioice.ice.StunProtocol], None],
        on_late: Callable[[RTCIceCandidate], None],
    ) -> None:
        self._connection = connection
        self._servers = tuple(servers)
        self._relay_only = relay_only
        self._prepare = prepare
        self._on_late = on_late
        self._hosts: list[aioice.ice.StunProtocol] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeping: list[asyncio.Task[None]] = []
        self._failures = ServerFailures()
        self._closed = False

    @property
    def pending(self) -> bool:
        """Whether a server may still give us a candidate."""
        return bool(self._tasks)

    @property
    def failures(self) -> str:
        """Which servers gave no candidate, and why, in words and their order; empty where none has failed."""
        return self._failures.told(self._servers)

    @property
    def no_relay(self) -> tuple[str, str]:
        """What was seen where there is no address to offer, and what to do."""
        if not self._relay_only:
            return "no network address", "Check the network interfaces."
        turns = [url for server in self._servers for url in server.urls if url.startswith("turn")]
        if not turns:
            seen = "relay_only, and no relay from a TURN server, for none is named"
            return seen, "Name one, to the service or in ice_servers."
        seen = f"relay_only, and no relay from a TURN server ({self.failures or ', '.join(turns)})"
        return seen, "Check that it runs, can be reached, and has the service's TURN secret and time."

    async def gather(self) -> None:
        """Bind the machine's addresses and query the servers; with relays alone, wait for the first one."""
        connection = self._connection
        connection._local_candidates_start = True
        addresses = [] if self._relay_only else host_addresses()
        own = await connection.get_component_candidates(1, addresses)
        for rank, candidate in enumerate(own):  # aioice holds them all for equally good
            candidate.priority = aioice.candidate.candidate_priority(1, "host", _BEST_LOCAL - rank)
        connection._local_candidates += own
        connection._local_candidates_end = True
        for protocol in connection._protocols:
            self._prepare(protocol)
        self._hosts = list(connection._protocols)
        self._ask_all(self._servers, self._hosts)
        while self._relay_only and self._tasks and not connection._local_candidates:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    def add_servers(self, servers: Sequence[IceServer]) -> None:
        """Query these servers too, at once or when gathering begins."""
        self._servers += tuple(servers)
        if self._hosts is not None and not self._closed:
            self._ask_all(servers, self._hosts)

    async def close(self) -> None:
        """Stop asking, and keep no relay any longer."""
        self._closed = True
        tasks = [*self._tasks, *self._keeping]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ask_all(self, servers: Sequence[IceServer], hosts: list[aioice.ice.StunProtocol]) -> None:
        for server in servers:
            for url in server.urls:
                try:
                    self._ask(server, url, hosts)
                except ValueError:
                    _log.warning("ICE server %s: not a STUN or TURN URL, left out", url)

    def _ask(self, server: IceServer, url: str, hosts: list[aioice.ice.StunProtocol]) -> None:
        parsed = parse_stun_turn_uri(url)
        if parsed["scheme"].startswith("turn"):
            self._run(server, url, functools.partial(self._relay, server, parsed))
        elif parsed["scheme"] == "stun" and not self._relay_only:
            address = (parsed["host"], parsed["port"])
            for rank, protocol in enumerate(hosts):
                # aioice queries over IPv4 alone.
                if ipaddress.ip_address(protocol.local_candidate.host).version == 4:
                    self._run(server, url, functools.partial(self._reflexive, protocol, address), rank=rank)

    def _run(
        self, server: IceServer, url: str, work: Callable[[], Coroutine[Any, Any, None]], *, rank: int = 0
    ) -> None:
        async def query() -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001  # whatever a server or the resolver does, others remain
                why = self._failures.note_failure(server, url, error, rank=rank)
                _log.warning("ICE server %s gave no candidate: %s", url, why)
            else:
                self._failures.note_answer(server, url)

        task = asyncio.get_running_loop().create_task(query())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reflexive(self, protocol: aioice.ice.StunProtocol, server: tuple[str, int]) -> None:
        async with asyncio.timeout(SERVER_TIMEOUT_S):
            candidate, _ = await aioice.ice.server_reflexive_candidate(protocol, server)
        self._add(candidate)

    async def _relay(self, server: IceServer, parsed: dict[str, Any]) -> None:
        candidate, protocol = await obtain_relay(
            self._connection, server, parsed, hide_us=self._relay_only, timeout_s=SERVER_TIMEOUT_S
        )
        if self._closed:
            await protocol.close()
            return
        keeping = asyncio.get_running_loop().create_task(keep_channels(protocol.transport))
        keeping.add_done_callback(note_failure)
        self._keeping.append(keeping)
        noted: Any = protocol
        noted.relay_protocol = "tls" if parsed["scheme"] == "turns" else parsed["transport"]
        self._prepare(protocol)
        self._connection._protocols.append(protocol)
        self._add(candidate)
        if not self._connection._check_list_done:
            for remote in self._connection.remote_candidates:
                self._connection._pair_remote_candidate(remote)
            self._connection.sort_check_list()

    def _add(self, candidate: aioice.Candidate) -> None:
        """Take in a candidate unless it is an address that we offer already."""
        known = {(c.host, c.port) for c in self._connection._local_candidates}
        if self._closed or (candidate.host, candidate.port) in known:
            return
        self._connection._local_candidates.append(candidate)
        self._on_late(candidate_from_aioice(candidate))
