"""What happened to the players of one match, as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gym_p2p.study.match.facts import MatchFacts
from gym_p2p.study.reading import document_parts as parts
from gym_p2p.study.reading import seat_parts
from gym_p2p.study.reading.accounts import Account
from gym_p2p.study.tables.arrow import json_text, whole_ms

__all__ = ["event_rows"]


def event_rows(facts: MatchFacts) -> list[dict[str, Any]]:
    """Return every event of a match, by player and time."""
    rows = []
    for account in facts.accounts:
        own = [row for source in _SOURCES for row in source(account)]
        own += _actors(account, facts.seat_players)
        for row in own:
            at = whole_ms(row.pop("at", None))
            t_ms = None if at is None or account.started_ms is None else at - round(account.started_ms)
            rows.append({"match": facts.match, "player": account.player, **row, "at": at, "t_ms": t_ms})
    return sorted(rows, key=lambda row: (row["player"], row["at"] is None, row["at"] or 0))


def _rollbacks(account: Account) -> Iterator[dict[str, Any]]:
    told = account.rollbacks
    if told is None:
        return
    for number, event in zip(account.rollback_episodes, told.events, strict=True):
        guess = {"predicted": event.predicted_action, "actual": event.actual_action}
        yield {
            "kind": "rollback",
            "episode": number,
            "frame": event.frame,
            "at": event.timestamp,
            "other": account.names.or_none(event.player_id),
            "value": event.rollback_frames,
            "detail": json_text(guess),
        }
    if told.stalls:
        yield {"kind": "stalls", "value": told.stalls, "at": account.ended_ms}


def _outages(account: Account) -> Iterator[dict[str, Any]]:
    for peer, link in account.latency.items():
        for outage in link.outages if link is not None else ():
            length = None if outage.end_ms is None else outage.end_ms - outage.start_ms
            yield {"kind": "outage", "other": peer, "at": outage.start_ms, "duration_ms": length}


def _broken(account: Account) -> Iterator[dict[str, Any]]:
    told = account.reconnection
    if told is None:
        return
    for lost in told.disconnections:
        states = {"iceState": lost.ice_state, "dcState": lost.dc_state}
        yield {
            "kind": "disconnection",
            "frame": lost.frame,
            "at": lost.timestamp,
            "other": account.names.or_none(lost.other_peer),
            "detail": json_text(states),
        }
    for attempt in told.attempts:
        detail = {
            "outcome": attempt.outcome,
            "over": attempt.over,
            "localCandidateType": attempt.local_candidate_type,
            "remoteCandidateType": attempt.remote_candidate_type,
        }
        yield {
            "kind": "reconnection",
            "at": attempt.timestamp,
            "duration_ms": attempt.duration,
            "other": account.names.or_none(attempt.other_peer),
            "value": attempt.attempts,
            "detail": json_text(detail),
        }


def _paths(account: Account) -> Iterator[dict[str, Any]]:
    for peer, paths in account.connection_paths.items():
        for one in paths:
            path, ways = one.connection_details or parts.Path(), one.game_transport_counts
            detail = {
                "type": one.type,
                "localCandidateType": path.local_candidate_type,
                "remoteCandidateType": path.remote_candidate_type,
                "gameTransport": one.game_transport,
            }
            yield {
                "kind": "path",
                "frame": path.detected_at_frame,
                "at": path.timestamp,
                "other": peer,
                "value": ways and ways.returns,
                "detail": json_text(detail),
            }


def _focus(account: Account) -> Iterator[dict[str, Any]]:
    told = account.part("focus_loss", seat_parts.Focus)
    for period in told.background_periods if told is not None else ():
        yield {"kind": "focus", "at": period.start, "duration_ms": period.end - period.start}


def _desyncs(account: Account) -> Iterator[dict[str, Any]]:
    for event in account.desyncs:
        detail = {
            "differsIn": event.differs_in,
            "ourHash": event.our_hash,
            "peerHash": event.peer_hash,
            "verifiedFrame": event.verified_frame_at_desync,
            "stateDifferences": event.state_differences,
        }
        yield {
            "kind": "desync",
            "episode": event.episode,
            "frame": event.frame,
            "at": event.timestamp,
            "detail": json_text(detail),
        }


def _input_delays(account: Account) -> Iterator[dict[str, Any]]:
    for delay in account.sync.input_delays if account.sync is not None else ():
        yield {"kind": "input_delay", "episode": delay.episode, "frame": delay.frame, "value": delay.frames}


def _clock_offsets(account: Account) -> Iterator[dict[str, Any]]:
    for peer, offsets in account.clock_offsets.items():
        for one in offsets:
            bound = {"boundMs": one.bound_ms}
            yield {
                "kind": "clock_offset",
                "other": peer,
                "at": one.timestamp,
                "value": one.offset_ms,
                "detail": json_text(bound),
            }


def _protocol_errors(account: Account) -> Iterator[dict[str, Any]]:
    for problem, count in account.protocol_errors.items():
        yield {"kind": "protocol_error", "value": count, "detail": json_text({"problem": problem})}


def _refusals(account: Account) -> Iterator[dict[str, Any]]:
    told = account.upload
    if told is not None and told.problem is not None:
        detail = {"state": told.state, "problem": told.problem, "command": told.command}
        yield {"kind": "refusal", "at": account.ended_ms, "detail": json_text(detail)}


def _departures(account: Account) -> Iterator[dict[str, Any]]:
    for one in account.part("departures", list[parts.Departure]) or ():
        detail = {
            "reason": one.reason,
            "statedReason": one.stated_reason,
            "source": one.source,
            "sourcePlayer": account.names.or_none(one.source_player_id),
            "lostPlayer": account.names.or_none(one.lost_player_id),
        }
        yield {
            "kind": "departure",
            "frame": one.frame,
            "at": one.timestamp,
            "other": account.names.or_none(one.player_id),
            "detail": json_text(detail),
        }


def _pauses(account: Account) -> Iterator[dict[str, Any]]:
    for one in account.part("pauses", list[parts.Pause]) or ():
        players = [account.names(player) for player in one.player_ids]
        detail = {"players": players, "reason": one.reason, "limitMs": one.limit_ms}
        yield {
            "kind": "pause",
            "frame": one.frame,
            "at": one.timestamp,
            "duration_ms": one.duration_ms,
            "other": players[0] if len(players) == 1 else None,
            "detail": json_text(detail),
        }


def _end(account: Account) -> Iterator[dict[str, Any]]:
    status = account.status
    if status.termination_reason is not None:
        yield {
            "kind": "end",
            "frame": status.termination_frame,
            "at": account.ended_ms,
            "other": account.names.or_none(status.disconnected_player_id),
            "detail": json_text({"reason": status.termination_reason}),
        }


def _actors(account: Account, seat_players: dict[str, str]) -> Iterator[dict[str, Any]]:
    for number, episode in account.episodes.items():
        for seat, runs in (episode.actors or {}).items():
            for first, count, who in runs:
                yield {
                    "kind": "actor",
                    "episode": number,
                    "frame": first,
                    "other": seat_players.get(seat),
                    "value": count,
                    "detail": json_text({"seat": seat, "actor": who}),
                }


_SOURCES = (
    _rollbacks,
    _outages,
    _broken,
    _paths,
    _focus,
    _desyncs,
    _input_delays,
    _clock_offsets,
    _protocol_errors,
    _refusals,
    _departures,
    _pauses,
    _end,
)
