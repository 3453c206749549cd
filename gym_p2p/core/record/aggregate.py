"""The aggregate of a match: every player's multiplayer document, compared frame by frame.

A pure function over documents that players sent, so nothing in them is trusted to have the right shape.
Frames are compared by (episode, frame) alone: the players' clocks play no part. It knows the documents'
keys, and refuses to know where they are stored.

A frame is *compared* when at least two players recorded it, and *matches* when all of those recorded the
same. Actions are compared by value, an action being named by (episode, frame, acting player).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from gym_p2p.core.record.aggregate_document import (
    ActionComparison,
    ActorComparison,
    Aggregate,
    ComparedFrames,
    FrameComparison,
    FrameOfEpisode,
    PlayerAccount,
    Results,
    Summary,
)
from gym_p2p.core.record.aggregate_results import compare_results, participants
from gym_p2p.core.record.building import unique_names
from gym_p2p.core.record.recorded_frames import Account, Comparison, Track, compare
from gym_p2p.core.wire.seats import SeatId

__all__ = ["aggregate"]

_Document = Mapping[str, Any]

_EVERY_SAMPLE = {"samples", "series"}
"""Of a latency's keys, those that are in the players' documents alone."""


def aggregate(
    documents: Mapping[SeatId, Callable[[], bytes]],
    *,
    game_id: str,
    aggregated_at_ms: float,
    subjects: Mapping[SeatId, str] | None = None,
) -> dict[str, Any]:
    """Compare the multiplayer documents of all players of a match.

    Args:
        documents: what reads the JSON of every player's multiplayer document; by player id, in seat order.
            One is read at a time, and let go of.
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
    actions = _together(names.values(), (one for _name, one in by_actor))
    rest = {player: account.rest for player, account in accounts.items()}
    results = compare_results(names, rest)
    document = Aggregate(
        game_id=game_id,
        aggregated_at=aggregated_at_ms,
        summary=_summary(hashes, actions, results_match=_results_match(results)),
        participants=participants(names, rest, subjects or {}),
        results=results,
        players={names[player]: _player(player, one) for player, one in rest.items()},
        validation=ComparedFrames(
            hash_summary=FrameComparison(**_counts(hashes)),
            action_summary=ActionComparison(**_counts(actions), by_player=_by_player(by_actor)),
        ),
        desync_events={names[p]: account.desync_events for p, account in accounts.items()},
        rollbacks={names[p]: account.rollbacks for p, account in accounts.items()},
    )
    plain: dict[str, Any] = msgspec.to_builtins(document)
    return plain


def _counts(comparison: Comparison) -> dict[str, Any]:
    compared = comparison.compared
    return {
        "total_frames_compared": compared,
        "matching_frames": comparison.matching,
        "mismatching_frames": len(comparison.mismatching),
        "only_in": dict(comparison.only_in),
        "match_rate": 100.0 * comparison.matching / compared if compared else None,
    }


def _by_player(by_actor: Iterable[tuple[str, Comparison]]) -> dict[str, ActorComparison]:
    matching, mismatching = Counter[str](), Counter[str]()
    for name, one in by_actor:
        matching[name] += one.matching
        mismatching[name] += len(one.mismatching)
    return {
        name: ActorComparison(matching_frames=matching[name], mismatching_frames=mismatching[name])
        for name in matching
        if matching[name] or mismatching[name]
    }


def _by_actor(
    names: Mapping[SeatId, str], accounts: Mapping[SeatId, Account]
) -> list[tuple[str, Comparison]]:
    """Compare the actions of each acting player, with their name."""
    actors = dict.fromkeys(actor for account in accounts.values() for actor in account.actions)
    nothing = Track()
    return [
        (
            names.get(actor, str(actor)),
            compare({names[p]: account.actions.get(actor, nothing) for p, account in accounts.items()}),
        )
        for actor in actors
    ]


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


def _summary(hashes: Comparison, actions: Comparison, *, results_match: bool | None) -> Summary:
    hash_frames, action_frames = (
        [FrameOfEpisode(*frame) for frame in Comparison.divergences(one.mismatching)]
        for one in (hashes, actions)
    )
    return Summary(
        fully_synced=_match(hashes) and _match(actions),
        hashes_match=_match(hashes),
        actions_match=_match(actions),
        total_hashes_compared=hashes.compared,
        total_actions_compared=actions.compared,
        first_hash_mismatch_frame=hash_frames[0] if hash_frames else None,
        first_action_mismatch_frame=action_frames[0] if action_frames else None,
        hash_divergence_frames=hash_frames,
        action_divergence_frames=action_frames,
        results_match=results_match,
    )


def _results_match(results: Results) -> bool | None:
    compared = any(episode.returns_match is not None for episode in results.episodes)
    return not results.disagreements if compared or results.disagreements else None


def _player(player: SeatId, document: _Document) -> PlayerAccount:
    latency = document.get("latency")
    stats = (
        {k: v for k, v in latency.items() if k not in _EVERY_SAMPLE} if isinstance(latency, Mapping) else None
    )
    return PlayerAccount(
        player_id=player,
        connection=document.get("connection"),
        input_delivery=document.get("inputDelivery"),
        session_status=document.get("sessionStatus"),
        departures=document.get("departures"),
        session_duration_ms=document.get("sessionDurationMs"),
        latency=stats,
    )
