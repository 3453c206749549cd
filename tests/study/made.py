"""Documents and folders for the tests of tables: of the schema's keys alone, written by hand."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["START_MS", "document", "series", "session", "write"]

START_MS = 1_700_000_000_000


def series(values: Sequence[int]) -> str:
    """Encode delta-varint-base64, by other means than the package."""
    data, before = bytearray(), 0
    for value in values:
        number, before = (value - before) * 2 if value >= before else (before - value) * 2 - 1, value
        while number > 127:
            data.append(number & 127 | 128)
            number >>= 7
        data.append(number)
    return base64.b64encode(data).decode()


def document(
    player: int | str = "left", *, match: str = "m", frames: int = 3, **changed: Any
) -> dict[str, Any]:
    """Return a multiplayer document of version 2: two seats, every frame 33 ms after the one before."""
    other = "right" if player == "left" else "left"
    link = {
        "jitterMs": 1.5,
        "missed": 0,
        "outages": [],
        "source": "made",
        "samples": [{"timestamp": START_MS + 20, "rttMs": 40.04}],
        "series": {
            "encoding": "delta-varint-base64",
            "startMs": START_MS,
            "t": series([20, 60]),
            "rtt": series([400, 523]),
            "samples": 2,
        },
    }
    seats = ("left", "right")
    actions = [
        {"episode": 1, "frame": frame, "playerId": seat, "action": frame % 3, "isFocused": True}
        for frame in range(frames)
        for seat in seats
    ]
    summary = {
        "episodeNum": 1,
        "totalFrames": frames,
        "confirmedFrame": frames - 1,
        "verifiedFrame": 1,
        "hashCount": 1,
        "desyncCount": 0,
        "rollbackCount": 1,
        "maxRollbackFrames": 2,
        "timestamp": START_MS + 900,
    }
    episode = {
        "episode": 1,
        "seed": 7,
        "options": None,
        "startedAt": START_MS + 10,
        "endedAt": START_MS + 900,
        "frames": frames,
        "endedBy": "terminated",
        "returns": {"left": 1.0, "right": -1.0},
        "lengths": {"left": frames, "right": frames},
        "finalInfo": {"left": {"score": 3}, "right": {}},
        "timing": {
            "encoding": "delta-varint-base64",
            "t": series([33 * frame for frame in range(frames)]),
            "confirmed": series([33 * frame + (20 if frame == 1 else 0) for frame in range(frames)]),
            "frames": frames,
        },
        "actors": {"right": [[2, 1, "default"]]},
    }
    whole = {
        "schemaVersion": 2,
        "gameId": match,
        "playerId": player,
        "exportTimestamp": START_MS + 1000,
        "sessionStartTime": START_MS,
        "sessionDurationMs": 1000,
        "players": [
            {"playerId": seat, "subjectId": f"s-{seat}", "seats": [seat], "local": seat == player}
            | {"version": "0.1", "platform": "test"}
            for seat in seats
        ],
        "connection": {
            "type": "direct",
            "connectionDetails": {
                "localCandidateType": "host",
                "remoteCandidateType": "host",
                "protocol": "udp",
                "relayProtocol": None,
            },
        },
        "inputDelivery": {"sentViaP2P": frames, "receivedViaP2P": frames},
        "validation": {
            "episodes": [summary],
            "allHashes": [{"episode": 1, "frame": 1, "hash": "ab"}],
            "allActions": actions,
            "allDesyncEvents": [],
            "totalRollbacks": 1,
            "totalDesyncs": 0,
        },
        "sessionStatus": {
            "isPartial": False,
            "terminationReason": "normal",
            "terminationFrame": frames - 1,
            "completedEpisodes": 1,
            "disconnectedPlayerId": None,
        },
        "episodes": [episode],
        "latency": link,
        "latencyByPeer": {other: link},
        "clockOffsets": {other: [{"timestamp": START_MS, "offsetMs": 5.0, "boundMs": 2.0}]},
        "reconnection": {"disconnections": [], "attempts": [], "totalPauseDurationMs": 0},
        "protocolErrors": {},
        "probe": None,
        "environment": {"id": "Made-v0", "arguments": {}, "packages": {}, "platform": f"of {player}"},
        "config": {"sync": {"fps": 30.0}, "room": "lab"},
    }
    return whole | changed


def session(player: str = "left", *, match: str = "m", **changed: Any) -> dict[str, Any]:
    """Return a session document: one wrong guess of the other's action at frame 1."""
    other = "right" if player == "left" else "left"
    event = {
        "frame": 1,
        "currentFrame": 3,
        "rollbackFrames": 2,
        "playerId": other,
        "predictedAction": 0,
        "actualAction": 1,
        "timestamp": START_MS + 80,
    }
    whole = {
        "schemaVersion": 2,
        "gameId": match,
        "playerId": player,
        "inputs": {"sentViaP2P": 3, "receivedViaP2P": 3},
        "rollbacks": {
            "count": 1,
            "maxFrames": 2,
            "events": [event],
            "mispredictions": 1,
            "resimulatedFrames": 2,
            "stalls": 4,
        },
        "sync": {
            "chosen": {"mode": "rollback"},
            "inputDelays": [{"episode": 1, "frame": 0, "frames": 1}, {"episode": 1, "frame": 2, "frames": 3}],
        },
    }
    return whole | changed


def write(path: Path, content: dict[str, Any]) -> Path:
    """Write a document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path
