"""An episode at one moment, as documents are built of it, while the record may go on growing.

It knows in which order to read what another thread records: see :mod:`gym_p2p.core.record.episode`.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from gym_p2p.core.latency.delta_series import decode_series, encode_series
from gym_p2p.core.record.episode import ActorRun, Begin, Desync, EpisodeRecord, Rollback, StateDump
from gym_p2p.core.record.totals import Totals

__all__ = ["EpisodeView", "view_of"]


@attrs.frozen(kw_only=True)
class EpisodeView:
    """An episode at one moment; the record may go on growing."""

    number: int
    seat_inputs: tuple[list[bytes], ...]
    frames: int
    """The number of frames that every seat's input is recorded of: how far to read ``seat_inputs``."""
    hashes: tuple[tuple[int, str], ...]
    """The checksums by frame, sorted; of a frame that was checked twice the newer one."""
    desyncs: tuple[Desync, ...]
    dumps: Mapping[int, StateDump]
    state_problems: Mapping[int, str]
    rollbacks: tuple[Rollback, ...]
    wrong_guesses: str
    """Which inputs had been guessed wrong, encoded."""
    input_delays: tuple[tuple[int, int], ...]
    unfocused: frozenset[int]
    """Which inputs were chosen while the page was in the background, as numbers of frame and seat."""
    shown: tuple[str, str, int]
    """The frames that a person's page has drawn, and when, encoded; how many those are."""
    confirmed_frame: int
    verified_frame: int
    begin: Begin
    played: tuple[str, int]
    """When frames were played first, encoded, and how many those are."""
    confirmed_at: tuple[str, int]
    """When frames became final, likewise."""
    totals: Totals
    actors: Mapping[int, tuple[ActorRun, ...]]
    ended_by: str | None
    ended_ms: int | None

    def state_problem(self, frame: int) -> str | None:
        """Why there is no dump of a frame; ``None`` where there is, and where none was to be exchanged."""
        return None if frame in self.dumps else self.state_problems.get(frame)

    @property
    def longest_rollback(self) -> int:
        """The deepest correction, in frames; 0 without one."""
        return max((event.frames for event in self.rollbacks), default=0)


def view_of(episode: EpisodeRecord) -> EpisodeView:
    """Return the episode as it is now. What stands for a frame is read before the frames are counted."""
    verified = episode.verified_frame
    confirmed = -1 if episode.completed else episode.confirmed_frame  # inputs may be given ahead of an end
    hashes = tuple(sorted(dict(episode.checksums.copy()).items()))
    desyncs, rollbacks = tuple(episode.desyncs.copy()), tuple(episode.rollbacks.copy())
    totals, ended_by, ended_ms = episode.totals, episode.ended_by, episode.ended_ms
    confirmed_at = episode.confirmed_at.encoded()
    played = episode.played.encoded()
    frames = episode.frames
    return EpisodeView(
        number=episode.number,
        seat_inputs=episode.seat_inputs,
        frames=frames,
        hashes=hashes,
        desyncs=desyncs,
        dumps=episode.dumps.copy(),
        state_problems=dict(episode.state_problems.copy()),
        rollbacks=rollbacks,
        wrong_guesses=episode.wrong_guesses.encoded()[0],
        unfocused=frozenset(decode_series(episode.unfocused.encoded()[0], limit=episode.unfocused.count + 1)),
        shown=_shown(episode),
        input_delays=tuple(episode.input_delays.copy()),
        confirmed_frame=max(confirmed, frames - 1),
        verified_frame=verified,
        begin=episode.begin,
        played=played,
        confirmed_at=confirmed_at,
        totals=totals,
        actors={seat: tuple(runs.copy()) for seat, runs in episode.actors.copy().items()},
        ended_by=ended_by,
        ended_ms=ended_ms,
    )


def _shown(episode: EpisodeRecord) -> tuple[str, str, int]:
    """Return the frames that were drawn, and when. A frame is written down after its time."""
    frames, count = episode.shown_frames.encoded()
    times, written = episode.shown_at.encoded()
    if written > count:
        times = encode_series(decode_series(times, limit=written)[:count])
    return frames, times, count
