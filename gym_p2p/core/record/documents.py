"""The three documents of a match, built from its log as JSON-ready data.

This module knows the keys that the analysis scripts of this field read; it refuses to know how actions are
encoded (``decode`` is passed in), where documents go, and what time it is. Building changes nothing, and
may go on while another thread appends to the log: see :mod:`gym_p2p.core.record.match_log`.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from gym_p2p.core.record.match_log import (
    DesyncEvent,
    EpisodeLog,
    EpisodeView,
    Health,
    MatchLog,
    PeerLog,
    RollbackEvent,
    plain,
)
from gym_p2p.core.wire.seats import SeatId

__all__ = [
    "SCHEMA_VERSION",
    "Decode",
    "Document",
    "multiplayer_document",
    "session_document",
    "validation_document",
]

SCHEMA_VERSION = 1
"""Raised when a key changes its meaning or goes away; a new key does not raise it."""

Document = dict[str, Any]

Decode = Callable[[int, bytes], Any]
"""``decode(seat index, input)``: an action in the JSON form that its space turns back into the action."""

_MAX_CACHED_ACTIONS = 4096


def session_document(log: MatchLog, now_ms: int, decode: Decode) -> Document:
    """Build the session document: how this player's session went, over all episodes.

    It depends on ``now_ms`` in nothing; the argument is there so that all three builders are called alike.
    """
    del now_ms
    episodes = log.views()
    events = [event for episode in episodes for event in episode.rollbacks]
    totals = log.totals()
    peer = _worst_peer(log)
    return {
        "schemaVersion": SCHEMA_VERSION,
        "gameId": log.game_id,
        "playerId": log.player_id,
        "connection": _connection(peer),
        "inputs": _inputs(log),
        "rollbacks": {
            "count": len(events),
            "maxFrames": max((event.frames for event in events), default=0),
            "events": [_rollback_event(log, event, decode) for event in events],
            "mispredictions": totals.mispredictions,
            "resimulatedFrames": totals.resimulated,
            "stalls": totals.stalls,
        },
        "sync": {
            "p2pHashMismatches": sum(len(episode.desyncs) for episode in episodes),
            "chosen": plain(log.sync),
            "inputDelays": [
                {"episode": episode.number, "frame": frame, "frames": delay}
                for episode in episodes
                for frame, delay in episode.input_delays
            ],
        },
        "quality": {"p2pFallbackTriggered": False, "p2pFallbackFrame": None},
        "frames": {"total": sum(episode.frames for episode in episodes)},
        "reconnection": _reconnection(log, "attempts"),
        **_latency(log, peer),
        "focusLoss": None,
    }


def validation_document(log: MatchLog, now_ms: int, decode: Decode) -> Document:
    """Build the validation document: the newest episode that has a frame, checked frame by frame.

    Hashes have no episode in this document, so it is about one; the multiplayer document has them all.
    """
    episode = _newest_episode(log)
    verified_frames = min(episode.verified_frame + 1, episode.frames)
    names = _names(log.players)
    return {
        "schemaVersion": SCHEMA_VERSION,
        "gameId": log.game_id,
        "playerId": log.player_id,
        "exportTimestamp": log.time(now_ms),
        "episodeNum": episode.number,
        "summary": {
            "totalFrames": episode.frames,
            "verifiedFrame": episode.verified_frame,
            "desyncCount": len(episode.desyncs),
            "hashesComputed": len(episode.hashes),
        },
        "confirmedHashes": [{"frame": frame, "hash": digest} for frame, digest in episode.hashes],
        "verifiedActions": {
            names[player]: [
                {"frame": frame, "action": action}
                for frame, action in enumerate(_actions(episode, seat, verified_frames, decode))
            ]
            for seat, player in enumerate(log.players)
        },
        "desyncEvents": [_desync_event(event, episode) for event in episode.desyncs],
        "reconnection": _reconnection(log, "reconnectionAttempts"),
        **_latency(log, _worst_peer(log)),
        "focusLoss": None,
    }


def multiplayer_document(log: MatchLog, now_ms: int, decode: Decode) -> Document:
    """Build the multiplayer document: every episode, to be compared with the other players'."""
    now_ms = log.time(now_ms)
    peer = _worst_peer(log)
    inputs = _inputs(log)
    return {
        "schemaVersion": SCHEMA_VERSION,
        "gameId": log.game_id,
        "playerId": log.player_id,
        "peerPlayerId": next(iter(log.peers), None),
        "exportTimestamp": now_ms,
        "sessionStartTime": log.session_start_ms,
        "sessionDurationMs": max(0, now_ms - log.session_start_ms),
        "connection": {
            **_connection(peer),
            "p2pConnected": bool(log.peers) and all(peer.linked for peer in log.peers.values()),
            "health": None if peer is None else _health(peer.health),
            "fallback": {"triggered": False, "frame": None},
        },
        "inputDelivery": {**inputs, "p2pReceiveRatio": 100.0 if inputs["receivedViaP2P"] else None},
        "validation": _validation(log, now_ms, decode),
        "sessionStatus": _session_status(log),
        **_latency(log, peer),
        "focusLoss": None,
        "reconnection": _reconnection(log, "attempts"),
        "protocolErrors": dict(log.protocol_errors),
        "probe": plain(log.probe),
        "environment": plain(log.environment),
        "config": plain(log.config),
    }


