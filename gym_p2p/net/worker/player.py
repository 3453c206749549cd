"""The network half of one player, from signing in to goodbye.

Strings the pieces together: the signalling client, a connector for every peer, the match machine with its
driver, and a latency poller for every link. Runs on an event loop that nothing else blocks, in a thread
or a process of its own (:mod:`gym_p2p.net.worker.bridge`); refuses to know the environment.

What it tells the user's half are the events of :mod:`gym_p2p.core.match.events` and those below. ``Stopped``
is always the last one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from gym_p2p.config import IceServer, LinkConfig
from gym_p2p.core.api.rooms import MAX_PLAYERS, MatchFound, MatchPlayer
from gym_p2p.core.latency.series import Poll
from gym_p2p.core.latency.statistics import median
from gym_p2p.core.match.events import Command, Event, Leave, Left
from gym_p2p.core.match.match import Match
from gym_p2p.core.spectating.log import ShowFrame
from gym_p2p.core.spectating.messages import EpisodeOver, EpisodeShown, FrameDigest
from gym_p2p.core.wire.messages import Channel
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import NetworkError, P2PError, PeerLost
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.net.connector import Connector
from gym_p2p.net.links.driver import Driver
from gym_p2p.net.links.transport import LinkState
from gym_p2p.net.loop import LoopClock
from gym_p2p.net.telemetry import LatencyPoller
from gym_p2p.net.webrtc import PeerConnection
from gym_p2p.net.worker.broadcast import FeedServer
from gym_p2p.net.worker.join import Meeting
from gym_p2p.net.worker.messages import (
    AnswerProposal,
    Failed,
    HasShown,
    LinkOpened,
    MatchMade,
    Order,
    Plan,
    Polled,
    Stopped,
    Telling,
)

__all__ = ["Participant"]

_log = logging.getLogger(__name__)


_DEPARTED_GRACE_S = 2.0
"""Only his line to the service may have broken, with everything said that a connection needs."""
_FIRST_REPORT_MS = 10_000
_REPORT_EVERY_MS = 60_000
_REPORTED_SAMPLES = 600
"""Bounds what is kept where the wall clock is set back."""


class _Route:
    """Where what a connection tells goes: kept until it is known which player is at the other end.

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


class _LatencyReports:
    """Reports to the service, now and then, how far the players are apart: its queues learn from it.

    Each report is the median of the round trips since the one before.
    """

    def __init__(self, client: SignalingClient, found: MatchFound) -> None:
        self._client = client
        self._found = found
        self._due_ms: dict[int, int] = {}
        self._rtts_ms: dict[int, deque[float]] = {}

    def polled(self, player: int, poll: Poll) -> None:
        """Take in a poll of the link to a player; report if it is time, and there is something to report."""
        rtts_ms = self._rtts_ms.setdefault(player, deque(maxlen=_REPORTED_SAMPLES))
        due_ms = self._due_ms.setdefault(player, poll.timestamp_ms + _FIRST_REPORT_MS)
        if poll.rtt_ms is not None:
            rtts_ms.append(poll.rtt_ms)
        if poll.timestamp_ms < due_ms:
            return
        self._due_ms[player] = poll.timestamp_ms + _REPORT_EVERY_MS
        if rtts_ms:
            player_id, rtt_ms = self._found.players[player].player_id, median(rtts_ms)
            report = {"game_id": self._found.match_id, "player_id": player_id, "rtt_ms": rtt_ms}
            self._client.send("match_latency", report)
            rtts_ms.clear()


