"""The aggregate of a match: every player's multiplayer document, compared frame by frame.

A pure function over documents that players sent, so nothing in them is trusted to have the right shape.
Frames are compared by (episode, frame) alone: the players' clocks play no part. It knows the documents'
keys, and refuses to know where they are stored.

A frame is *compared* when at least two players recorded it, and *matches* when all of those recorded the
same. Actions are compared by value, an action being named by (episode, frame, acting player).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gym_p2p.core.record.aggregate_results import compare_results, participants
from gym_p2p.core.record.building import unique_names
from gym_p2p.core.record.parts import SCHEMA_VERSION
from gym_p2p.core.record.recorded_frames import Account, Comparison, Track, compare
from gym_p2p.core.wire.seats import SeatId

__all__ = ["aggregate"]

_Document = Mapping[str, Any]

_EVERY_SAMPLE = {"samples", "series"}
"""Of a latency's keys, those that are in the players' documents alone."""


def aggregate(
    documents: Mapping[SeatId, Callable[[], _Document | bytes]],
    *,
    game_id: str,
    aggregated_at_ms: float,
    subjects: Mapping[SeatId, str] | None = None,
) -> dict[str, Any]:
    """Compare the multiplayer documents of all players of a match.

    Args:
        documents: what reads the multiplayer document of every player, or its JSON; by player id, in seat
            order. One is read at a time, and let go of.
        game_id: the match.
        aggregated_at_ms: Unix time in milliseconds.
        subjects: who the players are to the service; ``None`` or without one of them where it does not know,
            and each one's own account counts.

    Returns:
        The JSON-ready aggregate. ``summary.hashesMatch`` and ``summary.actionsMatch`` need at least one
        matching frame: players who recorded nothing in common have not been shown to agree.
        ``summary.resultsMatch`` is ``None`` where there was nothing to compare.

    Raises:
        ProtocolError: a document has not the shape of a multiplayer document.
    """
    accounts = {player: Account.of(read()) for player, read in documents.items()}
    names = unique_names(accounts, quoted=repr)
    hashes = compare({names[player]: account.hashes for player, account in accounts.items()})
    by_actor = _by_actor(names, accounts)
    actions = _together(names.values(), by_actor.values())
    rest = {player: account.rest for player, account in accounts.items()}
    results = compare_results(names, rest)
    return {
        "schemaVersion": SCHEMA_VERSION,
        "gameId": game_id,
        "aggregatedAt": aggregated_at_ms,
        "summary": {**_summary(hashes, actions), "resultsMatch": _results_match(results)},
        "participants": participants(names, rest, subjects or {}),
        "results": results,
        "players": {names[player]: _player(player, one) for player, one in rest.items()},
        "validation": {
            "hashSummary": _frames_summary(hashes),
            "actionSummary": {
                **_frames_summary(actions),
                "byPlayer": {
                    name: {"matchingFrames": one.matching, "mismatchingFrames": len(one.mismatching)}
                    for name, one in by_actor.items()
                    if one.compared
                },
            },
        },
        "desyncEvents": {names[p]: account.desync_events for p, account in accounts.items()},
        "rollbacks": {names[p]: account.rollbacks for p, account in accounts.items()},
    }


def _frames_summary(comparison: Comparison) -> dict[str, Any]:
    compared = comparison.compared
    return {
        "totalFramesCompared": compared,
        "matchingFrames": comparison.matching,
        "mismatchingFrames": len(comparison.mismatching),
        "onlyIn": dict(comparison.only_in),
        "matchRate": 100.0 * comparison.matching / compared if compared else None,
    }


def _by_actor(names: Mapping[SeatId, str], accounts: Mapping[SeatId, Account]) -> dict[str, Comparison]:
    """Compare the actions of each acting player, by their name."""
    actors = dict.fromkeys(actor for account in accounts.values() for actor in account.actions)
    nothing = Track()
    return {
        names.get(actor, str(actor)): compare(
            {names[player]: account.actions.get(actor, nothing) for player, account in accounts.items()}
        )
        for actor in actors
    }


def _together(names: Iterable[str], comparisons: Iterable[Comparison]) -> Comparison:
    """Return several comparisons as one."""
    matching, mismatching, only_in = 0, array("q"), dict.fromkeys(names, 0)
    for one in comparisons:
        matching += one.matching
        mismatching.extend(one.mismatching)
        for name, count in one.only_in.items():
            only_in[name] += count
    return Comparison(matching, mismatching, only_in)


def _match(comparison: Comparison) -> bool:
    return comparison.matching > 0 and not comparison.mismatching


def _summary(hashes: Comparison, actions: Comparison) -> dict[str, Any]:
    hash_frames, action_frames = (Comparison.divergences(one.mismatching) for one in (hashes, actions))
    return {
        "fullySynced": _match(hashes) and _match(actions),
        "hashesMatch": _match(hashes),
        "actionsMatch": _match(actions),
        "totalHashesCompared": hashes.compared,
        "totalActionsCompared": actions.compared,
        "firstHashMismatchFrame": hash_frames[0] if hash_frames else None,
        "firstActionMismatchFrame": action_frames[0] if action_frames else None,
        "hashDivergenceFrames": hash_frames,
        "actionDivergenceFrames": action_frames,
    }


def _results_match(results: Mapping[str, Any]) -> bool | None:
    compared = [episode for episode in results["episodes"] if episode["returnsMatch"] is not None]
    return not results["disagreements"] if compared or results["disagreements"] else None


def _player(player: SeatId, document: _Document) -> dict[str, Any]:
    latency = document.get("latency")
    stats = (
        {k: v for k, v in latency.items() if k not in _EVERY_SAMPLE} if isinstance(latency, Mapping) else None
    )
    return {
        "playerId": player,
        "connection": document.get("connection"),
        "inputDelivery": document.get("inputDelivery"),
        "sessionStatus": document.get("sessionStatus"),
        "departures": document.get("departures"),
        "sessionDurationMs": document.get("sessionDurationMs"),
        "latency": stats,
    }
