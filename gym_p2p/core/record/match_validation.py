"""What was played in a match, over all episodes, so that the players' accounts can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from gym_p2p.core.record.building import Decode, actions, state_differences
from gym_p2p.core.record.episode import Desync, StateDump
from gym_p2p.core.record.episode_view import EpisodeView
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.parts import AtLeastMinusOne, Count, DocumentPart, EpisodeNumber, StateDifference
from gym_p2p.core.wire.seats import SeatId

__all__ = ["Validation", "match_validation"]


class EpisodeSummary(DocumentPart, frozen=True, kw_only=True):
    """One episode in figures."""

    episode_num: EpisodeNumber
    """The episode, from 1 on."""
    total_frames: Count
    """How many frames every player's input is recorded of."""
    confirmed_frame: AtLeastMinusOne
    """The newest frame of which everybody's inputs are known; -1 if none."""
    verified_frame: AtLeastMinusOne
    """The newest frame of which all players had the same checksum; -1 if none."""
    hash_count: Count
    """How many frames have a checksum."""
    desync_count: Count
    """How many checked frames there were whose checksums differed."""
    rollback_count: Count
    """How often the past was corrected."""
    max_rollback_frames: Count
    """The deepest correction, in frames."""
    timestamp: int
    """Its end, or while it is played when this was built, in Unix milliseconds."""


class FrameHash(DocumentPart, frozen=True):
    """The checksum of a confirmed frame."""

    episode: EpisodeNumber
    """The episode, from 1 on."""
    frame: Count
    """The frame of the episode, from 0 on."""
    hash: str
    """The local checksum after it, hexadecimal."""


class FrameAction(DocumentPart, frozen=True):
    """One player's action of a frame."""

    episode: EpisodeNumber
    """The episode, from 1 on."""
    frame: Count
    """The frame of the episode, from 0 on."""
    player_id: SeatId
    """The id of the player who acted: the seat."""
    action: Any
    """As it was applied, as the seat's action space writes it (space.to_jsonable)."""
    is_focused: bool = True
    """Whether the player saw the game when they chose it; always, for one who cannot lose focus, and in
    another player's account."""


class DesyncWithStates(DocumentPart, frozen=True, kw_only=True):
    """A checked frame whose checksums differ."""

    episode: EpisodeNumber
    """The episode, from 1 on."""
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
    """Whether both states were exchanged."""
    state_differences: list[StateDifference]
    """Fields in which the two states differ, where states were exchanged: the first twenty that were found;
    ``states`` has them all."""
    states: dict[str, Any] | None
    """Both states (ours, theirs), every field by its path; null where they were not exchanged, or are more
    than is kept of a match."""
    state_problem: str | None = None
    """Why the states that were to be exchanged are not compared, or not yet; null where they are, and where
    none were to be exchanged (they are at the first desync with each player)."""


class EpisodeRollbacks(DocumentPart, frozen=True):
    """Corrections in an episode that had any."""

    episode: EpisodeNumber
    """The episode, from 1 on."""
    count: Count
    """How often the past was corrected."""
    max_frames: Count
    """The deepest correction, in frames."""


class Validation(DocumentPart, frozen=True, kw_only=True):
    """What was played, and whether all played the same."""

    episodes: list[EpisodeSummary]
    """Every episode in figures."""
    total_episodes: Count
    """How many episodes were begun."""
    total_hashes: Count
    """How many frames have a checksum, over all episodes."""
    total_actions: Count
    """How many actions there are of all players, over all episodes."""
    total_desyncs: Count
    """How many checked frames there were whose checksums differed, over all episodes."""
    total_rollbacks: Count
    """How often the past was corrected, over all episodes."""
    all_hashes: list[FrameHash]
    """Every checksum, sorted by episode and frame."""
    all_actions: list[FrameAction]
    """Every player's action of every frame, by episode, frame and seat."""
    all_desync_events: list[DesyncWithStates]
    """Checked frames whose checksums differ."""
    all_rollbacks: list[EpisodeRollbacks]
    """Corrections of the episodes that had any."""


def match_validation(record: MatchRecord, now_ms: int, decode: Decode) -> Validation:
    """Return what was played by now."""
    episodes = record.views()
    all_actions = [row for episode in episodes for row in _frame_actions(record, episode, decode)]
    hashes = [FrameHash(episode.number, *pair) for episode in episodes for pair in episode.hashes]
    desyncs = [_desync(event, episode) for episode in episodes for event in episode.desyncs]
    return Validation(
        episodes=[_episode_summary(episode, now_ms) for episode in episodes],
        total_episodes=len(episodes),
        total_hashes=len(hashes),
        total_actions=len(all_actions),
        total_desyncs=len(desyncs),
        total_rollbacks=sum(len(episode.rollbacks) for episode in episodes),
        all_hashes=hashes,
        all_actions=all_actions,
        all_desync_events=desyncs,
        all_rollbacks=[
            EpisodeRollbacks(episode.number, len(episode.rollbacks), episode.longest_rollback)
            for episode in episodes
            if episode.rollbacks
        ],
    )


def _episode_summary(episode: EpisodeView, now_ms: int) -> EpisodeSummary:
    return EpisodeSummary(
        episode_num=episode.number,
        total_frames=episode.frames,
        confirmed_frame=episode.confirmed_frame,
        verified_frame=episode.verified_frame,
        hash_count=len(episode.hashes),
        desync_count=len(episode.desyncs),
        rollback_count=len(episode.rollbacks),
        max_rollback_frames=episode.longest_rollback,
        timestamp=now_ms if episode.ended_ms is None else episode.ended_ms,
    )


def _frame_actions(record: MatchRecord, episode: EpisodeView, decode: Decode) -> Iterator[FrameAction]:
    by_seat = [actions(episode, seat, episode.frames, decode) for seat in range(len(record.players))]
    number, players = episode.number, record.players
    for frame, joint in enumerate(zip(*by_seat, strict=True)):
        for seat, (player, action) in enumerate(zip(players, joint, strict=True)):
            focused = frame * len(players) + seat not in episode.unfocused
            yield FrameAction(number, frame, player, action, focused)


def _desync(event: Desync, episode: EpisodeView) -> DesyncWithStates:
    dump = episode.dumps.get(event.frame)
    return DesyncWithStates(
        episode=episode.number,
        frame=event.frame,
        our_hash=event.ours,
        peer_hash=event.theirs,
        timestamp=event.timestamp_ms,
        verified_frame_at_desync=event.verified_frame,
        differs_in=event.of.value,
        has_state_dump=dump is not None,
        state_differences=state_differences(episode, event.frame) or [],
        states=None if dump is None else _states(dump),
        state_problem=episode.state_problem(event.frame),
    )


def _states(dump: StateDump) -> dict[str, Any] | None:
    if dump.ours is None or dump.theirs is None:
        return None
    return {"ours": msgspec.Raw(dump.ours), "theirs": msgspec.Raw(dump.theirs)}
