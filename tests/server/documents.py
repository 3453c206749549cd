"""Documents as players upload them, small and large."""

from __future__ import annotations

import json
from typing import Any

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.server.guard.tokens import UploadClaims

__all__ = ["claims", "document"]


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
