"""Shows a player's match to spectators: a connection to each.

Every one is driven by :class:`gym_p2p.core.spectating.broadcaster.Broadcaster`.

Part of the player's network half. Whatever a spectator does, or this module itself, ends here and never
reaches the match. It refuses to know frames and the environment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from gym_p2p.config import IceServer, LinkConfig
from gym_p2p.core.api.requests import DropSpectator
from gym_p2p.core.api.rooms import MatchFound, MatchSignal
from gym_p2p.core.api.spectators import SpectatorJoined, SpectatorLeft
from gym_p2p.core.spectating.broadcaster import Broadcaster, SendToSpectator
from gym_p2p.core.spectating.log import Told
from gym_p2p.core.wire.messages import Channel
from gym_p2p.errors import ConnectFailed
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.net.connector import Connector
from gym_p2p.net.links.transport import LinkState
from gym_p2p.net.loop import LoopTimer, unless
from gym_p2p.net.webrtc import PeerConnection
from gym_p2p.processes.tasks import note_failure

__all__ = ["FeedServer"]

_log = logging.getLogger(__name__)

FAREWELL_S = 0.5
"""How long leaving waits for spectators who have not got everything yet."""

_LOOK_S = 0.02


@attrs.define(eq=False)
class _Guest:
    connector: Connector
    gone: asyncio.Event = attrs.field(factory=asyncio.Event)
    open: PeerConnection | None = None
    gone_at_service: bool = False
    """Whether the service knows already that they are gone."""


class FeedServer:
    """One player's spectators. Every method is called on the event loop, and none raises.

    Args:
        limit: how many spectators there may be.
        link: how they are reached, as the players are.
        description: what is played, as the handshake has it.
    """

    def __init__(
        self,
        client: SignalingClient,
        found: MatchFound,
        *,
        limit: int,
        link: LinkConfig,
        description: Mapping[str, Any],
    ) -> None:
        self._client = client
        self._found = found
        self._limit = limit
        self._link = attrs.evolve(link, relay_only=link.relay_only or found.relay_only)
        self._feed = Broadcaster(description)
        self._guests: dict[str, _Guest] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm = LoopTimer(self._wake)
        self._closing = False
        client.events.listen(SpectatorJoined, self._joined)
        client.events.listen(SpectatorLeft, self._left)

    def show(self, shown: Told) -> None:
        """Take in what became final, or for whom the match stands."""
        self._safely(lambda: self._feed.show(shown))

    def receive_signal(self, signal: MatchSignal) -> None:
        """Take in a connection signal, if it is a spectator's."""
        guest = self._guests.get(str(signal.from_player_id))
        if guest is not None:
            guest.connector.receive_signal(signal.type, signal.payload)

    async def close(self, reason: str) -> None:
        """Say farewell and close every connection."""
        self._closing = True
        until = self._alarm.now + FAREWELL_S
        while self._feed.owes and self._alarm.now < until:  # noqa: ASYNC110 - acknowledgements come as they come
            await asyncio.sleep(_LOOK_S)
        self._safely(lambda: self._feed.farewell(reason, self._alarm.now))
        self._alarm.set(None)
        for guest in self._guests.values():
            guest.gone_at_service = True
            guest.gone.set()
        if self._tasks:
            _, stuck = await asyncio.wait(self._tasks, timeout=2 * FAREWELL_S)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)

    # Who comes and goes.

    def _joined(self, joined: SpectatorJoined) -> None:
        name = joined.spectator_id
        if joined.match_id != self._found.match_id or name in self._guests or self._closing:
            return
        if len(self._guests) >= self._limit:
            self._client.send(DropSpectator(name))
            return
        self._guests[name] = guest = _Guest(
            self._connector(name, joined.ice_servers or self._found.ice_servers)
        )
        task = asyncio.get_running_loop().create_task(self._serve(name, guest), name="gym_p2p spectator")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(note_failure)

    def _left(self, left: SpectatorLeft) -> None:
        guest = self._guests.get(left.spectator_id)
        if guest is not None:
            guest.gone_at_service = True
            guest.gone.set()

    async def _serve(self, name: str, guest: _Guest) -> None:
        """Connect to a spectator, and see to the end of the connection."""
        try:
            if await unless(guest.gone, guest.connector.connect()) is not None:
                await guest.gone.wait()
        except ConnectFailed as error:
            _log.info("no connection to spectator %s: %s", name, error)
        except Exception:  # noqa: BLE001 - a spectator's trouble is no player's
            _log.exception("with spectator %s", name)
        finally:
            self._feed.closed(name)
            del self._guests[name]
            if not guest.gone_at_service:
                self._client.send(DropSpectator(name))
            if guest.open is not None:
                await guest.open.close()

    def _connector(self, name: str, ice_servers: Sequence[IceServer]) -> Connector:
        return Connector(
            local_id=self._found.player_id,
            remote_id=name,
            make_connection=partial(self._connection, name, ice_servers),
            send_signal=partial(self._client.send_signal, self._found.match_id, name),
            remote_is_ours=True,
            timeout_s=self._link.connect_timeout_s,
            offers_first=False,
        )

    def _connection(self, name: str, ice_servers: Sequence[IceServer]) -> PeerConnection:
        def on_state(state: LinkState) -> None:
            guest = self._guests.get(name)
            if guest is None:
                return
            if state is LinkState.OPEN:
                guest.open = connection
                self._safely(lambda: self._feed.opened(name, self._alarm.now))
            elif guest.open is connection:
                guest.gone.set()

        def on_message(_channel: Channel, data: bytes | str) -> None:
            whole = data if isinstance(data, bytes) else data.encode()
            self._safely(lambda: self._feed.receive(name, whole, self._alarm.now))

        connection = PeerConnection(
            link=self._link, ice_servers=ice_servers, on_message=on_message, on_state=on_state
        )
        return connection

    # The machine.

    def _wake(self) -> None:
        self._safely(lambda: self._feed.handle_timeout(self._alarm.now))

    def _safely(self, call: Callable[[], None]) -> None:
        try:
            call()
            self._pump()
        except Exception:  # noqa: BLE001 - a bug here must not end the match
            _log.exception("in showing the match")

    def _pump(self) -> None:
        while (output := self._feed.poll()) is not None:
            guest = self._guests.get(output.spectator)
            if guest is None:
                continue
            if isinstance(output, SendToSpectator):
                if guest.open is not None:
                    guest.open.send(Channel.CTRL, output.data)
            else:
                _log.info("spectator %s is dropped: %s", output.spectator, output.reason)
                guest.gone.set()
        self._alarm.set(self._feed.next_timeout())
