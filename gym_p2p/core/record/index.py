"""A match in a line: what stands of it in the index beside its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.parts import SCHEMA_VERSION
from gym_p2p.core.wire.seats import SeatId

__all__ = ["IndexEntry", "index_entry", "told_index_entry"]


_MAX_CHARS = 256
"""Of a name: what is longer is none of ours."""


class IndexEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One player's part of a match."""

    match_id: str
    """The match."""
    folder: str
    """The name of its folder, beside the index."""
    player_id: SeatId
    """Whose documents they are."""
    started_at: int
    """When the match was made, in Unix milliseconds."""
    ended_at: int | None
    """When it ended, in Unix milliseconds; null is unknown."""
    room: str | None
    """Where the players met; null where they came out of a queue."""
    queue: str | None
    """The queue that they came out of; null for a room."""
    environment: str | None
    """The environment's id, or else its class; null is unknown."""
    termination_reason: str | None
    """Why the match ended; null is unknown."""
    frames: int
    """Frames that every player's input is recorded of, over all episodes."""
    schema_version: int = SCHEMA_VERSION
    """The documents' version."""


def index_entry(record: MatchRecord, folder: str) -> IndexEntry:
    """Return a match's line of the index."""
    end = record.termination
    return IndexEntry(
        match_id=record.game_id,
        folder=folder,
        player_id=record.player_id,
        started_at=record.session_start_ms,
        ended_at=None if end is None else end.timestamp_ms,
        termination_reason=None if end is None else end.reason,
        frames=sum(episode.frames for episode in record.episodes.copy()),
        **_what_and_where(record.environment, record.config),
    )


class _Episode(msgspec.Struct, frozen=True, rename="camel"):
    total_frames: int = 0


class _Validation(msgspec.Struct, frozen=True):
    episodes: list[_Episode] = msgspec.field(default_factory=list)


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    termination_reason: str | None = None


class _Told(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a multiplayer document says of its match; other keys are passed over."""

    game_id: str
    player_id: SeatId
    session_start_time: int = 0
    export_timestamp: int | None = None
    session_status: _Status = _Status()
    validation: _Validation = _Validation()
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    environment: dict[str, Any] = msgspec.field(default_factory=dict)
    schema_version: int = 0


class _Whose(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The same of a document that is not as we write them."""

    game_id: str
    player_id: SeatId


_TOLD = msgspec.json.Decoder(_Told)
_WHOSE = msgspec.json.Decoder(_Whose)
"""Made on import, for uploads are stored by threads: see :func:`gym_p2p.core.api.payloads.prepare`."""


def told_index_entry(document: bytes, folder: str) -> IndexEntry:
    """Return the line of a match by what a multiplayer document says of it.

    Raises:
        msgspec.MsgspecError: it does not even say whose it is.
    """
    try:
        told = _TOLD.decode(document)
    except msgspec.MsgspecError:
        whose = _WHOSE.decode(document)
        told = _Told(game_id=whose.game_id, player_id=whose.player_id)
    reason = _text(told.session_status.termination_reason)
    return IndexEntry(
        match_id=told.game_id,
        folder=folder,
        player_id=told.player_id,
        started_at=told.session_start_time,
        ended_at=None if reason is None else told.export_timestamp,  # else it is when that was built
        termination_reason=reason,
        frames=sum(episode.total_frames for episode in told.validation.episodes),
        schema_version=told.schema_version,
        **_what_and_where(told.environment, told.config),
    )


def _what_and_where(environment: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was played and where the players met; with a queue, a room's name says nothing."""
    queue = _text(config.get("queue"))
    return {
        "room": _text(config.get("room")) if queue is None else None,
        "queue": queue,
        "environment": _text(environment.get("id")) or _text(environment.get("environment")),
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) <= _MAX_CHARS else None
