"""The browser framework's documents in the words of ours.

They have our documents' names for most things, and no ``schemaVersion``. Knows in what they differ: ids are
numbers or texts of one meaning, one link is called ``latency``, and an aggregate names the players in a
mapping. Refuses to know what becomes of it: what is not as it should be is found by who reads ours.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import msgspec

__all__ = ["SUFFIX", "in_our_words", "plain"]

SUFFIX = "_multiplayer_metrics.json"
"""After the subject, in the name of the document that a page posts."""


def in_our_words(told: Any, name: str) -> dict[str, Any] | None:
    """Return one of their documents as one of ours without a version; ``None`` of what is none of theirs.

    Args:
        told: the document's plain data.
        name: its file's: the only place that says whose it is to the service.
    """
    match told:
        case {"schemaVersion": _}:
            return None  # of ours, which have most of these names
        case {"gameId": int() | str(), "aggregatedAt": _, "players": dict(), "summary": dict()}:
            return _aggregate(told)
        case {"gameId": int() | str(), "playerId": int() | str(), "sessionStatus": _, "inputDelivery": _}:
            return _multiplayer(told, name)
        case {"gameId": int() | str(), "playerId": int() | str(), "verifiedActions": _, "confirmedHashes": _}:
            return _of_a_page(told)
        case {"gameId": int() | str(), "playerId": int() | str(), "inputs": _, "rollbacks": _, "quality": _}:
            return _of_a_page(told)
    return None


def _multiplayer(told: dict[str, Any], name: str) -> dict[str, Any]:
    ours, own = _of_a_page(told), str(told["playerId"])
    validation = told.get("validation")
    actions = validation.get("allActions") if isinstance(validation, dict) else None
    if isinstance(validation, dict) and isinstance(actions, list):
        ours["validation"] = {**validation, "allActions": [_with_text_ids(row) for row in actions]}
    file = PurePosixPath(name).name
    if file.endswith(SUFFIX):
        ours["players"] = [{"playerId": own, "subjectId": file.removesuffix(SUFFIX), "seats": [own]}]
    return ours


def _of_a_page(told: dict[str, Any]) -> dict[str, Any]:
    ours = {**told, "gameId": str(told["gameId"]), "playerId": str(told["playerId"])}
    for key in ("players", "environment", "config", "episodes", "probe", "upload"):  # none of theirs
        ours.pop(key, None)
    if told.get("latency") is not None:
        ours["latencyByPeer"] = {_peer(told): told["latency"]}
    rollbacks = told.get("rollbacks")
    if isinstance(rollbacks, dict) and isinstance(rollbacks.get("events"), list):
        ours["rollbacks"] = {**rollbacks, "events": [_with_text_ids(event) for event in rollbacks["events"]]}
    status = told.get("sessionStatus")
    if isinstance(status, dict) and _is_id(status.get("disconnectedPlayerId")):
        ours["sessionStatus"] = {**status, "disconnectedPlayerId": str(status["disconnectedPlayerId"])}
    return ours


def _aggregate(told: dict[str, Any]) -> dict[str, Any]:
    players = [
        {"playerId": str(player), "subjectId": entry["subjectId"]}
        for player, entry in told["players"].items()
        if isinstance(entry, dict) and isinstance(entry.get("subjectId"), str)
    ]
    room = {"room": told["sceneId"]} if isinstance(told.get("sceneId"), str) else {}
    return {
        "gameId": str(told["gameId"]),
        "aggregatedAt": told["aggregatedAt"],
        "participants": players,
        "config": room,
    }


def _peer(told: dict[str, Any]) -> str:
    """Return the other player: ``null`` also stands for an id of 0; games with peers are of two.

    A session or validation document names nobody but its own player.
    """
    own = str(told["playerId"])
    if _is_id(told.get("peerPlayerId")):
        return str(told["peerPlayerId"])
    validation = told.get("validation")
    actions = validation.get("allActions") if isinstance(validation, dict) else None
    others = {
        str(row["playerId"]) for row in actions or () if isinstance(row, dict) and _is_id(row.get("playerId"))
    }
    others.discard(own)
    if len(others) == 1:
        return others.pop()
    return "1" if own == "0" else "0"


def _with_text_ids(row: Any) -> Any:
    if isinstance(row, dict) and _is_id(row.get("playerId")):
        return {**row, "playerId": str(row["playerId"])}
    return row


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def plain(data: bytes) -> Any:
    """Return JSON as plain data; ``None`` of what is none."""
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return None
