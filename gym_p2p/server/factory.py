"""Puts the service together: the machines, what guards them, and the Socket.IO server they are behind.

It knows configuration, and refuses to know ports and HTTP. :func:`mount` is for a host's own server.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
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
from gym_p2p.core.signaling.sdp_filter import Screen, SignalScreen
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, UsageError
from gym_p2p.files.private import make_folder
from gym_p2p.files.problems import disk_problem
from gym_p2p.server.guard.guards import Admission, Guards
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.guard.tokens import TokenSigner, UploadClaims, load_secret
from gym_p2p.server.guard.turn import ice_servers_for
from gym_p2p.server.handlers.decision_log import DecisionLog
from gym_p2p.server.handlers.dispatcher import Dispatcher
from gym_p2p.server.handlers.hooks import HookCaller, PreMatchHook
from gym_p2p.server.handlers.service import SignalingService
from gym_p2p.server.matches import MatchesFile
from gym_p2p.server.subjects import SubjectsFile, open_pseudonyms

__all__ = ["assemble", "mount", "open_secret"]

_RESUME_BYTES = 16  # 128 bits


def assemble(
    sio: socketio.AsyncServer,
    config: ServiceConfig,
    tokens: TokenSigner[UploadClaims],
    *,
    metrics: ServiceMetrics,
    matchmaker: Matchmaker | None,
    pre_match: PreMatchHook | None,
) -> SignalingService:
    """Put the machines of one service behind a Socket.IO server; not started yet.

    Args:
        sio: the server.
        config: everything that is plain data.
        tokens: signs the players' upload tokens.
        metrics: counts.
        matchmaker: the strategy of the queues; ``None`` is a ``WideningMatchmaker``.
        pre_match: asked before a queue's match is made.

    Raises:
        TypeError: ``matchmaker`` is none.
        ConfigurationError: there is something wrong with the pseudonyms.
    """
    private = config.passes_private_candidates
    screens = {
        relay_only: SignalScreen(CandidatePolicy(private=private, relay_only=relay_only))
        for relay_only in (False, True)
    }
    queues = Queues(
        require_matchmaker(WideningMatchmaker() if matchmaker is None else matchmaker),
        config=config.matchmaking,
        ask_hook=pre_match is not None,
        log_decisions=config.log_decisions,
    )
    directory = Path(config.data_dir)
    presence = Presence(
        register_timeout_s=config.register_timeout_s,
        resume_tokens=lambda: secrets.token_urlsafe(_RESUME_BYTES),
        pseudonyms=open_pseudonyms(config.pseudonyms, directory),
    )
    machines = _machines(config, presence, tokens, queues, screens.__getitem__)
    metrics.read_from(machines, screens.values())
    guards = Guards(
        admission=Admission(
            None if config.join_secret is None else config.join_secret.reveal(), config.experiment
        ),
        events=RateLimit(config.events_per_s, config.event_burst),
        joins=RateLimit(config.joins_per_s, config.join_burst),
        metrics=metrics,
    )
    return SignalingService(
        sio,
        machines,
        Dispatcher(machines, guards),
        metrics=metrics,
        hook=None if pre_match is None else HookCaller(pre_match, config.matchmaking.hook_timeout_s),
        decision_log=DecisionLog(directory / "decisions.jsonl"),
        subjects=SubjectsFile(directory),
    )


def _machines(
    config: ServiceConfig,
    presence: Presence,
    tokens: TokenSigner[UploadClaims],
    queues: Queues,
    screen: Callable[[bool], Screen],
) -> Machines:
    matches = MatchesFile(Path(config.data_dir))

    def issue_token(match_id: str, player_id: SeatId, subjects: Mapping[SeatId, str], folder: str) -> str:
        now = time.time()
        claims = UploadClaims(
            match_id=match_id,
            player_id=player_id,
            player_ids=tuple(subjects),
            subject_ids=tuple(subjects.values()),
            expires_at=now + config.token_lifetime_s,
            folder=folder,
            made_at=now,
        )
        if player_id == claims.player_ids[0]:
            matches.keep(claims)
        return tokens.issue(claims)

    for_matches = ice_servers_for(config, config.turn_match_lifetime_s)
    rooms = Rooms(
        presence,
        match_ids=lambda: f"match-{secrets.token_hex(16)}",
        seeds=lambda: secrets.randbits(32),
        now_ms=lambda: round(time.time() * 1000),
        issue_token=issue_token,
        ice_servers=for_matches,
        relay_only=config.relay_only,
        screen=screen,
    )
    spectators = Spectators(
        rooms, watch_ids=lambda: f"spectator-{secrets.token_hex(16)}", ice_servers=for_matches, screen=screen
    )
    probes = ProbeRegistry(
        presence,
        probe_ids=lambda: f"probe_{uuid.uuid4()}",
        ice_servers=ice_servers_for(config, config.turn_probe_lifetime_s),
        relay_only=config.relay_only,
        screen=screen,
    )
    return Machines(presence=presence, rooms=rooms, spectators=spectators, probes=probes, queues=queues)


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
        UsageError: the server handles one client's events in any order, or no event loop runs here.
        ConfigurationError: the data directory cannot be written.
    """
    if sio.async_handlers:
        raise UsageError("wanted an AsyncServer(async_handlers=False): one client's events need their order")
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            "mount() runs the service's clocks on the running event loop, and none runs here: call it from a "
            "coroutine, such as the host's startup"
        ) from None
    config = ServiceConfig() if config is None else config
    tokens = TokenSigner(open_secret(Path(config.data_dir)), UploadClaims)
    service = assemble(
        sio, config, tokens, metrics=ServiceMetrics(), matchmaker=matchmaker, pre_match=pre_match
    )
    service.start()
    return service


def open_secret(directory: Path) -> bytes:
    """Return the secret of a data directory, which is made if need be.

    Raises:
        ConfigurationError: it cannot be used.
    """
    try:
        make_folder(directory)
        return load_secret(directory)
    except OSError as error:
        raise ConfigurationError("data_dir", f"cannot use {directory}: {disk_problem(error)}") from error
