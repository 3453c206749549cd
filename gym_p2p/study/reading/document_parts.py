"""The parts of the documents as they are read: every key optional, of every version and writer.

The documents' own types (:mod:`gym_p2p.core.record`) say what is written today, and refuse anything else: a
key that is missing, as in older documents, or one that is not known. So what is read has types of its own,
with the same names and meanings; the tests hold that every key here is one that is written there.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = [
    "NOTHING",
    "Action",
    "Attempt",
    "ClockOffset",
    "Connection",
    "Departure",
    "Desync",
    "Disconnection",
    "Episode",
    "EpisodeSummary",
    "GameTransportCounts",
    "Hash",
    "Id",
    "InputDelay",
    "Inputs",
    "Latency",
    "Outage",
    "Pair",
    "Part",
    "Path",
    "Pause",
    "Probe",
    "Reconnection",
    "Rollback",
    "Rollbacks",
    "Sample",
    "Series",
    "Status",
    "Sync",
    "Timing",
    "Upload",
    "WrongGuesses",
]

NOTHING = msgspec.Raw(b"null")

Id = int | str


class Part(msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True):
    """A part of a document."""


class Path(Part, frozen=True):
    """The way of a link."""

    local_candidate_type: str | None = None
    remote_candidate_type: str | None = None
    protocol: str | None = None
    relay_protocol: str | None = None
    detected_at_frame: int | None = None
    timestamp: float | None = None


class GameTransportCounts(Part, frozen=True):
    """How often game messages changed their way."""

    doubts: int | None = None
    returns: int | None = None
    resumed: int | None = None


class Connection(Part, frozen=True):
    """A link's path; in a document's ``connection`` that of the worst link."""

    type: str | None = None
    connection_details: Path | None = None
    game_transport: str | None = None
    game_transport_counts: GameTransportCounts | None = None


class Inputs(Part, frozen=True):
    """Inputs that travelled."""

    sent_via_p2p: int | None = msgspec.field(default=None, name="sentViaP2P")
    received_via_p2p: int | None = msgspec.field(default=None, name="receivedViaP2P")


class Status(Part, frozen=True):
    """How the match ended."""

    is_partial: bool | None = None
    termination_reason: str | None = None
    termination_frame: int | None = None
    completed_episodes: int | None = None
    disconnected_player_id: Id | None = None


class Disconnection(Part, frozen=True):
    """A link that broke."""

    timestamp: float
    frame: int | None = None
    ice_state: str | None = None
    dc_state: str | None = None
    other_peer: Id | None = None


class Attempt(Part, frozen=True):
    """A way back."""

    timestamp: float
    duration: float | None = None
    outcome: str | None = None
    attempts: float | None = None
    other_peer: Id | None = None
    over: str | None = None
    local_candidate_type: str | None = None
    remote_candidate_type: str | None = None


class Reconnection(Part, frozen=True):
    """Links that broke and came back."""

    disconnections: list[Disconnection] = []
    attempts: list[Attempt] = []
    total_pause_duration_ms: float | None = None


class Rollback(Part, frozen=True):
    """A correction of the past."""

    frame: int
    rollback_frames: int | None = None
    player_id: Id | None = None
    predicted_action: Any = None
    actual_action: Any = None
    timestamp: float | None = None


class WrongGuesses(Part, frozen=True):
    """Inputs of an episode that had been guessed wrong."""

    episode: int
    encoding: str
    frames: dict[str, str] = {}


class Rollbacks(Part, frozen=True):
    """What guessing cost."""

    count: int | None = None
    max_frames: int | None = None
    events: list[Rollback] = []
    mispredictions: int | None = None
    wrong_guesses: list[WrongGuesses] | None = None
    resimulated_frames: int | None = None
    stalls: int | None = None


class InputDelay(Part, frozen=True):
    """The input delay from a frame on."""

    episode: int
    frame: int
    frames: int


class Sync(Part, frozen=True):
    """How frames were kept together."""

    chosen: dict[str, Any] | None = None
    input_delays: list[InputDelay] = []


class EpisodeSummary(Part, frozen=True):
    """An episode in figures."""

    episode_num: int
    total_frames: int | None = None
    confirmed_frame: int | None = None
    verified_frame: int | None = None
    hash_count: int | None = None
    desync_count: int | None = None
    rollback_count: int | None = None
    max_rollback_frames: int | None = None
    timestamp: float | None = None


class Hash(Part, frozen=True):
    """A checksum."""

    episode: int
    frame: int
    hash: str


class Action(Part, frozen=True):
    """An action of a frame."""

    episode: int
    frame: int
    player_id: Id
    action: Any


class Desync(Part, frozen=True):
    """A checked frame that differed."""

    frame: int
    episode: int | None = None
    our_hash: str | None = None
    peer_hash: str | None = None
    timestamp: float | None = None
    verified_frame_at_desync: int | None = None
    differs_in: str | None = None
    state_differences: list[Any] = []


class Sample(Part, frozen=True):
    """A round trip."""

    timestamp: float
    rtt_ms: float


class Outage(Part, frozen=True):
    """A period without an answer."""

    start_ms: float
    end_ms: float | None = None


class Series(Part, frozen=True):
    """Every round trip of a match."""

    encoding: str
    start_ms: float
    t: str
    rtt: str


class Latency(Part, frozen=True):
    """A link's round trips."""

    jitter_ms: float | None = None
    missed: int | None = None
    outages: list[Outage] = []
    source: str | None = None
    samples: list[Sample] = []
    series: msgspec.Raw = NOTHING


class ClockOffset(Part, frozen=True):
    """How far the peer's clock is ahead."""

    timestamp: float
    offset_ms: float
    bound_ms: float | None = None


class Timing(Part, frozen=True):
    """When frames were played and confirmed."""

    encoding: str
    t: str
    confirmed: str


class Episode(Part, frozen=True):
    """An episode, of version 2."""

    episode: int
    seed: int | None = None
    options: dict[str, Any] | None = None
    started_at: float | None = None
    ended_at: float | None = None
    frames: int | None = None
    ended_by: str | None = None
    returns: dict[str, float | None] = {}
    lengths: dict[str, int | None] = {}
    final_info: dict[str, Any] | None = None
    timing: msgspec.Raw = NOTHING
    actors: dict[str, list[tuple[int, int, str]]] | None = None
    page: msgspec.Raw = NOTHING


class Departure(Part, frozen=True):
    """Somebody left."""

    player_id: Id | None = None
    reason: str | None = None
    stated_reason: str | None = None
    source: str | None = None
    source_player_id: Id | None = None
    lost_player_id: Id | None = None
    frame: int | None = None
    timestamp: float | None = None


class Pause(Part, frozen=True):
    """The match waited for somebody."""

    player_ids: list[Id] = []
    reason: str | None = None
    frame: int | None = None
    timestamp: float | None = None
    duration_ms: float | None = None
    limit_ms: float | None = None


class Pair(Part, frozen=True):
    """A probe of two."""

    subjects: list[str] = []
    rtt_ms: float | None = None
    reports: dict[str, Any] = {}


class Probe(Part, frozen=True):
    """What the probe before the match measured."""

    queue: str | None = None
    waited_ms: float | None = None
    pairs: list[Pair] = []


class Upload(Part, frozen=True):
    """What became of the upload."""

    state: str | None = None
    problem: str | None = None
    path: str | None = None
    command: str | None = None
