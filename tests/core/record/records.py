"""Records to build documents of, and their documents, held against the schemas."""

from __future__ import annotations

import json
from typing import Any

from gym_p2p.core.latency.series import Poll
from gym_p2p.core.latency.webrtc_stats import ConnectionDetails, PollStatus
from gym_p2p.core.record.documents import build_document
from gym_p2p.core.record.episode import Begin
from gym_p2p.core.record.human import HumanFacts
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.policy import PolicyFacts
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.exports import KINDS, schema
from gym_p2p.exports.encoding import to_data
from tests.requirements import require

try:
    from jsonschema import Draft202012Validator
except ModuleNotFoundError:  # the core's tests run without it; those of the schemas say so
    Draft202012Validator = None

START_MS = 1_700_000_000_000


def validator(kind: str) -> Any:
    require("jsonschema.validators", "pip install jsonschema")
    return Draft202012Validator(schema(kind))


def decode(_seat: int, data: bytes) -> int:
    return data[0]


def new_record(players: tuple[SeatId, ...] = (0, 1), player_id: SeatId = 0, **options: Any) -> MatchRecord:
    return MatchRecord(
        game_id="match-1",
        player_id=player_id,
        players=players,
        peers=[player for player in players if player != player_id],
        session_start_ms=START_MS,
        environment={"id": "CartPole-v1", "versions": ("1", "2")},
        config={"sync": {"mode": "lockstep", "input_delay": 0, "fps": float("inf")}},
        **options,
    )


def played(record: MatchRecord, frames: int = 5) -> MatchRecord:
    episode = record.begin_episode(Begin(at_ms=START_MS))
    for frame in range(frames):
        episode.frame([bytes([frame]), bytes([10 + frame])])
    return record


def human_facts(**changes: Any) -> HumanFacts:
    """Return what is known of a person at a page."""
    told: dict[str, Any] = {
        "link": "websocket",
        "link_reason": "one machine",
        "frames_shown": 3,
        "frames_skipped": 1,
        "key_events": 2,
        "key_events_dropped": 0,
        "pages_opened": 1,
        "page_size": (390, 844),
        "input": "touch",
        "browser": "Firefox",
        "browser_version": "130",
        "clock_offset_ms": -4.5,
        "clock_error_ms": 0.5,
    }
    return HumanFacts(**{**told, **changes})


def documents(record: MatchRecord, now_ms: int = START_MS + 5000) -> dict[str, dict[str, Any]]:
    """Build all three, and hold them against their schemas and against JSON itself."""
    built: dict[str, Any] = {kind: to_data(build_document(kind, record, now_ms, decode)) for kind in KINDS}
    for kind, document in built.items():
        check(kind, document)
    return built


def check(kind: Any, document: object) -> None:
    """Hold a document against its schema, and against JSON itself."""
    if Draft202012Validator is not None:
        validator(kind).validate(document)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def fresh(rtt_ms: float, second: int = 1, connection: ConnectionDetails | None = None) -> Poll:
    return Poll(START_MS + 1000 * second, rtt_ms, PollStatus.FRESH, connection)


def poll(record: MatchRecord, peer: SeatId, found: Poll) -> None:
    record.links[peer].polled(found, frame=record.frame_now)


def policy_facts(**changes: Any) -> PolicyFacts:
    told: dict[str, Any] = {
        "seat": "left",
        "policy": "sb3:PPO:partner.zip",
        "kind": "sb3",
        "sha256": "0f" * 32,
        "algorithm": "PPO",
        "reaction_ms": 200.0,
        "actions_per_s": 4.0,
        "fps": 30.0,
    }
    return PolicyFacts(**{**told, **changes})
