"""The validation document: the newest episode that has a frame, to be checked frame by frame.

Hashes have no episode in this document, so it is about one; the multiplayer document has them all.
"""

from __future__ import annotations

from typing import Any, Literal

from gym_p2p.core.record.building import Decode, actions, pause_ms, state_differences, unique_names
from gym_p2p.core.record.document import Document, common_keys
from gym_p2p.core.record.episode import Desync, EpisodeRecord
from gym_p2p.core.record.episode_view import EpisodeView, view_of
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.parts import (
    AtLeastMinusOne,
    Count,
    Disconnection,
    DocumentPart,
    EpisodeNumber,
    Milliseconds,
    ReconnectionAttempt,
    StateDifference,
)

__all__ = ["ValidationDocument", "validation_document"]


class ValidationSummary(DocumentPart, frozen=True, kw_only=True):
    """The episode in figures."""

    total_frames: Count
    """How many frames every player's input is recorded of."""
    verified_frame: AtLeastMinusOne
    """The newest frame of which all players had the same checksum; -1 if none."""
    desync_count: Count
    """How many checked frames there were whose checksums differed."""
    hashes_computed: Count
    """How many frames have a checksum."""


class ConfirmedHash(DocumentPart, frozen=True):
    """The checksum of a confirmed frame."""

    frame: Count
    """The frame of the episode, from 0 on."""
    hash: str
    """The local checksum after it, hexadecimal."""


class VerifiedAction(DocumentPart, frozen=True):
    """An action of a frame up to the verified one."""

    frame: Count
    """The frame of the episode, from 0 on."""
    action: Any
    """As it was applied, as the seat's action space writes it."""


class DesyncEvent(DocumentPart, frozen=True, kw_only=True):
    """A checked frame whose checksums differ."""

    frame: Count
    """The frame of the episode, from 0 on."""
    our_hash: str
    """The checksum here, hexadecimal."""
    peer_hash: str
    """The checksum at the other player, hexadecimal."""
    timestamp: int
    """When it was found, in Unix milliseconds."""
    verified_frame_at_desync: AtLeastMinusOne
    """The newest frame by then of which all had the same checksum; -1 if none."""
    differs_in: Literal["outcomes", "state"]
    """``outcomes`` (observations, rewards, ends), or ``state``: all that was given out so far is the same."""
    has_state_dump: bool
    """Whether both states were exchanged; they stand in the multiplayer document."""
    state_differences: list[StateDifference]
    """Fields in which the two states differ, where states were exchanged: the first twenty found."""
    state_problem: str | None = None
    """Why the states that were to be exchanged are not compared, or not yet; null where they are, and where
    none were to be exchanged (they are at the first desync with each player)."""


class ValidationReconnections(DocumentPart, frozen=True, kw_only=True):
    """Links that broke and came back."""

    disconnections: list[Disconnection]
    """Links that broke, in the order in which that was noticed."""
    reconnection_attempts: list[ReconnectionAttempt]
    """Ways back, in the order of their ends."""
    total_pause_duration_ms: Milliseconds
    """How long the match paused for them, in milliseconds."""


class ValidationDocument(Document, frozen=True, kw_only=True):
    """One episode of a match, to be checked frame by frame."""

    export_timestamp: int
    """When this was built, or the end of the match, in Unix milliseconds."""
    episode_num: EpisodeNumber
    """The episode that this document is about: the newest that has a frame."""
    summary: ValidationSummary
    """The episode in figures."""
    confirmed_hashes: list[ConfirmedHash]
    """The checksums, sorted by frame."""
    verified_actions: dict[str, list[VerifiedAction]]
    """By player's id: the actions up to the verified frame."""
    desync_events: list[DesyncEvent]
    """Checked frames whose checksums differ, in the order in which that was found."""
    reconnection: ValidationReconnections
    """Links that broke and came back."""


def validation_document(record: MatchRecord, now_ms: int, decode: Decode) -> ValidationDocument:
    """Build the validation document as of now."""
    episode = _newest_episode(record)
    verified_frames = min(episode.verified_frame + 1, episode.frames)
    keys = unique_names(record.players)
    return ValidationDocument(
        **common_keys(record, now_ms),
        export_timestamp=record.time(now_ms),
        episode_num=episode.number,
        summary=ValidationSummary(
            total_frames=episode.frames,
            verified_frame=episode.verified_frame,
            desync_count=len(episode.desyncs),
            hashes_computed=len(episode.hashes),
        ),
        confirmed_hashes=[ConfirmedHash(frame, digest) for frame, digest in episode.hashes],
        verified_actions={
            keys[player]: [
                VerifiedAction(frame, action)
                for frame, action in enumerate(actions(episode, seat, verified_frames, decode))
            ]
            for seat, player in enumerate(record.players)
        },
        desync_events=[_desync_event(event, episode) for event in episode.desyncs],
        reconnection=ValidationReconnections(
            disconnections=record.disconnections.copy(),
            reconnection_attempts=record.attempts.copy(),
            total_pause_duration_ms=pause_ms(record),
        ),
    )


def _newest_episode(record: MatchRecord) -> EpisodeView:
    episodes = record.views() or [view_of(EpisodeRecord(1, tuple([] for _ in record.players)))]
    return next((episode for episode in reversed(episodes) if episode.frames), episodes[-1])


def _desync_event(event: Desync, episode: EpisodeView) -> DesyncEvent:
    differences = state_differences(episode, event.frame)
    return DesyncEvent(
        frame=event.frame,
        our_hash=event.ours,
        peer_hash=event.theirs,
        timestamp=event.timestamp_ms,
        verified_frame_at_desync=event.verified_frame,
        differs_in=event.of.value,
        has_state_dump=differences is not None,
        state_differences=differences or [],
        state_problem=episode.state_problem(event.frame),
    )
