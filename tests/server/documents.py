"""Documents as players upload them, small and large."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gym_p2p.config import ServiceConfig
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.server.documents import Documents
from gym_p2p.server.factory import open_secret
from gym_p2p.server.guard.tokens import UploadClaims
from gym_p2p.server.outbox import Outbox

__all__ = ["claims", "document", "store_documents"]


def claims(player: SeatId, players: tuple[SeatId, ...] = ("a", "b")) -> UploadClaims:
    return UploadClaims(match_id="m", player_id=player, player_ids=players, expires_at=1e12)


def document(player: SeatId, hashes: tuple[str, ...] = ("x", "y"), **changes: Any) -> bytes:
    actions = [{"episode": 1, "frame": 0, "playerId": "a", "action": [0.1, 2]}]
    body = {
        "gameId": "m",
        "playerId": player,
        "validation": {
            "allHashes": [{"episode": 1, "frame": n, "hash": h} for n, h in enumerate(hashes)],
            "allActions": actions,
            "allDesyncEvents": [],
            "allRollbacks": [],
        },
        **changes,
    }
    return json.dumps(body).encode()


def store_documents(directory: Path, outbox: Outbox, players: Iterable[str]) -> None:
    """Store a session document of each player, which waits to be handed over."""
    store = Documents(ServiceConfig(data_dir=str(directory)), open_secret(directory)).store
    for player in players:
        with outbox.storing("m", player, "session", store.folder(claims(player))):
            store.put(claims(player), "session", document(player))
