"""The network half of a spectator: from signing in to the end of the match, over as many players as it takes.

Requests from the service who shows the match, connects to that player, and follows
(:mod:`gym_p2p.core.spectating.subscriber`); when they can show it no more, requests another one and goes on
from where the spectator stands. It refuses to know the environment.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

import attrs

from gym_p2p.core.api.rooms import MatchSignal
from gym_p2p.core.api.spectators import WatchedMatch, WatchOver
from gym_p2p.core.match.commands import Leave
from gym_p2p.core.spectating.messages import Farewell
from gym_p2p.core.spectating.subscriber import Broken, SendToPlayer, Subscriber
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.core.wire.messages import Channel
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConnectFailed, NetworkError, P2PError, ServiceRefused, ServiceUnreachable
from gym_p2p.net.connector import Connector
from gym_p2p.net.links.transport import LinkState
from gym_p2p.net.loop import LoopTimer, unless
from gym_p2p.net.webrtc import PeerConnection
from gym_p2p.net.worker.join import SIGN_IN_TIMEOUT_S
from gym_p2p.net.worker.messages import Emit, ReleaseFrames, SpectatorPlan, WatchEnded, WorkerCommand
from gym_p2p.net.worker.worker import NetworkWorker

__all__ = ["SpectatorWorker"]

_log = logging.getLogger(__name__)

AGAIN_S = 10.0
"""How long another player is looked for when one can show the match no more."""

_RETRY_S = 1.0
_MAX_FAILURES = 3
"""Links in a row over which nothing was seen of the match; then it is given up."""

_NOT_YET = frozenset({"no_such_match", "rate_limited"})
_BUSY = frozenset({"room_full", "rate_limited"})


class SpectatorWorker(NetworkWorker):
    """One spectator's network half."""

    def __init__(self, plan: SpectatorPlan, emit: Emit) -> None:
        super().__init__(emit, plan.config)
        self._plan = plan
        self._follower = Subscriber(plan.seats)
        self._client.events.listen(WatchOver, self._on_watch_over)
        self._lost = asyncio.Event()
        """Nothing more comes from the player who is followed."""
        self._watched: WatchedMatch | None = None
        self._open: PeerConnection | None = None
        self._alarm = LoopTimer(self._wake)
        self._left = False
        """Whether the one who is followed has said farewell."""
        self._reason = "source_lost"

    def command(self, command: WorkerCommand) -> None:
        """Carry out a command of the user's half."""
        if isinstance(command, Leave):
            self._over.set()
        elif isinstance(command, ReleaseFrames):
            self._follower.shown(command.frames, self._alarm.now)
            self._pump()

    async def _work(self) -> None:
        config = self._plan.config
        await self._client.connect(
            config.server_url, self._plan.subject_id, timeout_s=SIGN_IN_TIMEOUT_S, token=config.token
        )
        watched: WatchedMatch | None = await self._first()
        failures = 0
        while watched is not None:
            self._watched = watched
            self._emit(watched)
            before = self._follower.place
            problem = await self._follow(watched)
            failures = failures + 1 if before == self._follower.place and not self._left else 0
            if failures == _MAX_FAILURES:
                raise problem or NetworkError("the match was to be watched, and nothing was shown")
            watched = await self._another(watched)
        self._emit(WatchEnded(self._reason))

    # Who shows the match.

    async def _first(self) -> WatchedMatch:
        """Wait for the match to begin.

        Raises:
            ServiceRefused: it has all the spectators that it may have.
            ConnectFailed: there is none in time.
        """
        limit_s = self._plan.config.sync.room_timeout_s
        began = self._alarm.now
        while True:
            try:
                return await self._request(self._plan.match_id)
            except ServiceRefused as error:
                if error.code not in _NOT_YET:
                    raise
                waited_s, retry_s = self._alarm.now - began, error.retry_after_s or _RETRY_S
                if limit_s <= waited_s:
                    raise ConnectFailed(
                        f"a match to watch in {self._plan.match_id or f'room {self._plan.config.room!r}'}",
                        waited_s=waited_s,
                        seen="no match that anybody shows",
                        advice="Its players have to allow spectators (spectators=N, or join --spectators N).",
                    ) from error
            await asyncio.sleep(min(retry_s, limit_s - waited_s))

    async def _another(self, before: WatchedMatch) -> WatchedMatch | None:
        """Return who shows the match now; ``None`` if nobody does."""
        until = self._alarm.now + AGAIN_S
        while self._alarm.now < until:
            try:
                return await self._request(before.match_id, avoid=before.source)
            except ServiceRefused as error:
                if error.code not in _BUSY:
                    return None
            except ServiceUnreachable:
                pass  # the client takes the line up again
            await asyncio.sleep(_RETRY_S)
        return None

    async def _request(self, match_id: str | None, *, avoid: SeatId | None = None) -> WatchedMatch:
        room = self._plan.config.room if match_id is None else None
        return await self._client.watch(room=room, match_id=match_id, avoid=avoid)

    # Following.

    async def _follow(self, watched: WatchedMatch) -> P2PError | None:
        """Follow one player as long as they show the match; return why there was no connection."""
        self._lost.clear()
        self._left = False
        connector = self._connector(watched)
        self._client.events.listen(MatchSignal, partial(_pass_on, watched.source, connector))
        try:
            if await unless(self._lost, connector.connect()) is not None:
                await self._lost.wait()
        except ConnectFailed as error:
            _log.info("%s", error)
            return error
        finally:
            self._follower.closed()
            opened, self._open = self._open, None
            if opened is not None:
                opened.detach()
                await opened.close()
        return None

    def _connector(self, watched: WatchedMatch) -> Connector:
        link = self._plan.config.link
        link = attrs.evolve(link, relay_only=link.relay_only or watched.relay_only)

        def make() -> PeerConnection:
            def on_state(state: LinkState) -> None:
                self._on_state(connection, state)

            connection = PeerConnection(
                link=link, ice_servers=watched.ice_servers, on_message=self._on_message, on_state=on_state
            )
            return connection

        return Connector(
            local_id=watched.spectator_id,
            remote_id=watched.source,
            make_connection=make,
            send_signal=partial(self._client.send_signal, watched.match_id, watched.source),
            remote_is_ours=True,
            timeout_s=link.connect_timeout_s,
            offers_first=True,
        )

    def _on_state(self, connection: PeerConnection, state: LinkState) -> None:
        if state is LinkState.OPEN:
            self._open = connection
            self._follower.opened(self._alarm.now)
            self._pump()
        elif connection is self._open:
            self._lost.set()

    def _on_message(self, _channel: Channel, data: bytes | str) -> None:
        self._follower.receive(data if isinstance(data, bytes) else data.encode(), self._alarm.now)
        self._pump()

    def _on_watch_over(self, over: WatchOver) -> None:
        if self._watched is None or over.match_id != self._watched.match_id:
            return
        if self._open is None:
            self._lost.set()
        else:
            self._follower.doubt(self._alarm.now)
            self._pump()

    def _wake(self) -> None:
        self._follower.handle_timeout(self._alarm.now)
        self._pump()

    def _pump(self) -> None:
        while (output := self._follower.poll()) is not None:
            match output:
                case SendToPlayer(data):
                    if self._open is not None:
                        self._open.send(Channel.CTRL, data)
                case Broken(reason):
                    _log.info("the match is shown no more by the one who did: %s", reason)
                    self._lost.set()
                case Farewell(reason):
                    self._left, self._reason = True, printable(reason)
                    self._lost.set()
                case _:
                    self._emit(output)
        self._alarm.set(self._follower.next_timeout())

    async def _clean_up(self) -> None:
        self._alarm.set(None)
        await self._client.close()


def _pass_on(source: SeatId, connector: Connector, signal: MatchSignal) -> None:
    if signal.from_player_id == source:
        connector.receive_signal(signal.type, signal.payload)