class Participant:
    """One player's network half. Every method is called on its event loop."""

    def __init__(self, plan: Plan, tell: Callable[[int, Telling], None]) -> None:
        """Prepare; nothing happens before :meth:`run`.

        Args:
            plan: what to do.
            tell: called with the Unix time in milliseconds and what happened.
        """
        self._plan = plan
        self._tell_at = tell
        self._driver: Driver | None = None
        self._client: SignalingClient | None = None
        self._connectors: dict[SeatId, Connector] = {}
        self._departures: dict[SeatId, asyncio.Future[None]] = {}
        """Done once the service has lost sight of that player."""
        self._connections: list[tuple[PeerConnection, _Route]] = []
        self._pollers: list[LatencyPoller] = []
        self._over = asyncio.Event()
        self._prepared: list[PeerConnection] = []
        self._reports: _LatencyReports | None = None
        self._feed: FeedServer | None = None
        self._goodbye = "failed"

    async def run(self) -> None:
        """Play one match; returns when it is over. Whatever happens ends in ``Stopped``."""
        try:
            await self._play()
        except P2PError as error:
            self._tell(Failed(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - told to the caller, whatever it is
            _log.exception("the network half failed")
            self._tell(Failed(NetworkError(f"the network half failed: {type(error).__name__}: {error}")))
        finally:
            await self._clean_up()
            self._tell(Stopped())

    def command(self, command: Order) -> None:
        """Carry out a command of the user's half."""
        match command:
            case AnswerProposal(proposal_id, verdict):
                if self._client is not None:
                    self._client.answer_match(proposal_id, verdict)
            case EpisodeShown() | ShowFrame() | FrameDigest() | EpisodeOver():
                if self._feed is not None:
                    self._feed.show(command)
            case HasShown():
                pass  # a spectator's
            case _:
                self._command_match(command)

    def _command_match(self, command: Command) -> None:
        if isinstance(command, Leave):
            self._goodbye = command.reason
        if self._driver is not None:
            self._driver.command(command)
        elif isinstance(command, Leave):
            self._over.set()

    # The way to a match.

    async def _play(self) -> None:
        leaving = asyncio.ensure_future(self._over.wait())
        playing = asyncio.ensure_future(self._sign_in_and_connect())
        try:
            await asyncio.wait({leaving, playing}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                return
            playing.result()
            await leaving
        finally:
            for task in (leaving, playing):
                task.cancel()
            await asyncio.gather(leaving, playing, return_exceptions=True)

    async def _sign_in_and_connect(self) -> None:
        found = await self._find_match()
        self._tell(MatchMade(found))
        local = next(i for i, p in enumerate(found.players) if p.player_id == found.player_id)
        loop = asyncio.get_running_loop()
        self._driver = Driver(
            Match(
                local=local,
                players=len(found.players),
                description=self._plan.description,
                match_seed=found.seed,
                sync=self._plan.config.sync,
            ),
            clock=LoopClock(loop),
            emit=self._on_event,
        )
        others = [i for i in range(len(found.players)) if i != local]
        connectors = {player: self._connector(found, found.players[player]) for player in others}
        await self._close_unused()
        assert self._client is not None  # noqa: S101 - it found the match
        if self._plan.config.spectators:
            self._feed = FeedServer(
                self._client,
                found,
                limit=self._plan.config.spectators,
                link=self._plan.config.link,
                description={
                    **self._plan.description,
                    "checked_every": self._plan.config.sync.checked_every,
                },
            )
        self._departures = {found.players[i].player_id: loop.create_future() for i in others}
        self._client.on_signal = self._on_signal  # what came before now was kept
        self._client.on_peer_left = self._on_peer_left
        if found.queue is not None:
            self._reports = _LatencyReports(self._client, found)
        began = loop.time()
        try:
            async with asyncio.TaskGroup() as group:
                for player, connector in connectors.items():
                    peer = found.players[player].player_id
                    group.create_task(self._connect(player, peer, connector, began))
        except* P2PError as failed:
            raise failed.exceptions[0] from None

    async def _find_match(self) -> MatchFound:
        """Sign in and wait for the others; candidates are gathered meanwhile."""
        plan = self._plan
        self._client = SignalingClient()
        preparing = asyncio.ensure_future(self._prepare(len(plan.seats) - len(plan.take or (0,))))
        try:
            found = await Meeting(plan, self._client, self._tell).find_match()
            await preparing
        finally:
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
        return found

    async def _prepare(self, count: int) -> None:
        """Gather candidates and make certificates while the room still fills."""
        link = self._plan.config.link
        self._prepared = [self._make_connection(link, ()) for _ in range(min(count, MAX_PLAYERS - 1))]
        await asyncio.gather(*(connection.gather() for connection in self._prepared))

    def _make_connection(self, link: LinkConfig, ice_servers: Sequence[IceServer]) -> PeerConnection:
        route = _Route()
        connection = PeerConnection(
            link=link,
            ice_servers=ice_servers,
            on_message=route.message,
            on_state=route.state,
        )
        self._connections.append((connection, route))
        return connection

    async def _close_unused(self) -> None:
        """Close what was prepared and is not needed: there are fewer players than seats, or only relays."""
        unused, self._prepared = self._prepared, []
        self._connections = [made for made in self._connections if made[0] not in unused]
        await asyncio.gather(*(connection.close() for connection in unused))

    def _connector(self, found: MatchFound, peer: MatchPlayer) -> Connector:
        link, first = self._plan.config.link, None
        if found.relay_only and not link.relay_only:
            # What was gathered ahead of time holds this machine's addresses: not for this match.
            link = attrs.evolve(link, relay_only=True)
        elif self._prepared:
            first = self._prepared.pop()
            first.ask_ice_servers(found.ice_servers)
        connector = Connector(
            local_id=found.player_id,
            remote_id=peer.player_id,
            make_connection=partial(self._make_connection, link, found.ice_servers),
            first=first,
            send_signal=partial(self._send_signal, found.match_id, peer.player_id),
            remote_is_ours=(peer.client or "").startswith("gym_p2p/"),
            timeout_s=self._plan.config.link.connect_timeout_s,
        )
        self._connectors[peer.player_id] = connector
        return connector

    async def _connect(self, player: int, peer: SeatId, connector: Connector, began: float) -> None:
        connection = await self._opened(connector, peer)
        assert self._driver is not None  # noqa: S101 - made before the first connection
        self._tell(LinkOpened(player, asyncio.get_running_loop().time() - began))
        self._driver.attach(player, connection)
        next(route for made, route in self._connections if made is connection).lead_to(self._driver, player)
        self._start_polling(player, connection)

    async def _opened(self, connector: Connector, peer: SeatId) -> PeerConnection:
        """Return the open connection; not for long after the peer has left the service without one."""
        opening = asyncio.ensure_future(connector.connect())
        try:
            either: set[asyncio.Future[Any]] = {opening, self._departures[peer]}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                await asyncio.wait({opening}, timeout=_DEPARTED_GRACE_S)
            if not opening.done():
                raise PeerLost(peer, "he left before the connection was open")
            return opening.result()
        finally:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)

    def _start_polling(self, player: int, connection: PeerConnection) -> None:
        poller = LatencyPoller(
            connection,
            self._plan.config.telemetry.poll_interval_ms,
            on_poll=lambda poll: self._polled(player, poll),
        )
        poller.start()
        self._pollers.append(poller)

    def _polled(self, player: int, poll: Poll) -> None:
        self._tell(Polled(player, poll))
        if self._reports is not None:
            self._reports.polled(player, poll)

    # What arrives.

    def _send_signal(self, game_id: str, target: SeatId, kind: str, payload: Mapping[str, Any]) -> None:
        if self._client is not None:
            self._client.send_signal(game_id, target, kind, payload)

    def _on_signal(self, sender: SeatId, kind: str, payload: Any) -> None:
        connector = self._connectors.get(sender)
        if connector is not None:
            connector.receive_signal(kind, payload)
        elif self._feed is not None:
            self._feed.receive_signal(sender, kind, payload)

    def _on_peer_left(self, player_id: SeatId, _reason: str) -> None:
        departure = self._departures.get(player_id)
        if departure is not None and not departure.done():
            departure.set_result(None)

    def _on_event(self, event: Event) -> None:
        self._tell(event)
        if isinstance(event, Left):
            self._over.set()

    def _tell(self, telling: Telling) -> None:
        self._tell_at(time.time_ns() // 1_000_000, telling)

    async def _clean_up(self) -> None:
        for poller in self._pollers:
            poller.stop()
        if self._driver is not None:
            self._driver.stop()
        if self._feed is not None:
            await self._feed.close(self._goodbye)
        closing = [connection.close() for connection, _ in self._connections]
        if self._client is not None:
            closing.append(self._client.close())
        for result in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(result, BaseException):
                _log.warning("closing failed: %r", result)
