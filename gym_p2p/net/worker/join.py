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
from gym_p2p.core.api.rooms import MatchFound, RoomStatus, TurnedAway
from gym_p2p.errors import ConnectFailed
from gym_p2p.net.client.events import LineChanged
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.net.probing.manager import ProbeManager
from gym_p2p.net.worker.messages import JoinEvent, PlayerPlan, Resumable, ServiceReachable

__all__ = ["SIGN_IN_TIMEOUT_S", "find_match"]

SIGN_IN_TIMEOUT_S = 10.0


async def find_match(
    plan: PlayerPlan, client: SignalingClient, emit: Callable[[JoinEvent], None]
) -> MatchFound:
    """Return the match, the one that is taken up again at once; ``client`` is closed by the caller.

    Who comes back to one waits for a service that is away as long as the others wait for them. Until
    the client is closed its line is told of, during the match as well.

    Raises:
        ServiceUnreachable, ServiceRefused: there is no service, or it would not.
        ConnectFailed: nobody came in time.
        NoMatch: the queue gave up.
    """
    config, returns = plan.config, plan.returns
    await client.connect(
        config.server_url,
        plan.subject_id,
        timeout_s=SIGN_IN_TIMEOUT_S,
        token=config.token,
        resume_token=None if returns is None else returns.resume_token,
        match=None if returns is None else returns.found,
        patience_s=0.0 if returns is None else config.sync.rejoin_timeout_s,
    )
    client.events.listen(LineChanged, _LineReport(client, emit).changed)
    if returns is not None:
        return returns.found
    client.events.listen(TurnedAway, emit)
    if config.queue is None:
        return await _from_room(plan, client, emit)
    return await _from_queue(config.queue, plan, client, emit)


class _LineReport:
    """Tells of the line to the service, for as long as there is a client.

    How long it was away, and by what the next one takes its place: an event has one listener.
    """

    def __init__(self, client: SignalingClient, emit: Callable[[JoinEvent], None]) -> None:
        self._client = client
        self._emit = emit
        self._since: float | None = None

    def changed(self, line: LineChanged) -> None:
        now = asyncio.get_running_loop().time()
        if not line.up:
            self._since = now
        self._emit(ServiceReachable(line.up, None if self._since is None else now - self._since))
        if line.up and self._client.match is not None:
            self._emit(Resumable(self._client.resume_token))


async def _from_room(
    plan: PlayerPlan, client: SignalingClient, emit: Callable[[JoinEvent], None]
) -> MatchFound:
    config = plan.config
    client.events.listen(RoomStatus, emit)
    emit(await client.join_room(config.room, plan.seats, plan.take, spectators=config.spectators))
    return await client.wait_for_match(config.sync.room_timeout_s)


async def _from_queue(
    queue: str, plan: PlayerPlan, client: SignalingClient, emit: Callable[[JoinEvent], None]
) -> MatchFound:
    client.events.listen(QueueStatus, emit)
    client.events.listen(MatchProposed, emit)
    ticket = QueueTicket(
        queue=queue,
        seats=plan.seats,
        take=None if plan.take is None else plan.take[0],
        asks=plan.votes,
        spectators=plan.config.spectators,
        page_rtt_ms=plan.page_rtt_ms,
        plays=_digest(plan.description.get("must")),
    )
    probes = ProbeManager(client, client.subject_id, link=plan.config.link)
    try:
        emit(await client.join_queue(ticket))
        return await client.wait_for_match(plan.config.sync.room_timeout_s)
    except (asyncio.CancelledError, ConnectFailed):
        await client.leave()  # no place is kept for one who goes of their own accord
        raise
    finally:
        await probes.close()


def _digest(must: object) -> str:
    """Return a short text that is equal for players whose handshakes would agree."""
    return hashlib.blake2b(json.dumps(must, sort_keys=True).encode(), digest_size=8).hexdigest()
