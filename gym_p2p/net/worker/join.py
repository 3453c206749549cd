"""How one player comes to a match: signs in, takes seats in a room or a place in a queue, waits.

In a queue it takes part in the probes that the service asks for, over the same kind of link as the match to
come. It knows the signalling client; refuses to know connections of the match.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable

from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.queues import MatchProposed, QueueStatus
from gym_p2p.core.api.rooms import MatchFound, RoomStatus
from gym_p2p.errors import ConnectFailed
from gym_p2p.net.client.events import LineChanged
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.net.probing.manager import ProbeManager
from gym_p2p.net.worker.messages import JoinEvent, PlayerPlan, ServiceReachable

__all__ = ["Meeting"]

SIGN_IN_TIMEOUT_S = 10.0


class Meeting:
    """One player's way to a match.

    Args:
        plan: which room or queue, and which seats.
        client: not connected yet; closed by the caller.
        emit: takes what happens on the way.
    """

    def __init__(self, plan: PlayerPlan, client: SignalingClient, emit: Callable[[JoinEvent], None]) -> None:
        self._plan = plan
        self._client = client
        self._emit = emit

    async def find_match(self) -> MatchFound:
        """Return the match.

        Raises:
            ServiceUnreachable, ServiceRefused: there is no service, or it would not.
            ConnectFailed: nobody came in time.
            NoMatch: the queue gave up.
        """
        config = self._plan.config
        await self._client.connect(
            config.server_url, self._plan.subject_id, timeout_s=SIGN_IN_TIMEOUT_S, token=config.token
        )
        self._client.events.listen(LineChanged, self._on_line)
        try:
            if config.queue is None:
                return await self._from_room()
            return await self._from_queue(config.queue)
        finally:
            self._client.events.ignore(LineChanged, self._on_line)  # a running match does not need it

    def _on_line(self, changed: LineChanged) -> None:
        self._emit(ServiceReachable(changed.up))

    async def _from_room(self) -> MatchFound:
        plan, client = self._plan, self._client
        client.events.listen(RoomStatus, self._emit)
        spectators = plan.config.spectators
        ack = await client.join_room(plan.config.room, plan.seats, plan.take, spectators=spectators)
        self._emit(ack)
        return await client.wait_for_match(plan.config.sync.room_timeout_s)

    async def _from_queue(self, queue: str) -> MatchFound:
        plan, client = self._plan, self._client
        client.events.listen(QueueStatus, self._emit)
        client.events.listen(MatchProposed, self._emit)
        take = None if plan.take is None else plan.take[0]
        ticket = QueueTicket(
            queue=queue,
            seats=plan.seats,
            take=take,
            asks=plan.votes,
            spectators=plan.config.spectators,
            plays=_digest(plan.description.get("must")),
        )
        probes = ProbeManager(client, client.subject_id, link=plan.config.link)
        try:
            ack = await client.join_queue(ticket)
            self._emit(ack)
            return await client.wait_for_match(plan.config.sync.room_timeout_s)
        except (asyncio.CancelledError, ConnectFailed):
            await client.leave()  # no place is kept for one who goes of their own accord
            raise
        finally:
            await probes.close()


def _digest(must: object) -> str:
    """Return a short text that is equal for players whose handshakes would agree."""
    return hashlib.blake2b(json.dumps(must, sort_keys=True).encode(), digest_size=8).hexdigest()
