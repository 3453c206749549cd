"""The connections of one player to all others of a match.

They are prepared while the room still fills, opened side by side, rebuilt where a path breaks
(:mod:`gym_p2p.net.worker.rebuilding`), and closed together. Knows signals by who sent them; refuses to know
what goes over an open connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from gym_p2p.config import IceServer, LinkConfig
from gym_p2p.core.api.rooms import MAX_PLAYERS, MatchFound, MatchPlayer, MatchSignal, PeerLeft
from gym_p2p.core.signaling.attempts import tagged
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.core.wire.messages import Channel
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.net.connector import Connector
from gym_p2p.net.links.driver import Driver
from gym_p2p.net.links.transport import LinkState
from gym_p2p.net.webrtc import PeerConnection
from gym_p2p.net.worker.ice_servers import MatchIceServers
from gym_p2p.net.worker.opening import Opening
from gym_p2p.net.worker.rebuilding import NewLink, Rebuilder
from gym_p2p.net.worker.side_by_side import all_of
from gym_p2p.processes.tasks import note_failure

__all__ = ["Mesh"]

_log = logging.getLogger(__name__)

ATTEMPTS_OF_A_PROCESS = 100
"""To make another connection to one player: more than are made in any pause, and few enough to be joined."""

_PREPARED_FOR_S = 30.0
"""What was gathered is true for so long: address translators forget sooner or later (RFC 4787, REQ-5), and
machines change networks. Gathering anew takes milliseconds."""


class _Route:
    """Where what comes over a connection goes: kept until it is known which player is at the other end.

    The peer's first message may be here before the connector has returned.
    """

    def __init__(self) -> None:
        self._driver: Driver | None = None
        self._player = -1
        self._early: list[bytes | str] = []

    def message(self, _channel: Channel, data: bytes | str) -> None:
        """Pass on a message."""
        if self._driver is None:
            self._early.append(data)
        else:
            self._driver.message(self._player, data)

    def state(self, state: LinkState) -> None:
        """Pass on a state."""
        if self._driver is not None:
            self._driver.link_state(self._player, state)

    def lead_to(self, driver: Driver, player: int) -> None:
        """Pass on everything from now on, and what came before."""
        self._driver, self._player = driver, player
        for data in self._early:
            driver.message(player, data)
        self._early = []


class Mesh:
    """One player's connections. :meth:`close` it in any case.

    Attributes:
        links: over which the match goes, by the player's index, once they are open.
    """

    def __init__(self, client: SignalingClient, link: LinkConfig) -> None:
        self._client = client
        self._link = link
        self._prepared: list[PeerConnection] = []
        self._prepared_at = 0.0
        self._connections: dict[PeerConnection, _Route] = {}
        self.links: dict[int, PeerConnection] = {}
        self._rebuilders: dict[SeatId, Rebuilder] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._later: set[asyncio.Task[None]] = set()
        """Who connects while the match goes on already."""
        self._connectors: dict[SeatId, Connector] = {}
        self._openings: dict[SeatId, Opening] = {}
        self._ice_servers: MatchIceServers | None = None
        """Once connections may be made anew."""

    async def prepare(self, count: int) -> None:
        """Gather candidates and make certificates for so many others.

        Not where only relays are allowed, which come with the match.
        """
        if self._link.relay_only:
            return
        self._prepared_at = asyncio.get_running_loop().time()
        self._prepared = [self._make_connection(self._link, ()) for _ in range(min(count, MAX_PLAYERS - 1))]
        await asyncio.gather(*(connection.gather() for connection in self._prepared))

    async def expect(self, found: MatchFound) -> None:
        """Be ready for the signals of the match's players; :meth:`open` comes next."""
        for peer in found.peers:
            connector = self._connectors[peer.player_id] = self._connector(found, peer)
            self._openings[peer.player_id] = Opening(peer.player_id, connector)
        # There may be fewer players than seats, only relays allowed, or a long wait before.
        unused, self._prepared = self._prepared, []
        for connection in unused:
            del self._connections[connection]
        await asyncio.gather(*(connection.close() for connection in unused))

    async def open(
        self,
        found: MatchFound,
        driver: Driver,
        on_open: Callable[[int, PeerConnection], None],
        *,
        by_service: bool = False,
    ) -> None:
        """Connect to everybody.

        Args:
            found: the match.
            driver: takes over every connection as soon as it is open.
            on_open: called just before, with the player's index.
            by_service: whether the service may pass messages on to whom there is no connection yet.

        Raises:
            ConnectFailed: somebody cannot be reached.
            PeerLost: somebody left before the connection was open; told first, where both is so at a time.
        """
        work = []
        for player, peer in enumerate(found.players):
            if peer.player_id != found.player_id:
                begin = partial(driver.begin_by_service, player) if by_service else None
                work.append(self._connect(player, peer.player_id, driver, on_open, begin))
        await all_of(work)

    def service_carries(self, peer: SeatId) -> None:
        """Note that messages to a player go through the service."""
        if peer in self._openings:
            self._openings[peer].service_carries()

    def receive_signal(self, signal: MatchSignal) -> bool:
        """Take in a connection signal; return whether it was a player's."""
        connector = self._connectors.get(signal.from_player_id)
        rebuilder = self._rebuilders.get(signal.from_player_id)
        if rebuilder is not None and (connector is None or rebuilder.concerns(signal.payload)):
            rebuilder.receive_signal(signal.type, signal.payload)
        elif connector is not None:
            connector.receive_signal(signal.type, signal.payload)
        return connector is not None or rebuilder is not None

    def allow_rebuilding(
        self,
        found: MatchFound,
        driver: Driver,
        on_rebuilt: Callable[[int, PeerConnection, int], None],
        *,
        incarnation: int = 0,
    ) -> None:
        """Rebuild paths from now on, here by :meth:`rebuild` or as another player wants it.

        Args:
            found: the match.
            driver: carries it.
            on_rebuilt: called with the player's index, the connection over which the match goes on, and how
                many were tried.
            incarnation: which process of this player's it is: the others go by the highest number of an
                attempt, and know those of earlier ones.
        """

        def replaced(player: int, connection: PeerConnection, attempts: int) -> None:
            if player in self.links:
                self._leave(self.links[player])
            self.links[player] = connection
            on_rebuilt(player, connection, attempts)

        servers = self._ice_servers = MatchIceServers(self._client, found, young=not incarnation)
        for player, peer in enumerate(found.players):
            if peer.player_id != found.player_id:
                make = partial(self._next_connector, found, peer, servers)
                self._rebuilders[peer.player_id] = Rebuilder(
                    driver, player, make, replaced, number=ATTEMPTS_OF_A_PROCESS * incarnation
                )

    def rebuild(self, peer: SeatId) -> None:
        """Make a new connection to a player beside the one that carries nothing."""
        if peer in self._rebuilders:
            if self._ice_servers is not None:
                self._ice_servers.renew_soon()
            self._rebuilders[peer].begin()

    async def come_back(self, peers: Sequence[MatchPlayer]) -> None:
        """Make the first connections of this process to players who had some to the process before."""
        if self._ice_servers is not None:  # what is kept of them may be hours old
            self._ice_servers.renew_soon()
            await self._ice_servers.renewed()
        for peer in peers:
            self._rebuilders[peer.player_id].come_back()

    def settle(self, peer: SeatId) -> int:
        """Make none any more: what there is carries, or the player is gone.

        Returns:
            How many were tried in vain since the path broke.
        """
        rebuilder = self._rebuilders.get(peer)
        return 0 if rebuilder is None else rebuilder.settle()

    def give_up(self, peer: SeatId) -> int:
        """Make none to a player who is gone, nor join theirs; return what :meth:`settle` does."""
        rebuilder = self._rebuilders.get(peer)
        return 0 if rebuilder is None else rebuilder.give_up()

    def peer_left(self, left: PeerLeft) -> None:
        """Note that the service has lost sight of a player."""
        if left.player_id in self._openings:
            self._openings[left.player_id].departed("" if left.why is None else f": {printable(left.why)}")

    async def close(self) -> None:
        """Close every connection; what goes wrong is logged."""
        for later in self._later:
            later.cancel()
        if self._ice_servers is not None:
            await self._ice_servers.close()
        await asyncio.gather(*(opening.close() for opening in self._openings.values()))
        await asyncio.gather(*(rebuilder.close() for rebuilder in self._rebuilders.values()))
        everyone = {*self._connections, *self.links.values()}
        closed = await asyncio.gather(
            *(one.close() for one in everyone), *self._closing, return_exceptions=True
        )
        for result in closed:
            if isinstance(result, BaseException):
                _log.warning("closing failed: %r", result)

    def _make_connection(self, link: LinkConfig, ice_servers: Sequence[IceServer]) -> PeerConnection:
        route = _Route()
        connection = PeerConnection(
            link=link, ice_servers=ice_servers, on_message=route.message, on_state=route.state
        )
        self._connections[connection] = route
        return connection

    def _leave(self, connection: PeerConnection) -> None:
        """Close a connection whose place another one has taken."""
        connection.detach()
        self._connections.pop(connection, None)
        closing = asyncio.get_running_loop().create_task(connection.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        closing.add_done_callback(note_failure)

    def _next_connector(
        self,
        found: MatchFound,
        peer: MatchPlayer,
        servers: MatchIceServers,
        attempt: int,
        make_route: Callable[[], NewLink],
        *,
        timeout_s: float,
        offers_first: bool | None,
    ) -> Connector:
        """Return what makes one more connection to a player."""
        link = attrs.evolve(self._link, relay_only=found.relay_only or self._link.relay_only)

        def make_connection() -> PeerConnection:
            route = make_route()
            route.connection = PeerConnection(
                link=link, ice_servers=servers.now, on_message=route.message, on_state=route.state
            )
            return route.connection

        def send_signal(kind: str, payload: Mapping[str, Any]) -> None:
            named = {**payload, "sdp": tagged(payload["sdp"], attempt)} if "sdp" in payload else payload
            self._client.send_signal(found.match_id, peer.player_id, kind, named)

        return Connector(
            local_id=found.player_id,
            remote_id=peer.player_id,
            make_connection=make_connection,
            send_signal=send_signal,
            remote_is_ours=(peer.client or "").startswith("gym_p2p/"),
            timeout_s=timeout_s,
            offers_first=offers_first,
        )

    def _connector(self, found: MatchFound, peer: MatchPlayer) -> Connector:
        link, first = self._link, None
        if found.relay_only and not link.relay_only:
            # What was gathered ahead of time holds this machine's addresses: not for this match.
            link = attrs.evolve(link, relay_only=True)
        elif self._prepared and asyncio.get_running_loop().time() < self._prepared_at + _PREPARED_FOR_S:
            first = self._prepared.pop()
            first.ask_ice_servers(found.ice_servers)
        return Connector(
            local_id=found.player_id,
            remote_id=peer.player_id,
            make_connection=partial(self._make_connection, link, found.ice_servers),
            first=first,
            send_signal=partial(self._client.send_signal, found.match_id, peer.player_id),
            remote_is_ours=(peer.client or "").startswith("gym_p2p/"),
            timeout_s=link.connect_timeout_s,
        )

    async def _connect(
        self,
        player: int,
        peer: SeatId,
        driver: Driver,
        on_open: Callable[[int, PeerConnection], None],
        begin_by_service: Callable[[], None] | None,
    ) -> None:
        connection = await self._openings[peer].first(begin_by_service)
        if connection is not None:
            self._attach(player, connection, driver, on_open)
            return
        later = asyncio.get_running_loop().create_task(self._connect_later(player, peer, driver, on_open))
        self._later.add(later)
        later.add_done_callback(self._later.discard)
        later.add_done_callback(note_failure)

    async def _connect_later(
        self, player: int, peer: SeatId, driver: Driver, on_open: Callable[[int, PeerConnection], None]
    ) -> None:
        """Connect while the service passes messages on, again and again if need be."""
        connection = await self._openings[peer].later()
        if connection is None:
            self.rebuild(peer)
        else:
            self._attach(player, connection, driver, on_open)

    def _attach(
        self,
        player: int,
        connection: PeerConnection,
        driver: Driver,
        on_open: Callable[[int, PeerConnection], None],
    ) -> None:
        if player in self.links:  # another one was made meanwhile
            self._leave(connection)
            return
        self.links[player] = connection
        on_open(player, connection)
        driver.attach(player, connection)
        self._connections[connection].lead_to(driver, player)
