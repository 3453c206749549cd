"""The session document: how one player's session of a match went, over all episodes."""

from __future__ import annotations

from typing import Any

from msgspec import field

from gym_p2p.core.latency.delta_series import ENCODING, Encoding, decode_series, encode_series
from gym_p2p.core.record.building import Decode, input_counts, pause_ms, unique_names
from gym_p2p.core.record.document import Document, common_keys
from gym_p2p.core.record.episode import Rollback
from gym_p2p.core.record.episode_view import EpisodeView
from gym_p2p.core.record.link import UNKNOWN_CONNECTION
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.open_objects import SyncFacts
from gym_p2p.core.record.parts import (
    Connection,
    Count,
    DocumentPart,
    EpisodeNumber,
    InputCounts,
    Reconnections,
    UploadStatus,
)
from gym_p2p.core.record.plain import plain
from gym_p2p.core.record.ways_taken import first_fallback
from gym_p2p.core.wire.seats import SeatId

__all__ = ["SessionDocument", "session_document"]


class RollbackEvent(DocumentPart, frozen=True, kw_only=True):
    """Frames that were played again because an input had been guessed wrong."""

    frame: Count
    """The first frame that was played again."""
    current_frame: Count
    """The frame that was to be played next."""
    rollback_frames: Count
    """How many frames were played again."""
    player_id: SeatId
    """The id of the player on the seat whose input had been guessed wrong."""
    predicted_action: Any
    """The guess, as the seat's action space writes it."""
    actual_action: Any
    """The seat's action, as its action space writes it."""
    timestamp: int
    """When it was noticed, in Unix milliseconds."""


class WrongGuesses(DocumentPart, frozen=True, kw_only=True):
    """Which inputs of an episode had been guessed wrong and were corrected."""

    episode: EpisodeNumber
    """The episode, from 1 on."""
    encoding: Encoding
    """How the frames are written."""
    frames: dict[str, str]
    """By seat, the frames in which its input had been guessed wrong, in order; only of seats with some."""


class Rollbacks(DocumentPart, frozen=True, kw_only=True):
    """What guessing cost, over all episodes."""

    count: Count
    """How often the past was corrected."""
    max_frames: Count
    """The deepest correction, in frames."""
    events: list[RollbackEvent]
    """Every correction, oldest first."""
    mispredictions: Count
    """How many inputs had been guessed wrong."""
    wrong_guesses: list[WrongGuesses]
    """Which those were, by episode; without episodes that have none."""
    resimulated_frames: Count
    """How many frames were played again."""
    stalls: Count
    """How many frames had to be waited for, beyond the prediction window."""


class InputDelay(DocumentPart, frozen=True):
    """The local player's input delay from a frame of an episode on."""

    episode: EpisodeNumber
    """The episode, from 1 on."""
    frame: Count
    """The first frame with this delay."""
    frames: Count
    """The frames from an input to its effect."""


class SessionSync(DocumentPart, frozen=True, kw_only=True):
    """How frames were kept together."""

    p2p_hash_mismatches: Count = field(name="p2pHashMismatches")
    """How many checked frames there were whose checksums differed."""
    chosen: SyncFacts | None
    """How frames are kept together and why so, as the players agreed; null before they have."""
    input_delays: list[InputDelay]
    """The local player's input delay from a frame of an episode on."""


class SessionQuality(DocumentPart, frozen=True, kw_only=True):
    """Whether the service had to pass messages on."""

    p2p_fallback_triggered: bool = field(default=False, name="p2pFallbackTriggered")
    """Whether inputs went through the service."""
    p2p_fallback_frame: Count | None = field(default=None, name="p2pFallbackFrame")
    """The frame of the running episode when they first did; null if they never did, and before the first."""


class FrameTotals(DocumentPart, frozen=True):
    """Frames over all episodes."""

    total: Count
    """How many frames every player's input is recorded of."""


class SessionDocument(Document, frozen=True, kw_only=True):
    """How one player's session of a match went."""

    connection: Connection
    """The worst link by median round trip."""
    inputs: InputCounts
    """Inputs that travelled, over all episodes."""
    rollbacks: Rollbacks
    """What guessing cost, over all episodes."""
    sync: SessionSync
    """How frames were kept together."""
    quality: SessionQuality
    """Whether the service had to pass messages on."""
    frames: FrameTotals
    """Frames over all episodes."""
    reconnection: Reconnections
    """Links that broke and came back."""
    checkpoints_late: Count
    """How many checkpoints came late, because the machine or its disk was slow: had the player been killed
    then, more of the match would have been lost than the configured interval."""
    upload: UploadStatus | None
    """What became of handing in the multiplayer document; null before the match has ended, and where it is
    handed in nowhere."""


def session_document(record: MatchRecord, now_ms: int, decode: Decode) -> SessionDocument:
    """Build the session document as of now."""
    episodes = record.views()
    events = [event for episode in episodes for event in episode.rollbacks]
    totals = record.totals()
    worst = record.worst_link()
    fallback = first_fallback(record.ways_taken.copy())
    return SessionDocument(
        **common_keys(record, now_ms),
        connection=UNKNOWN_CONNECTION if worst is None else worst.connection,
        inputs=input_counts(record),
        rollbacks=Rollbacks(
            count=len(events),
            max_frames=max((event.frames for event in events), default=0),
            events=[_rollback_event(record, event, decode) for event in events],
            mispredictions=totals.mispredictions,
            wrong_guesses=[_wrong_guesses(record, view) for view in episodes if view.wrong_guesses],
            resimulated_frames=totals.resimulated,
            stalls=totals.stalls,
        ),
        sync=SessionSync(
            p2p_hash_mismatches=sum(len(episode.desyncs) for episode in episodes),
            chosen=plain(record.sync),
            input_delays=[
                InputDelay(episode.number, frame, delay)
                for episode in episodes
                for frame, delay in episode.input_delays
            ],
        ),
        quality=SessionQuality(
            p2p_fallback_triggered=fallback is not None,
            p2p_fallback_frame=None if fallback is None else fallback.frame,
        ),
        frames=FrameTotals(sum(episode.frames for episode in episodes)),
        reconnection=Reconnections(
            disconnections=record.disconnections.copy(),
            attempts=record.attempts.copy(),
            total_pause_duration_ms=pause_ms(record),
        ),
        checkpoints_late=record.checkpoints_late,
        upload=record.upload,
    )


def _wrong_guesses(record: MatchRecord, episode: EpisodeView) -> WrongGuesses:
    names = list(unique_names(record.players).values())
    by_seat: dict[str, list[int]] = {}
    told = episode.wrong_guesses
    for place in decode_series(told, limit=len(told)):  # our own; bounds are for what others wrote
        frame, seat = divmod(place, len(names))
        by_seat.setdefault(names[seat], []).append(frame)
    return WrongGuesses(
        episode=episode.number,
        encoding=ENCODING,
        frames={seat: encode_series(sorted(frames)) for seat, frames in by_seat.items()},
    )


def _rollback_event(record: MatchRecord, event: Rollback, decode: Decode) -> RollbackEvent:
    seat = record.players.index(event.player)
    return RollbackEvent(
        frame=event.frame,
        current_frame=event.current_frame,
        rollback_frames=event.frames,
        player_id=event.player,
        predicted_action=plain(decode(seat, event.predicted)),
        actual_action=plain(decode(seat, event.actual)),
        timestamp=event.timestamp_ms,
    )