# Their parts.


def _validation(log: MatchLog, now_ms: int, decode: Decode) -> Document:
    episodes = log.views()
    actions = [entry for episode in episodes for entry in _all_actions(log, episode, decode)]
    hashes = [
        {"episode": episode.number, "frame": frame, "hash": digest}
        for episode in episodes
        for frame, digest in episode.hashes
    ]
    desyncs = [
        {"episode": episode.number, **_desync_event(event, episode), **_states(event, episode)}
        for episode in episodes
        for event in episode.desyncs
    ]
    return {
        "episodes": [_episode_summary(episode, now_ms) for episode in episodes],
        "totalEpisodes": len(episodes),
        "totalHashes": len(hashes),
        "totalActions": len(actions),
        "totalDesyncs": len(desyncs),
        "totalRollbacks": sum(len(episode.rollbacks) for episode in episodes),
        "allHashes": hashes,
        "allActions": actions,
        "allDesyncEvents": desyncs,
        "allRollbacks": [
            {"episode": episode.number, "count": len(episode.rollbacks), "maxFrames": _max_frames(episode)}
            for episode in episodes
            if episode.rollbacks
        ],
    }


def _episode_summary(episode: EpisodeView, now_ms: int) -> Document:
    return {
        "episodeNum": episode.number,
        "totalFrames": episode.frames,
        "confirmedFrame": episode.confirmed_frame,
        "verifiedFrame": episode.verified_frame,
        "hashCount": len(episode.hashes),
        "desyncCount": len(episode.desyncs),
        "rollbackCount": len(episode.rollbacks),
        "maxRollbackFrames": _max_frames(episode),
        "timestamp": now_ms if episode.ended_ms is None else episode.ended_ms,
    }


def _max_frames(episode: EpisodeView) -> int:
    return max((event.frames for event in episode.rollbacks), default=0)


def _all_actions(log: MatchLog, episode: EpisodeView, decode: Decode) -> Iterator[Document]:
    by_seat = [_actions(episode, seat, episode.frames, decode) for seat in range(len(log.players))]
    number, players = episode.number, log.players
    for frame, joint in enumerate(zip(*by_seat, strict=True)):
        for player, action in zip(players, joint, strict=True):
            yield {
                "episode": number,
                "frame": frame,
                "playerId": player,
                "action": action,
                "isFocused": True,
            }


def _actions(episode: EpisodeView, seat: int, frames: int, decode: Decode) -> Iterator[Any]:
    """Yield a seat's actions. Those that are immutable are decoded once, for most games have few."""
    known: dict[bytes, Any] = {}
    for data in islice(episode.seat_inputs[seat], frames):
        if data in known:
            yield known[data]
            continue
        action = plain(decode(seat, data))
        if not isinstance(action, dict | list) and len(known) < _MAX_CACHED_ACTIONS:
            known[data] = action
        yield action


def _session_status(log: MatchLog) -> Document:
    end = log.termination
    return {
        "isPartial": True if end is None else end.partial,
        "terminationReason": None if end is None else end.reason,
        "terminationFrame": None if end is None else end.frame,
        "completedEpisodes": sum(episode.completed for episode in log.episodes.copy()),
        "disconnectedPlayerId": None if end is None else end.disconnected_player,
    }


