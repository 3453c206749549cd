"""The episodes of one match, a row a seat."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from gym_p2p.study.match.facts import MatchFacts
from gym_p2p.study.reading import document_parts as parts
from gym_p2p.study.reading.accounts import Account
from gym_p2p.study.reading.recordings import Played, RecordedEpisode
from gym_p2p.study.tables.arrow import json_text, whole_ms

__all__ = ["episode_rows", "recorded_return"]

_AGREED = ("seed", "options")
"""What every player's document of an episode says alike; how it ended is one thing for who left, another for
who was left."""


def episode_rows(facts: MatchFacts) -> list[dict[str, Any]]:
    """Return a row for every seat of every episode, and say where the documents of one do not agree."""
    accounts, rows, played, seat_players = facts.accounts, facts.rows, facts.played, facts.seat_players
    seats = list(dict.fromkeys([*_seats(played), *rows.seats, *seat_players]))
    frames = {number: int(rows.frame[where].max()) + 1 for number, where in rows.of_episodes()}
    numbers = set(frames) | (set(played.episodes) if played is not None else set())
    for account in accounts:
        numbers |= {number for number in {**account.episodes, **account.summaries} if 0 < number < 2**31}
    found = []
    for number in sorted(numbers):
        told = _fullest_first(accounts, number)
        recorded = None if played is None else played.episodes.get(number)
        _agree(number, told, recorded, facts)
        for seat in seats:
            player = seat_players.get(seat)
            own = next((account for account in accounts if account.player == player), None)
            found.append(
                {
                    "match": facts.match,
                    "episode": number,
                    "seat": seat,
                    "player": player,
                    **_of_the_episode(number, own, accounts, recorded),
                    **_of_the_seat(seat, told, recorded, played),
                    **_of_the_player(number, own),
                    "frames": frames.get(number, 0),
                }
            )
    return found


def _seats(played: Played | None) -> list[str]:
    return [] if played is None else played.seats


def _of_the_episode(
    number: int, own: Account | None, accounts: Sequence[Account], recorded: RecordedEpisode | None
) -> dict[str, Any]:
    tellers = [account for account in (own, *accounts) if account is not None]
    told = [one for account in tellers if (one := account.episodes.get(number)) is not None]
    fullest = _fullest_first(tellers, number)
    options = _first(told, "options") or (recorded.options if recorded is not None else None)
    ended = _first(fullest[:1], "ended_at")
    if not told:
        summary = next((s for account in tellers if (s := account.summaries.get(number))), None)
        ended = summary.timestamp if summary is not None else recorded and recorded.ended_ms
    started = _first(told[:1], "started_at")
    if not told and recorded is not None:
        started = recorded.started_ms
    seed = _first(told, "seed")
    return {
        "seed": recorded.seed if seed is None and recorded is not None else seed,
        "options": json_text(options or None),
        "started_at": whole_ms(started),
        "ended_at": whole_ms(ended),
        "ended_by": _first(fullest, "ended_by"),
    }


def _fullest_first(accounts: Sequence[Account], number: int) -> list[parts.Episode]:
    """Return what is told of an episode; who was killed knows less of it than who played on."""
    told = [one for account in accounts if (one := account.episodes.get(number)) is not None]
    return sorted(told, key=lambda one: -(one.frames or 0))


def _of_the_seat(
    seat: str, told: Sequence[parts.Episode], recorded: RecordedEpisode | None, played: Played | None
) -> dict[str, Any]:
    earned = next((one.returns[seat] for one in told if one.returns.get(seat) is not None), None)
    length = next((one.lengths[seat] for one in told if one.lengths.get(seat) is not None), None)
    info = next((one.final_info[seat] for one in told if one.final_info and seat in one.final_info), None)
    place = _place(seat, played)
    if recorded is not None and place is not None:
        earned = recorded_return(recorded, place) if earned is None else earned
        length = recorded.length(place) if length is None else length
    return {"return": earned, "length": length, "final_info": json_text(info)}


def _place(seat: str, played: Played | None) -> int | None:
    seats = _seats(played)
    return seats.index(seat) if seat in seats else None


def recorded_return(recorded: RecordedEpisode, place: int) -> float:
    """Return the sum of a seat's rewards, as exact as it can be."""
    return math.fsum(recorded.rewards[:, place].tolist())


def _of_the_player(number: int, own: Account | None) -> dict[str, Any]:
    summary = None if own is None else own.summaries.get(number)
    if summary is None:
        return {}
    return {
        "confirmed_frame": summary.confirmed_frame,
        "verified_frame": summary.verified_frame,
        "hashes": summary.hash_count,
        "desyncs": summary.desync_count,
        "rollbacks": summary.rollback_count,
        "max_rollback_frames": summary.max_rollback_frames,
    }


def _first(told: Sequence[parts.Episode], what: str) -> Any:
    return next((value for one in told if (value := getattr(one, what)) is not None), None)


def _agree(
    number: int, told: Sequence[parts.Episode], recorded: RecordedEpisode | None, facts: MatchFacts
) -> None:
    for what in _AGREED:
        said = [value for one in told if (value := getattr(one, what)) is not None]
        if any(value != said[0] for value in said):
            texts = sorted({json_text(value) or "" for value in said})
            facts.problems.add("disagreement", f"episode {number}: {what}: {' or '.join(texts)}")
    for seat in dict.fromkeys(seat for one in told for seat in one.returns):
        for problem in _returns(seat, told, recorded, facts.played):
            facts.problems.add("disagreement", f"episode {number}: the return of seat {seat}: {problem}")


def _returns(
    seat: str, told: Sequence[parts.Episode], recorded: RecordedEpisode | None, played: Played | None
) -> Iterator[str]:
    whole = max((one.frames or 0 for one in told), default=0)
    said = [one.returns[seat] for one in told if one.frames == whole and one.returns.get(seat) is not None]
    if any(value != said[0] for value in said):
        yield " or ".join(sorted({str(value) for value in said}))
    place = _place(seat, played)
    if said and recorded is not None and place is not None and len(recorded.ends) == whole:
        again = recorded_return(recorded, place)
        if not math.isclose(again, said[0] or 0.0, rel_tol=1e-9, abs_tol=1e-9):
            yield f"{said[0]} in the documents, {again} in the recording"
