"""The aggregate of a match as types, of which its published schema is generated.

An attribute's docstring is the description of its key. What is taken from the players' documents as it stands
there, and is not trusted to have any shape, has none here either.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from gym_p2p.core.latency.statistics import Count, Milliseconds
from gym_p2p.core.record.parts import SCHEMA_VERSION, DocumentPart
from gym_p2p.core.record.player_identity import PlayerIdentity
from gym_p2p.core.wire.seats import SeatId

__all__ = [
    "ActionComparison",
    "ActorComparison",
    "Aggregate",
    "ComparedEpisode",
    "ComparedFrames",
    "Differing",
    "Disagreement",
    "FrameComparison",
    "FrameOfEpisode",
    "PlayerAccount",
    "Results",
    "Summary",
]

Differing = Literal["seed", "options", "returns", "lengths", "finalInfo"]
Percent = Annotated[float, Meta(ge=0, le=100)]


class FrameOfEpisode(DocumentPart, frozen=True):
    """A frame of the match."""

    episode: Count
    """The episode's number, from 1 on."""
    frame: Count
    """The frame's number in it, from 0 on."""


class Summary(DocumentPart, frozen=True, kw_only=True):
    """Whether the players' accounts agree."""

    fully_synced: bool
    """Whether both states and actions match."""
    hashes_match: bool
    """Whether hashes of states were compared, and all were alike."""
    actions_match: bool
    """Whether actions were compared, and all were alike."""
    total_hashes_compared: Count
    """How many frames have a hash in at least two accounts."""
    total_actions_compared: Count
    """How many actions (of one player in one frame) are in at least two accounts."""
    first_hash_mismatch_frame: FrameOfEpisode | None
    """The first frame of which two hashes differ; null where none do."""
    first_action_mismatch_frame: FrameOfEpisode | None
    """The first frame of which two accounts of an action differ; null where none do."""
    hash_divergence_frames: list[FrameOfEpisode]
    """Every frame of which two hashes differ, in order."""
    action_divergence_frames: list[FrameOfEpisode]
    """Every frame of which two accounts of an action differ, in order."""
    results_match: bool | None
    """Whether seeds, options, returns, lengths and final values agree in all episodes; null where there was
    nothing to compare."""


class ComparedEpisode(DocumentPart, frozen=True, kw_only=True):
    """An episode by all accounts of it."""

    episode: Annotated[int, Meta(ge=0)]
    """The episode's number, from 1 on."""
    seed: int | None
    """The seed; null where there was none, or accounts differ."""
    options: Any
    """The options of its reset; null where there were none, or accounts differ."""
    frames: dict[str, int]
    """By player's id: how many frames their account has."""
    ended_by: dict[str, str | None]
    """By player's id: how it ended; null where the account does not say."""
    returns: dict[str, dict[str, float | None]]
    """By player's id: every seat's sum of rewards; null for a number that JSON has not."""
    lengths: dict[str, dict[str, int]]
    """By player's id: how many frames each seat took part in."""
    seeds_match: bool | None
    """Whether all have the same seed; null for a single account."""
    returns_match: bool | None
    """Whether accounts of as many frames have the same returns; null where no two are as long."""
    lengths_match: bool | None
    """The same of the lengths; null where no two accounts are as long."""


class Disagreement(DocumentPart, frozen=True, kw_only=True):
    """What accounts of an episode differ in."""

    episode: Annotated[int, Meta(ge=0)]
    """The episode's number, from 1 on."""
    what: Differing
    """The key of the episode in the players' documents."""
    values: dict[str, Any]
    """By player's id: what their account has; null where it has nothing."""


class Results(DocumentPart, frozen=True, kw_only=True):
    """What the episodes came to."""

    episodes: list[ComparedEpisode]
    """Every episode that is in any account, in order."""
    disagreements: list[Disagreement]
    """Where accounts differ. Rewards do not travel: each player's copy of the game computes them."""


class PlayerAccount(DocumentPart, frozen=True, kw_only=True):
    """Of a player's multiplayer document, what is not compared; null where it has no such key."""

    player_id: SeatId
    """The player's id in the match: their first seat."""
    connection: Any
    """As in the document; null where it has none."""
    input_delivery: Any
    """As in the document; null where it has none."""
    session_status: Any
    """As in the document; null where it has none."""
    departures: Any
    """As in the document; null where it has none."""
    session_duration_ms: Any
    """As in the document, in milliseconds; null where it has none."""
    latency: dict[str, Any] | None
    """As in the document, without its samples and their series; null where there was none."""


class FrameComparison(DocumentPart, frozen=True, kw_only=True):
    """What came of laying records of frames side by side."""

    total_frames_compared: Count
    """How many are in at least two accounts."""
    matching_frames: Count
    """How many of these are alike in all accounts that have them."""
    mismatching_frames: Count
    """How many of these differ."""
    only_in: dict[str, Count]
    """By player's id: how many are in their account alone."""
    match_rate: Percent | None
    """Percent of the compared ones that match; null where none were."""


class ActorComparison(DocumentPart, frozen=True, kw_only=True):
    """The compared actions of one player."""

    matching_frames: Count
    """How many are alike in all accounts that have them."""
    mismatching_frames: Count
    """How many differ."""


class ActionComparison(FrameComparison, frozen=True, kw_only=True):
    """The same of actions; each player's action in a frame counts by itself."""

    by_player: dict[str, ActorComparison]
    """By the id of the player who acted; of those of whom something was compared."""


class ComparedFrames(DocumentPart, frozen=True, kw_only=True):
    """The match frame by frame; compared by episode and frame, so that clocks play no part."""

    hash_summary: FrameComparison
    """The hashes of states."""
    action_summary: ActionComparison
    """The actions."""


class Aggregate(DocumentPart, frozen=True, kw_only=True):
    """The accounts of all players of a match, compared by the service once it has them all."""

    schema_version: Literal[2] = SCHEMA_VERSION
    """The version of this schema, which is the documents'."""
    game_id: str
    """The match's id."""
    aggregated_at: Milliseconds
    """When the accounts were compared, in Unix milliseconds by the service's clock."""
    summary: Summary
    """Whether they agree."""
    participants: list[PlayerIdentity]
    """Who played, in seat order; ``subjectId`` by the service's account where it has one."""
    results: Results
    """What the episodes came to."""
    players: dict[str, PlayerAccount]
    """By player's id: what of their document is not compared."""
    validation: ComparedFrames
    """The match frame by frame."""
    desync_events: dict[str, list[dict[str, Any]]]
    """By player's id: ``validation.allDesyncEvents`` of their document."""
    rollbacks: dict[str, list[dict[str, Any]]]
    """By player's id: ``validation.allRollbacks`` of their document."""