def _connection(peer: PeerLog | None) -> Document:
    detected = None if peer is None else peer.connection
    details = None if detected is None else detected.details
    return {
        "type": "unknown" if details is None else details.type,
        "connectionDetails": {
            "localCandidateType": details and details.local_candidate_type,
            "remoteCandidateType": details and details.remote_candidate_type,
            "protocol": details and details.protocol,
            "relayProtocol": details and details.relay_protocol,
            "detectedAtFrame": None if detected is None else detected.frame,
            "timestamp": None if detected is None else detected.timestamp_ms,
        },
    }


def _health(health: Health | None) -> Document | None:
    if health is None:
        return None
    return {
        "rtt": health.rtt_ms,
        "latency": health.latency_ms,
        "packetsReceived": health.packets_received,
        "gapCount": health.gap_count,
        "status": health.status,
    }


def _inputs(log: MatchLog) -> Document:
    return {
        "sentViaP2P": log.inputs_sent,
        "sentViaSocketIO": 0,
        "receivedViaP2P": log.inputs_received,
        "receivedViaSocketIO": 0,
    }


def _reconnection(log: MatchLog, attempts_key: str) -> Document:
    attempts = log.attempts.copy()
    return {
        "disconnections": [
            {
                "timestamp": event.timestamp_ms,
                "frame": event.frame,
                "detectingPeer": event.detecting_peer,
                "iceState": event.ice_state,
                "dcState": event.dc_state,
            }
            for event in log.disconnections.copy()
        ],
        attempts_key: [
            {
                "timestamp": attempt.timestamp_ms,
                "duration": attempt.duration_ms,
                "outcome": attempt.outcome,
                "attempts": attempt.attempts,
            }
            for attempt in attempts
        ],
        "totalPauseDurationMs": sum(attempt.duration_ms for attempt in attempts),
    }


def _latency(log: MatchLog, worst: PeerLog | None) -> Document:
    names = _names(log.peers)
    return {
        "latency": None if worst is None else worst.series.statistics(),
        "latencyByPeer": {names[player]: peer.series.statistics() for player, peer in log.peers.items()},
    }


def _worst_peer(log: MatchLog) -> PeerLog | None:
    """Return the link with the highest median round trip, or else the first one."""

    def median(peer: PeerLog) -> float:
        stats = peer.series.statistics()
        return -1.0 if stats is None else float(stats["medianMs"])

    return max(log.peers.values(), key=median, default=None)


def _newest_episode(log: MatchLog) -> EpisodeView:
    episodes = log.views() or [EpisodeLog(1, tuple([] for _ in log.players)).view()]
    return next((episode for episode in reversed(episodes) if episode.frames), episodes[-1])


def _desync_event(event: DesyncEvent, episode: EpisodeView) -> Document:
    dump = episode.dumps.get(event.frame)
    rows = [] if dump is None else dump.differences
    return {
        "frame": event.frame,
        "ourHash": event.ours,
        "peerHash": event.theirs,
        "timestamp": event.timestamp_ms,
        "verifiedFrameAtDesync": event.verified_frame,
        "hasStateDump": dump is not None,
        "stateDifferences": [{"path": path, "ours": ours, "theirs": theirs} for path, ours, theirs in rows],
    }


def _states(event: DesyncEvent, episode: EpisodeView) -> Document:
    """Return both states of a frame, whole; ``None`` where they were not exchanged."""
    dump = episode.dumps.get(event.frame)
    return {"states": None if dump is None else {"ours": dump.ours, "theirs": dump.theirs}}


def _rollback_event(log: MatchLog, event: RollbackEvent, decode: Decode) -> Document:
    seat = log.players.index(event.player)
    return {
        "frame": event.frame,
        "currentFrame": event.current_frame,
        "rollbackFrames": event.frames,
        "playerId": event.player,
        "predictedAction": plain(decode(seat, event.predicted)),
        "actualAction": plain(decode(seat, event.actual)),
        "timestamp": event.timestamp_ms,
    }


def _names(players: Iterable[SeatId]) -> dict[SeatId, str]:
    """Return the JSON key of every player: his id as text; where 1 and "1" both play, in JSON's notation."""
    players = list(players)
    texts = collections.Counter(str(player) for player in players)
    return {player: str(player) if texts[str(player)] == 1 else json.dumps(player) for player in players}
