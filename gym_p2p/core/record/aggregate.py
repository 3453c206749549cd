"""The aggregate of a match: every player's multiplayer document, compared frame by frame.

A pure function over documents that players sent, so nothing in them is trusted to have the right shape.
Frames are compared by (episode, frame) alone: the players' clocks play no part. It knows the documents'
keys, and refuses to know where they are stored.

A frame is *compared* when at least two players recorded it, and *matches* when all of those recorded the
same. Actions are compared by value, an action being named by (episode, frame, acting player).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import attrs

from gym_p2p.core.record.aggregate_results import compare_results, participants
from gym_p2p.core.record.building import unique_names
from gym_p2p.core.record.parts import SCHEMA_VERSION
from gym_p2p.core.wire.seats import SeatId, is_seat_id
from gym_p2p.errors import ProtocolError

__all__ = ["aggregate"]

_Frame = tuple[int, int]
_ActionKey = tuple[int, int, SeatId]
_Key = TypeVar("_Key", _Frame, _ActionKey)
_Document = Mapping[str, Any]

_EVERY_SAMPLE = {"samples", "series"}
"""Of a latency's keys, those that are in the players' documents alone."""


def aggregate(
    documents: Mapping[SeatId, _Document],
    *,
    game_id: str,
    aggregated_at_ms: float,
    subjects: Mapping[SeatId, str] | None = None,
) -> dict[str, Any]:
    """Compare the multiplayer documents of all players of a match.

    Args:
        documents: the multiplayer document of every player, by player id, in seat order.
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
    names = unique_names(documents, quoted=repr)
    hashes = _compare(names, {player: _hashes(doc) for player, doc in documents.items()})
    actions = _compare(names, {player: _actions(doc) for player, doc in documents.items()})
    results = compare_results(names, documents)
    return {
        "schemaVersion": SCHEMA_VERSION,
        "gameId": game_id,
        "aggregatedAt": aggregated_at_ms,
        "summary": {**_summary(hashes, actions), "resultsMatch": _results_match(results)},
        "participants": participants(names, documents, subjects or {}),
        "results": results,
        "players": {names[player]: _player(player, doc) for player, doc in documents.items()},
        "validation": {
            "hashSummary": hashes.summary(),
            "actionSummary": {**actions.summary(), "byPlayer": _by_acting_player(actions, names)},
        },
        "desyncEvents": {names[p]: _entries(doc, "allDesyncEvents") for p, doc in documents.items()},
        "rollbacks": {names[p]: _entries(doc, "allRollbacks") for p, doc in documents.items()},
    }


@attrs.frozen
class _Comparison:
    """What came of laying the players' records of one kind side by side."""

    matching: tuple[Any, ...]
    """Sorted keys, (episode, frame, …)."""
    mismatching: tuple[Any, ...]
    only_in: Mapping[str, int]

    @property
    def compared(self) -> int:
        return len(self.matching) + len(self.mismatching)

    @property
    def match(self) -> bool:
        return bool(self.matching) and not self.mismatching

    @property
    def divergence_frames(self) -> list[dict[str, int]]:
        frames = sorted({(key[0], key[1]) for key in self.mismatching})
        return [{"episode": episode, "frame": frame} for episode, frame in frames]

    def summary(self) -> dict[str, Any]:
        return {
            "totalFramesCompared": self.compared,
            "matchingFrames": len(self.matching),
            "mismatchingFrames": len(self.mismatching),
            "onlyIn": dict(self.only_in),
            "matchRate": 100.0 * len(self.matching) / self.compared if self.compared else None,
        }


def _compare(names: Mapping[SeatId, str], records: Mapping[SeatId, Mapping[_Key, Any]]) -> _Comparison:
    matching: list[_Key] = []
    mismatching: list[_Key] = []
    only_in = dict.fromkeys(names.values(), 0)
    for key in _union(records.values()):
        recorders = [player for player, record in records.items() if key in record]
        if len(recorders) == 1:
            only_in[names[recorders[0]]] += 1
            continue
        first, *others = (records[player][key] for player in recorders)
        (matching if all(_same(first, other) for other in others) else mismatching).append(key)
    return _Comparison(_by_frame(matching), _by_frame(mismatching), only_in)


def _union(records: Iterable[Mapping[_Key, Any]]) -> Iterator[_Key]:
    seen: dict[_Key, None] = {}
    for record in records:
        seen.update(dict.fromkeys(record))
    return iter(seen)


def _by_frame(keys: list[_Key]) -> tuple[_Key, ...]:
    return tuple(sorted(keys, key=lambda key: (key[0], key[1])))


def _summary(hashes: _Comparison, actions: _Comparison) -> dict[str, Any]:
    hash_frames, action_frames = hashes.divergence_frames, actions.divergence_frames
    return {
        "fullySynced": hashes.match and actions.match,
        "hashesMatch": hashes.match,
        "actionsMatch": actions.match,
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


def _by_acting_player(actions: _Comparison, names: Mapping[SeatId, str]) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    for kind, keys in (("matchingFrames", actions.matching), ("mismatchingFrames", actions.mismatching)):
        for _episode, _frame, actor in keys:
            name = names.get(actor, str(actor))
            counts.setdefault(name, {"matchingFrames": 0, "mismatchingFrames": 0})[kind] += 1
    return counts


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


def _hashes(document: _Document) -> dict[_Frame, Any]:
    entries = _entries(document, "allHashes")
    if any(entry.get("hash") is None for entry in entries):
        raise ProtocolError("malformed hash")
    return {_frame_of(entry): entry["hash"] for entry in entries}


def _actions(document: _Document) -> dict[_ActionKey, Any]:
    actions: dict[_ActionKey, Any] = {}
    for entry in _entries(document, "allActions"):
        actor = entry.get("playerId")
        if not isinstance(actor, int | str) or not is_seat_id(actor):
            raise ProtocolError("malformed allActions")
        actions[(*_frame_of(entry), actor)] = entry.get("action")
    return actions


def _frame_of(entry: _Document) -> _Frame:
    return _whole(entry, "episode"), _whole(entry, "frame")


def _whole(entry: _Document, key: str) -> int:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ProtocolError(f"malformed {key}")
    return value


def _entries(document: _Document, key: str) -> list[Any]:
    validation = document.get("validation")
    entries = validation.get(key) if isinstance(validation, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ProtocolError(f"malformed {key}")
    return entries


def _same(a: Any, b: Any) -> bool:
    """Compare two JSON values; unlike Python, ``true`` is not ``1``."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)
