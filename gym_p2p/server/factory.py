"""Puts the service together: the machines, what guards them, and the Socket.IO server they are behind.

:class:`Assembly` makes the machines of one configuration; :func:`mount` puts them on a Socket.IO server of a
host's own. It knows configuration, and refuses to know ports and HTTP.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import socketio

from gym_p2p.config import ServiceConfig
from gym_p2p.core.matchmaking.queues import Queues
from gym_p2p.core.matchmaking.strategy import Matchmaker, require_matchmaker
from gym_p2p.core.matchmaking.widening import WideningMatchmaker
from gym_p2p.core.presence.presence import Presence
from gym_p2p.core.presence.rate_limits import RateLimit
from gym_p2p.core.probing.registry import ProbeRegistry
from gym_p2p.core.service.machines import Machines
from gym_p2p.core.service.rooms import Rooms
from gym_p2p.core.service.spectators import Spectators
from gym_p2p.core.signaling.ice_candidates import CandidatePolicy
from gym_p2p.core.signaling.sdp_filter import SignalScreen
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, UsageError
from gym_p2p.server.guard.admission import Admission
from gym_p2p.server.guard.guards import Guards
from gym_p2p.server.guard.metrics import Counts, QueueRow, ServiceMetrics
from gym_p2p.server.guard.tokens import TokenSigner, UploadClaims, load_secret
from gym_p2p.server.guard.turn import ice_servers_for
from gym_p2p.server.handlers.decision_log import DecisionLog
from gym_p2p.server.handlers.dispatcher import Dispatcher
from gym_p2p.server.handlers.hooks import HookCaller, PreMatchHook
from gym_p2p.server.handlers.service import SignalingService

__all__ = ["Assembly", "mount", "open_secret"]

_RESUME_BYTES = 16  # 128 bits


class Assembly:
    """The machines of one service.

    Args:
        config: everything that is plain data.
        tokens: signs the players' upload tokens.
        metrics: counts.
        matchmaker: the strategy of the queues; ``None`` is a ``WideningMatchmaker``.
        pre_match: asked before a queue's match is made.

    Attributes:
        machines: all of them.

    Raises:
        TypeError: ``matchmaker`` is none.
    """

    def __init__(
        self,
        config: ServiceConfig,
        tokens: TokenSigner[UploadClaims],
        *,
        metrics: ServiceMetrics,
        matchmaker: Matchmaker | None = None,
        pre_match: PreMatchHook | None = None,
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._pre_match = pre_match
        private = config.passes_private_candidates
        self._screens = {
            relay_only: SignalScreen(CandidatePolicy(private=private, relay_only=relay_only))
            for relay_only in (False, True)
        }
        presence = Presence(
            register_timeout_s=config.register_timeout_s,
            resume_tokens=lambda: secrets.token_urlsafe(_RESUME_BYTES),
        )
        rooms = Rooms(
            presence,
            match_ids=lambda: f"match-{secrets.token_hex(16)}",
            seeds=lambda: secrets.randbits(32),
            issue_token=_token_issuer(tokens, config.token_lifetime_s),
            ice_servers=ice_servers_for(config, config.turn_match_lifetime_s),
            relay_only=config.relay_only,
            screen=self._screens.__getitem__,
        )
        spectators = Spectators(
            rooms,
            watch_ids=lambda: f"spectator-{secrets.token_hex(16)}",
            ice_servers=ice_servers_for(config, config.turn_match_lifetime_s),
            screen=self._screens.__getitem__,
        )
        probes = ProbeRegistry(
            presence,
            probe_ids=lambda: f"probe_{uuid.uuid4()}",
            ice_servers=ice_servers_for(config, config.turn_probe_lifetime_s),
            relay_only=config.relay_only,
            screen=self._screens.__getitem__,
        )
        queues = Queues(
            require_matchmaker(WideningMatchmaker() if matchmaker is None else matchmaker),
            config=config.matchmaking,
            ask_hook=pre_match is not None,
            log_decisions=config.log_decisions,
        )
        self.machines = Machines(
            presence=presence, rooms=rooms, spectators=spectators, probes=probes, queues=queues
        )

    def on(self, sio: socketio.AsyncServer) -> SignalingService:
        """Return the machines behind a Socket.IO server; not started yet."""
        config, hook = self._config, self._pre_match
        guards = Guards(
            admission=Admission(config.join_secret, config.experiment),
            events=RateLimit(config.events_per_s, config.event_burst),
            joins=RateLimit(config.joins_per_s, config.join_burst),
            metrics=self._metrics,
        )
        machines = self.machines
        self._metrics.counts = Counts(
            connections=lambda: machines.presence.socket_count,
            matches=lambda: machines.rooms.match_count,
            probes=lambda: machines.probes.active_count,
            queues=self._queue_rows,
            dropped_candidates=lambda: sum((s.dropped for s in self._screens.values()), Counter[str]()),
        )
        return SignalingService(
            sio,
            machines,
            Dispatcher(machines, guards),
            metrics=self._metrics,
            hook=None if hook is None else HookCaller(hook, config.matchmaking.hook_timeout_s),
            decision_log=DecisionLog(Path(config.data_dir) / "decisions.jsonl"),
        )

    def _queue_rows(self) -> list[QueueRow]:
        waits = self.machines.queues.waits(time.monotonic())
        return [QueueRow(queue=name, tickets=count, oldest_s=wait) for name, (count, wait) in waits.items()]


def mount(
    sio: socketio.AsyncServer,
    config: ServiceConfig | None = None,
    *,
    matchmaker: Matchmaker | None = None,
    pre_match: PreMatchHook | None = None,
) -> SignalingService:
    """Put rooms, probes and queues on a Socket.IO server of a host's own, on its running event loop.

    The host keeps its events: its ``connect`` and ``disconnect`` handlers, if it has registered them before,
    are called after ours, and what ``connect`` refuses is refused. Its port, its limits on frames and its
    uploads stay its own.

    Args:
        sio: the host's server, with ``async_handlers=False``, so that one client's events keep their order.
        config: everything that is plain data; host, port and uploads do not count here.
        matchmaker: the strategy of the queues; ``None`` is a ``WideningMatchmaker``.
        pre_match: asked before a queue's match is made.

    Returns:
        What to call ``await service.probe(a, b)`` on; the caller must ``await service.stop()`` when done.

    Raises:
        UsageError: the server handles one client's events in any order.
        ConfigurationError: the data directory cannot be written.
    """
    if sio.async_handlers:
        raise UsageError("wanted an AsyncServer(async_handlers=False): one client's events need their order")
    config = ServiceConfig() if config is None else config
    tokens = TokenSigner(open_secret(Path(config.data_dir)), UploadClaims)
    assembly = Assembly(config, tokens, metrics=ServiceMetrics(), matchmaker=matchmaker, pre_match=pre_match)
    service = assembly.on(sio)
    service.start()
    return service


def open_secret(directory: Path) -> bytes:
    """Return the secret of a data directory, which is made if need be.

    Raises:
        ConfigurationError: it cannot be used.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return load_secret(directory)
    except OSError as error:
        raise ConfigurationError("data_dir", f"cannot use {directory}: {error.strerror or error}") from error


def _token_issuer(
    tokens: TokenSigner[UploadClaims], lifetime_s: float
) -> Callable[[str, SeatId, tuple[SeatId, ...]], str]:
    def issue(match_id: str, player_id: SeatId, player_ids: tuple[SeatId, ...]) -> str:
        claims = UploadClaims(
            match_id=match_id,
            player_id=player_id,
            player_ids=player_ids,
            expires_at=time.time() + lifetime_s,
        )
        return tokens.issue(claims)

    return issue
