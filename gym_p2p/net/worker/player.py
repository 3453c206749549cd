"""The network half of one player, from signing in to goodbye.

Strings the pieces together: the way to a match, the mesh of connections, the match machine with its driver,
the feed for spectators, and a latency poller for every link. Runs on an event loop that nothing else
blocks, in a thread or a process of its own (:mod:`gym_p2p.net.worker.bridge`); refuses to know the
environment.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import time
from collections import deque
from functools import partial

from gym_p2p.core.api.relaying import RelayedMessage
from gym_p2p.core.api.requests import AnswerMatch, MatchLatency
from gym_p2p.core.api.rooms import CUT_OFF, MatchFound, MatchSignal, PeerLeft, PeerReturned
from gym_p2p.core.latency.series import Poll
from gym_p2p.core.latency.webrtc_stats import ConnectionDetails, PollStatus
from gym_p2p.core.link.game_records import takes_records
from gym_p2p.core.match.commands import GiveInput, Leave, LineClosed, LineOpened
from gym_p2p.core.match.events import (
    Connected,
    Event,
    InputsArrived,
    Interrupted,
    Left,
    Pinged,
    PlayerGone,
    Resumed,
)
from gym_p2p.core.match.match import Match
from gym_p2p.core.match.return_events import PlayerAway
from gym_p2p.core.match.ways import DirectPathLost, WayChanged, WayKind
from gym_p2p.core.spectating.log import ShowFrame
from gym_p2p.core.spectating.messages import EpisodeOver, EpisodeShown, FrameDigest, Standing
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConnectFailed
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.net.links.by_service import ServiceLinks
from gym_p2p.net.links.driver import Driver
from gym_p2p.net.loop import LoopClock
from gym_p2p.net.telemetry import LatencyPoller
from gym_p2p.net.webrtc import PeerConnection
from gym_p2p.net.worker.broadcast import FeedServer
from gym_p2p.net.worker.join import find_match
from gym_p2p.net.worker.mesh import Mesh
from gym_p2p.net.worker.messages import (
    Emit,
    LinkOpened,
    PathBroken,
    PathRebuilt,
    PathTried,
    PlayerPlan,
    Polled,
    ReleaseFrames,
    Resumable,
    StoodStill,
    Vote,
    WorkerCommand,
)
from gym_p2p.net.worker.opening import SERVICE_AFTER_S
from gym_p2p.net.worker.worker import NetworkWorker
from gym_p2p.processes.standstill import STEP_S, Standstill

__all__ = ["PlayerWorker"]

_log = logging.getLogger(__name__)

_FIRST_REPORT_MS = 10_000
_REPORT_EVERY_MS = 60_000
_REPORTED_SAMPLES = 600
"""Bounds what is kept between two reports."""


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
            player_id = self._found.players[player].player_id
            self._client.send(MatchLatency(self._found.match_id, player_id, statistics.median(rtts_ms)))
            rtts_ms.clear()


class PlayerWorker(NetworkWorker):
    """One player's network half."""

    def __init__(self, plan: PlayerPlan, emit: Emit) -> None:
        super().__init__(emit, plan.config)
        self._plan = plan
        self._mesh = Mesh(self._client, plan.config.link)
        self._driver: Driver | None = None
        self._ids: list[SeatId] = []
        self._takes_records: set[int] | None = None
        """With whom game messages may go as records, as both say; ``None`` before all have greeted."""
        self._pollers: dict[int, LatencyPoller] = {}
        self._relayed: dict[int, WayChanged] = {}
        """To whom messages go by others."""
        self._reports: _LatencyReports | None = None
        self._feed: FeedServer | None = None
        self._goodbye = "failed"
        self._began = 0.0

    def command(self, command: WorkerCommand) -> None:
        """Carry out a command of the user's half."""
        if type(command) is GiveInput and self._driver is not None:  # nearly always
            self._driver.command(command)
            return
        if isinstance(command, Leave):
            self._goodbye = command.reason
        match command:
            case Vote(proposal_id, verdict):
                self._client.send(AnswerMatch(proposal_id, verdict))
            case EpisodeShown() | ShowFrame() | FrameDigest() | EpisodeOver() | Standing():
                if self._feed is not None:
                    self._feed.show(command)
            case ReleaseFrames():
                pass  # a spectator's
            case _ if self._driver is not None:
                self._driver.command(command)
            case Leave():
                self._over.set()

    # The way to a match.

    async def _work(self) -> None:
        found = await self._find_match()
        self._emit(Resumable(self._client.resume_token))
        self._emit(found)
        self._ids = [player.player_id for player in found.players]
        driver = self._driver = self._make_driver(found)
        returns, sync = self._plan.returns, self._plan.config.sync
        if returns is None:
            await self._mesh.expect(found)
        if self._plan.config.spectators:
            self._feed = self._make_feed(found)
        if found.queue is not None:
            self._reports = _LatencyReports(self._client, found)
        self._client.events.listen(MatchSignal, self._on_signal)  # what came before now was kept
        self._client.events.listen(PeerLeft, partial(self._on_peer_left, found))
        self._client.events.listen(PeerReturned, self._on_peer_returned)
        self._began = asyncio.get_running_loop().time()
        if sync.reconnect_timeout_s or sync.rejoin_timeout_s:
            incarnation = 0 if returns is None else returns.comeback.incarnation
            self._mesh.allow_rebuilding(found, driver, self._on_rebuilt, incarnation=incarnation)
        by_service = self._allow_service(found, driver)
        if returns is None:
            await self._open_all(found, driver, by_service=by_service)
        else:
            await self._mesh.come_back(found.peers)
            for peer in found.peers:
                driver.look_for(found.players.index(peer), after_s=SERVICE_AFTER_S)
        await self._until_over()

    async def _open_all(self, found: MatchFound, driver: Driver, *, by_service: bool) -> None:
        try:
            await self._mesh.open(found, driver, self._start_polling, by_service=by_service)
        except ConnectFailed as error:
            await self._client.leave(error.seen)  # the others would else be told that this player went away
            raise

    async def _until_over(self) -> None:
        """Wait for the end, and see meanwhile whether this process stands still; a thread's is the user's."""
        if self._plan.config.network == "thread":
            await self._over.wait()
        standstill = Standstill()
        while not self._over.is_set():
            await asyncio.sleep(STEP_S)  # whose end cancels it
            stood_s = standstill.look()
            if stood_s is not None:
                self._emit(StoodStill(stood_s))

    async def _find_match(self) -> MatchFound:
        """Sign in and wait for the others; candidates are gathered meanwhile."""
        plan = self._plan
        if plan.returns is not None:
            return await find_match(plan, self._client, self._emit)
        preparing = asyncio.ensure_future(self._mesh.prepare(len(plan.seats) - len(plan.take or (0,))))
        try:
            found = await find_match(plan, self._client, self._emit)
            await preparing
        finally:
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
        return found

    def _make_driver(self, found: MatchFound) -> Driver:
        match = Match(
            local=next(i for i, p in enumerate(found.players) if p.player_id == found.player_id),
            players=len(found.players),
            description=self._plan.description,
            match_seed=found.seed,
            sync=self._plan.config.sync,
            secret=self._plan.secret,
            comeback=None if self._plan.returns is None else self._plan.returns.comeback,
            relay=self._plan.config.link.relay,
            relay_above_ms=self._plan.config.link.relay_above_ms,
        )
        return Driver(match, clock=LoopClock(asyncio.get_running_loop()), emit=self._on_event)

    def _allow_service(self, found: MatchFound, driver: Driver) -> bool:
        """Let the service pass messages on, where both it and we allow that; return whether they do."""
        if self._plan.config.link.relay != "service" or not found.relays:
            return False
        others = {one.player_id: i for i, one in enumerate(found.players) if one.player_id != found.player_id}
        send = partial(self._client.relay, found.match_id)
        links = ServiceLinks(driver, others, send, time=time.monotonic)
        self._client.events.listen(RelayedMessage, links.receive)
        driver.service_up(up=True)
        return True

    def _make_feed(self, found: MatchFound) -> FeedServer:
        config = self._plan.config
        shown = {"checked_every": config.sync.checked_every, "isolates_random": config.sync.isolate_random}
        return FeedServer(
            self._client,
            found,
            limit=config.spectators,
            link=config.link,
            description={**self._plan.description, **shown},
        )

    def _start_polling(self, player: int, connection: PeerConnection) -> None:
        self._emit(LinkOpened(player, asyncio.get_running_loop().time() - self._began))

        def on_poll(poll: Poll) -> None:
            if player in self._relayed:
                return  # what is played over is measured by the protocol's own pings
            self._emit(Polled(player, poll))
            if self._reports is not None:
                self._reports.polled(player, poll)

        poller = LatencyPoller(
            connection,
            self._plan.config.telemetry.poll_interval_ms,
            on_poll=on_poll,
            wall_clock=self._clock.seconds,
        )
        connection.on_game_transport = poller.poll_soon
        poller.start()
        self._pollers[player] = poller

    # What arrives.

    def _on_signal(self, signal: MatchSignal) -> None:
        if self._mesh.receive_signal(signal):
            if self._driver is not None:
                self._driver.command(LineOpened(self._ids.index(signal.from_player_id)))
        elif self._feed is not None:
            self._feed.receive_signal(signal)

    def _on_peer_left(self, found: MatchFound, left: PeerLeft) -> None:
        _log.debug("the service: the line of %r is closed (%s)", left.player_id, left.reason)
        self._mesh.peer_left(left)
        if self._driver is not None and left.player_id in self._ids and left.player_id != found.player_id:
            player = self._ids.index(left.player_id)
            self._driver.command(LineClosed(player, cut_off=left.reason == CUT_OFF))

    def _on_peer_returned(self, returned: PeerReturned) -> None:
        _log.debug("the service: the line of %r is open again", returned.player_id)
        if self._driver is not None and returned.player_id in self._ids:
            self._driver.command(LineOpened(self._ids.index(returned.player_id)))

    def _on_event(self, event: Event) -> None:
        if type(event) is InputsArrived:  # nearly always
            self._emit_stamped((self._clock.ms(), event))
            return
        match event:
            case Interrupted(player) if player in self._mesh.links:
                link = self._mesh.links[player]
                self._emit(PathBroken(player, link.path_now().ice_state, link.state.value))
            case Resumed(player, over=WayKind.DIRECT) | PlayerGone(player) | PlayerAway(player):
                end = self._mesh.give_up if isinstance(event, PlayerGone) else self._mesh.settle
                if tried := end(self._ids[player]):
                    self._emit(PathTried(player, tried))
        self._emit(event)
        match event:
            case Connected():
                self._agree_on_records(event)
            case Interrupted(player, reconnects=True) | DirectPathLost(player):
                self._client.wanted_for(self._plan.config.sync.reconnect_timeout_s)
                self._mesh.rebuild(self._ids[player])
            case WayChanged():
                self._take_way(event)
            case Pinged(player, rtt_ms) if player in self._relayed:
                self._emit(Polled(player, self._measured(self._relayed[player], rtt_ms)))
            case Left():
                self._over.set()

    def _take_way(self, changed: WayChanged) -> None:
        player = changed.player
        if changed.kind is WayKind.DIRECT:
            self._relayed.pop(player, None)
            self._mesh.settle(self._ids[player])
            self._pollers[player].poll_soon()
            return
        self._relayed[player] = changed
        self._mesh.service_carries(self._ids[player])

    def _measured(self, way: WayChanged, rtt_ms: float) -> Poll:
        """Return a round trip over others as a poll of the path."""
        by_service = way.kind is WayKind.SERVICE
        path = ConnectionDetails(
            type="relay",
            local_candidate_type="relay",
            remote_candidate_type="relay",
            protocol="tcp" if by_service else "udp",
            relayed_by=way.kind.value,
            relaying_player=None if way.via is None else self._ids[way.via],
        )
        return Poll(self._clock.ms(), rtt_ms, PollStatus.FRESH, path)

    def _on_rebuilt(self, player: int, connection: PeerConnection, attempts: int) -> None:
        poller = self._pollers.get(player)
        if poller is None:  # we have come back, and this is the first one
            self._start_polling(player, connection)
        else:
            now = connection.path_now()
            self._emit(PathRebuilt(player, attempts, now.local_candidate_type, now.remote_candidate_type))
            poller.replace(connection)
            connection.on_game_transport = poller.poll_soon
        self._choose_game_way(player, connection)

    def _agree_on_records(self, connected: Connected) -> None:
        ours = takes_records(self._plan.description.get("about"))
        self._takes_records = {
            p for p, theirs in enumerate(connected.about) if ours and takes_records(theirs)
        }
        for player, connection in self._mesh.links.items():
            self._choose_game_way(player, connection)

    def _choose_game_way(self, player: int, connection: PeerConnection) -> None:
        """Let a connection carry game messages as the two have agreed, once they have."""
        if self._takes_records is None:
            return
        if player in self._takes_records:
            connection.use_game_records()
        else:
            connection.keep_game_channel()

    async def _clean_up(self) -> None:
        for poller in self._pollers.values():
            poller.stop()
        if self._driver is not None:
            self._driver.stop()
        if self._feed is not None:
            await self._feed.close(self._goodbye)
        for result in await asyncio.gather(self._mesh.close(), self._client.close(), return_exceptions=True):
            if isinstance(result, BaseException):
                _log.warning("closing failed: %r", result)
