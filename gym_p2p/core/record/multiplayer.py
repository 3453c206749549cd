"""The multiplayer document: one player's account of every episode, to be compared with the other players'.

It is the one that is stored and uploaded.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from gym_p2p.core.record.building import Decode, input_counts, pause_ms
from gym_p2p.core.record.document import Document, common_keys
from gym_p2p.core.record.link import UNKNOWN_CONNECTION, Health, LinkRecord
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.match_validation import Validation, match_validation
from gym_p2p.core.record.open_objects import ProbeFacts
from gym_p2p.core.record.parts import (
    AtLeastMinusOne,
    Connection,
    Count,
    DocumentPart,
    InputCounts,
    Milliseconds,
    Reconnections,
)
from gym_p2p.core.record.plain import plain
from gym_p2p.core.record.ways_taken import first_fallback
from gym_p2p.core.wire.seats import SeatId

__all__ = ["MultiplayerDocument", "multiplayer_document"]


class Fallback(DocumentPart, frozen=True, kw_only=True):
    """Whether the service had to pass messages on."""

    triggered: bool = False
    """Whether inputs went through the service."""
    frame: Count | None = None
    """The frame of the running episode when they first did; null if they never did, and before the first."""


class MatchConnection(Connection, frozen=True, kw_only=True):
    """The worst link by median round trip."""

    p2p_connected: bool = field(name="p2pConnected")
    """Whether every link was open at some time."""
    health: Health | None
    """The link as the protocol's own pings see it; null before the first came back."""
    fallback: Fallback
    """Whether the service had to pass messages on."""


class InputDelivery(InputCounts, frozen=True, kw_only=True):
    """Inputs that travelled, and how."""

    p2p_receive_ratio: Annotated[float, Meta(ge=0, le=100)] | None = field(name="p2pReceiveRatio")
    """The share of inputs received from peers directly, in percent; null without any."""


class SessionStatus(DocumentPart, frozen=True, kw_only=True):
    """How the match ended for this player."""

    is_partial: bool
    """Whether the match goes on, or ended before it was over."""
    termination_reason: str | None
    """Null while the match goes on."""
    termination_frame: AtLeastMinusOne | None
    """The newest final frame of the newest episode, as in its ``totalFrames``, -1 if it has none; null while
    the match goes on, and where no episode had begun."""
    completed_episodes: Count
    """How many episodes the environment ended, and not a reset or a departure."""
    disconnected_player_id: SeatId | None
    """The id of the player whose loss ended the match; null if none did."""


class MultiplayerDocument(Document, frozen=True, kw_only=True):
    """One player's account of a whole match."""

    peer_player_id: SeatId | None
    """The id of the first other player; null for one who plays alone."""
    export_timestamp: int
    """When this was built, or the end of the match, in Unix milliseconds."""
    session_start_time: int
    """When the match was made, in Unix milliseconds."""
    session_duration_ms: Milliseconds
    """From the start to the export, in milliseconds."""
    connection: MatchConnection
    """The worst link by median round trip."""
    input_delivery: InputDelivery
    """Inputs that travelled, and how."""
    validation: Validation
    """What was played, and whether all played the same."""
    session_status: SessionStatus
    """How the match ended for this player."""
    reconnection: Reconnections
    """Links that broke and came back."""
    protocol_errors: dict[str, Count]
    """How many times peers sent what the protocol does not allow, by problem; beyond 64 of these, as
    ``other``."""
    probe: ProbeFacts | None
    """What the pre-match probe measured, both sides' values; null without one."""
    config: dict[str, Any]
    """Sync mode, input delay, frame rate and so on."""


def multiplayer_document(record: MatchRecord, now_ms: int, decode: Decode) -> MultiplayerDocument:
    """Build the multiplayer document as of now."""
    now_ms = record.time(now_ms)
    worst = record.worst_link()
    return MultiplayerDocument(
        **common_keys(record, now_ms),
        peer_player_id=next(iter(record.links), None),
        export_timestamp=now_ms,
        session_start_time=record.session_start_ms,
        session_duration_ms=max(0, now_ms - record.session_start_ms),
        connection=_connection(record, worst),
        input_delivery=_input_delivery(record),
        validation=match_validation(record, now_ms, decode),
        session_status=_session_status(record),
        reconnection=Reconnections(
            disconnections=record.disconnections.copy(),
            attempts=record.attempts.copy(),
            total_pause_duration_ms=pause_ms(record),
        ),
        protocol_errors=dict(record.protocol_errors),
        probe=plain(record.probe),
        config=plain(record.config),
    )


def _connection(record: MatchRecord, worst: LinkRecord | None) -> MatchConnection:
    path = UNKNOWN_CONNECTION if worst is None else worst.connection
    fallback = first_fallback(record.ways_taken.copy())
    return MatchConnection(
        type=path.type,
        connection_details=path.connection_details,
        game_transport=path.game_transport,
        game_transport_counts=path.game_transport_counts,
        p2p_connected=bool(record.links) and all(link.open for link in record.links.values()),
        relayed_by=path.relayed_by,
        relaying_player_id=path.relaying_player_id,
        health=None if worst is None else worst.health,
        fallback=Fallback(triggered=fallback is not None, frame=None if fallback is None else fallback.frame),
    )


def _input_delivery(record: MatchRecord) -> InputDelivery:
    counts = input_counts(record)
    received = counts.received_via_p2p + counts.received_via_socket_io
    return InputDelivery(
        sent_via_p2p=counts.sent_via_p2p,
        sent_via_socket_io=counts.sent_via_socket_io,
        received_via_p2p=counts.received_via_p2p,
        received_via_socket_io=counts.received_via_socket_io,
        p2p_receive_ratio=100.0 * counts.received_via_p2p / received if received else None,
    )


def _session_status(record: MatchRecord) -> SessionStatus:
    end, frames = record.termination, record.frame_now
    return SessionStatus(
        is_partial=True if end is None else end.partial,
        termination_reason=None if end is None else end.reason,
        termination_frame=None if end is None or frames is None else frames - 1,
        completed_episodes=sum(episode.completed for episode in record.episodes.copy()),
        disconnected_player_id=None if end is None else end.disconnected_player,
    )
