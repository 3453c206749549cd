"""What an episode came to, as it stands in every document: its seed, its times, what every seat earned."""

from __future__ import annotations

import math
from typing import Any, cast

from gym_p2p.core.latency.delta_series import ENCODING, Encoding, encode_series
from gym_p2p.core.record.building import unique_names
from gym_p2p.core.record.episode import ActorRun
from gym_p2p.core.record.episode_view import EpisodeView
from gym_p2p.core.record.parts import Count, DocumentPart, EpisodeNumber
from gym_p2p.core.record.totals import numbers_in
from gym_p2p.core.wire.seats import SeatId

__all__ = ["EpisodeResult", "FrameTimes", "PageTimes", "episode_result"]


class FrameTimes(DocumentPart, frozen=True, kw_only=True):
    """When every frame was played, and when it became final, on this player's machine.

    Milliseconds since ``startedAt``, on a clock that never goes back.
    """

    encoding: Encoding
    """How both are written: differences, zigzag-coded varints, base64."""
    t: str
    """When each frame was played for the first time, perhaps on guesses; encoded whole milliseconds."""
    confirmed: str
    """When each frame became final; encoded whole milliseconds. Shorter than ``t`` where frames never did."""
    frames: Count
    """How many frames ``t`` has: more than the episode's where frames were played and not confirmed, or were
    taken back by an end before them."""


class PageTimes(DocumentPart, frozen=True, kw_only=True):
    """What the page of this player's person has drawn of an episode, and when they did not see it."""

    encoding: Encoding
    """How all of it is written: differences, zigzag-coded varints, base64."""
    frames: str
    """The frames that were drawn, in that order; encoded. Those that no page has drawn are missing."""
    t: str
    """When each was, in milliseconds since ``startedAt``, by this player's clock; encoded."""
    count: Count
    """How many there are."""
    unfocused: dict[str, str]
    """By seat, the frames whose input was chosen while the page was hidden or without the focus; encoded."""


class EpisodeResult(DocumentPart, frozen=True, kw_only=True):
    """One episode: how it began and ended, and what every seat came to. Of confirmed frames alone."""

    episode: EpisodeNumber
    """The episode, from 1 on."""
    seed: int | None
    """The seed of its reset, agreed among the players, up to 2**64 - 1; null where it is not known."""
    options: dict[str, Any] | None
    """The options of its reset, agreed among the players; null without any."""
    started_at: int
    """When all players were there for its reset, in Unix milliseconds."""
    ended_at: int | None
    """When this player knew of its end, in Unix milliseconds; null while it is played."""
    frames: Count
    """How many frames are confirmed: what stands here is of these."""
    ended_by: str | None
    """``terminated`` or ``truncated`` by the environment (how the seats ended that ended last), ``reset``
    (this player began the next one), ``peer_reset`` (another player did), ``closed`` (this player left), or
    the reason for the end of the match; null while it is played."""
    returns: dict[str, float | None]
    """By seat: the sum of its rewards, in the environment's unit, added up in the order of frames; null where
    it is not finite."""
    lengths: dict[str, Count]
    """By seat: in how many frames it took part, from when its agent appeared up to its end."""
    final_info: dict[str, dict[str, int | float | None]]
    """By seat: the numbers in the info that came last while it took part, by key, with dots for keys within
    keys; truth values as 0 and 1; null where a number is not finite."""
    timing: FrameTimes
    """When every frame was played, and when it became final."""
    actors: dict[str, list[ActorRun]]
    """By seat: the first frame, how many there are, and who acted in them where the seat's player was gone:
    the seat's default action or the stand-in. Seats whose player always acted are left out."""
    input_delays: list[Count] | None
    """Every player's input delay as it began, in frames, in the order of ``players``: in so many first frames
    their seats have the default action, for nobody could have chosen one. Null where it is not known."""
    page: PageTimes | None = None
    """What the page of this player's person has drawn of it; null where none has."""


def episode_result(episode: EpisodeView, seats: tuple[SeatId, ...]) -> EpisodeResult:
    """Return what an episode came to.

    Args:
        episode: as it is now.
        seats: of the environment, in its order.
    """
    names = list(unique_names(seats).values())
    begin, totals = episode.begin, episode.totals
    (played, played_count), (confirmed, _) = episode.played, episode.confirmed_at
    return EpisodeResult(
        episode=episode.number,
        seed=begin.seed,
        options=None if begin.options is None else dict(begin.options),
        started_at=begin.at_ms,
        ended_at=episode.ended_ms,
        frames=totals.frames,
        ended_by=episode.ended_by,
        returns={name: _finite(value) for name, value in zip(names, totals.returns, strict=True)},
        lengths=dict(zip(names, totals.lengths, strict=True)),
        final_info={name: numbers_in(info) for name, info in zip(names, totals.infos, strict=True)},
        timing=FrameTimes(encoding=ENCODING, t=played, confirmed=confirmed, frames=played_count),
        actors=_actors(episode, names),
        input_delays=None if begin.input_delays is None else list(begin.input_delays),
        page=_page(episode, names),
    )


def _page(episode: EpisodeView, names: list[str]) -> PageTimes | None:
    frames, times, count = episode.shown
    if not count and not episode.unfocused:
        return None
    unfocused: dict[str, list[int]] = {}
    for place in sorted(episode.unfocused):
        frame, seat = divmod(place, len(names))
        unfocused.setdefault(names[seat], []).append(frame)
    return PageTimes(
        encoding=ENCODING,
        frames=frames,
        t=times,
        count=count,
        unfocused={seat: encode_series(frames) for seat, frames in unfocused.items()},
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _actors(episode: EpisodeView, names: list[str]) -> dict[str, list[ActorRun]]:
    by_seat = sorted(episode.actors.items())
    # As JSON has them: lists. Their type says what is in which place.
    return {names[seat]: [cast("ActorRun", list(run)) for run in runs] for seat, runs in by_seat}
