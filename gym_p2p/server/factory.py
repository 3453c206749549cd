"""Puts the service together: the machines, what guards them, and the switchboard they are behind.

It knows configuration, and refuses to know Socket.IO servers, ports and HTTP.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

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
from gym_p2p.errors import ConfigurationError
from gym_p2p.files.private import make_folder
from gym_p2p.files.problems import disk_problem
from gym_p2p.server.guard.guards import Admission, Guards
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.guard.tokens import SignedMatchTokens, TokenSigner, UploadClaims, load_secret
from gym_p2p.server.guard.turn import ice_servers_for
from gym_p2p.server.handlers.decision_log import DecisionLog
from gym_p2p.server.handlers.dispatcher import PARTS, Dispatcher, Part
from gym_p2p.server.matches import MatchesFile
from gym_p2p.server.subjects import SubjectsFile, open_pseudonyms
from gym_p2p.server.switchboard import Switchboard

__all__ = ["assemble", "open_secret"]

_RESUME_BYTES = 16  # 128 bits


def assemble(
    config: ServiceConfig,
    secret: bytes,
    *,
    metrics: ServiceMetrics,
    matchmaker: Matchmaker | None = None,
    asks_hook: bool = False,
    parts: Collection[Part] = PARTS,
    host_identifies: bool = False,
) -> Switchboard:
    """Make the machines of one service, and the switchboard in front of them.

    Args:
        config: everything that is plain data.
        secret: of the data directory; signs what the players show of their matches.
        metrics: counts.
        matchmaker: the strategy of the queues; ``None`` is a ``WideningMatchmaker``.
        asks_hook: whether a pre-match hook is asked before a queue's match is made.
        parts: what of a service there is.
        host_identifies: whose a socket is the host says; its sockets are never closed for a newer one.

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
        ask_hook=asks_hook,
        log_decisions=config.log_decisions,
    )
    directory = Path(config.data_dir)
    presence = Presence(
        register_timeout_s=config.register_timeout_s,
        resume_tokens=lambda: secrets.token_urlsafe(_RESUME_BYTES),
        pseudonyms=open_pseudonyms(config.pseudonyms, directory),
        closes_replaced=not host_identifies,
    )
    machines = _machines(config, presence, secret, queues, screens.__getitem__)
    metrics.read_from(machines, screens.values())
    guards = Guards(
        admission=Admission(
            None if config.join_secret is None else config.join_secret.reveal(), config.experiment
        ),
        events=RateLimit(config.events_per_s, config.event_burst),
        joins=RateLimit(config.joins_per_s, config.join_burst),
        metrics=metrics,
    )
    return Switchboard(
        machines,
        Dispatcher(machines, guards, parts=parts, host_identifies=host_identifies),
        metrics=metrics,
        decision_log=DecisionLog(directory / "decisions.jsonl"),
        subjects=SubjectsFile(directory),
    )


def _machines(
    config: ServiceConfig, presence: Presence, secret: bytes, queues: Queues, screen: Callable[[bool], Screen]
) -> Machines:
    matches = MatchesFile(Path(config.data_dir))
    tokens = TokenSigner(secret, UploadClaims)

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
        match_tokens=SignedMatchTokens(secret, config.token_lifetime_s),
        ice_servers=for_matches,
        relay_only=config.relay_only,
        relays=config.relay_messages,
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
