"""What the players of a match came to by each one's document, laid side by side; and who they are.

Rewards do not travel between players: each player's copy of the game computes them. So where accounts of as
many frames differ, the copies differed. Documents of schema version 1 say nothing of results; nothing is said
of them here. Nothing in a document is trusted to have the right shape.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gym_p2p.core.api.payloads import decode, prepare
from gym_p2p.core.record.aggregate_document import ComparedEpisode, Differing, Disagreement, Results
from gym_p2p.core.record.player_identity import PlayerIdentity, foreign, played_by_of, played_by_seat_of
from gym_p2p.core.wire.seats import MAX_SEATS, SeatId

__all__ = ["compare_results", "participants"]

_Document = Mapping[str, Any]


class _Result(msgspec.Struct, frozen=True, rename="camel"):
    """What is compared of an episode of a document."""

    episode: int
    frames: int
    seed: int | None = None
    options: Any = None
    ended_by: str | None = None
    returns: dict[str, float | None] = {}
    lengths: dict[str, int] = {}
    final_info: dict[str, Any] = {}


class _Results(msgspec.Struct, frozen=True):
    episodes: list[_Result] = []


class _Identity(msgspec.Struct, frozen=True, rename="camel"):
    """What a document says of a player."""

    local: bool = False
    subject_id: str | None = None
    seats: list[str] = []
    version: str | None = None
    platform: str | None = None
    played_by: Any = None
    played_by_seat: Any = None


class _Identities(msgspec.Struct, frozen=True):
    players: list[_Identity] = []


prepare(_Results, _Identities)


def participants(
    names: Mapping[SeatId, str], documents: Mapping[SeatId, _Document], subjects: Mapping[SeatId, str]
) -> list[PlayerIdentity]:
    """Return who played, with the keys of the documents' ``players``.

    Args:
        names: every player's id as text.
        documents: theirs.
        subjects: who they are to the service, as far as it knows; else each one's own account counts.

    Raises:
        ProtocolError: a document has not the shape of one.
    """
    return [
        _participant(name, _own_identity(documents[player]), subjects.get(player))
        for player, name in names.items()
    ]


def compare_results(names: Mapping[SeatId, str], documents: Mapping[SeatId, _Document]) -> Results:
    """Return every episode's results by player, and where they differ.

    Seeds and options are compared among all; what seats came to among those whose accounts have equally many
    frames, for a player who left earlier has earned less.

    Raises:
        ProtocolError: a document has not the shape of one.
    """
    by_episode: dict[int, dict[str, _Result]] = {}
    for player, document in documents.items():
        for result in decode(_Results, {"episodes": document.get("episodes", [])}, "episodes").episodes:
            by_episode.setdefault(result.episode, {})[names[player]] = result
    episodes, disagreements = [], []
    for number, results in sorted(by_episode.items()):
        found = list(_disagreements(results))
        disagreements += [Disagreement(episode=number, what=what, values=values) for what, values in found]
        episodes.append(_episode(number, results, differing={what for what, _ in found}))
    return Results(episodes=episodes, disagreements=disagreements)


def _own_identity(document: _Document) -> _Identity:
    told = decode(_Identities, {"players": document.get("players", [])}, "players").players
    return next((identity for identity in told if identity.local), _Identity())


def _participant(name: str, own: _Identity, subject_id: str | None) -> PlayerIdentity:
    seats = [foreign(seat) or "" for seat in own.seats[:MAX_SEATS]]
    return PlayerIdentity(
        player_id=name,
        subject_id=subject_id or foreign(own.subject_id),
        seats=seats,
        local=False,
        version=foreign(own.version),
        platform=foreign(own.platform),
        played_by=played_by_of({"played_by": own.played_by}),
        played_by_seat=played_by_seat_of({"played_by_seat": own.played_by_seat}, seats),
    )


def _episode(number: int, results: Mapping[str, _Result], *, differing: Collection[str]) -> ComparedEpisode:
    compared = any(len(group) > 1 for group in _of_equal_length(results))
    return ComparedEpisode(
        episode=number,
        seed=_one([result.seed for result in results.values()]),
        options=_one([result.options for result in results.values()]),
        frames={name: result.frames for name, result in results.items()},
        ended_by={name: result.ended_by for name, result in results.items()},
        returns={name: result.returns for name, result in results.items()},
        lengths={name: result.lengths for name, result in results.items()},
        seeds_match="seed" not in differing if len(results) > 1 else None,
        returns_match="returns" not in differing if compared else None,
        lengths_match="lengths" not in differing if compared else None,
    )


def _disagreements(results: Mapping[str, _Result]) -> Iterator[tuple[Differing, dict[str, Any]]]:
    """Yield what differs, and each player's account of it."""
    everybody = [results]
    groups = _of_equal_length(results)
    compared: tuple[tuple[Differing, str, list[Any]], ...] = (
        ("seed", "seed", everybody),
        ("options", "options", everybody),
        ("returns", "returns", groups),
        ("lengths", "lengths", groups),
        ("finalInfo", "final_info", groups),
    )
    for what, key, among in compared:
        for group in among:
            values = {name: getattr(result, key) for name, result in group.items()}
            if any(one != other for one, other in itertools.pairwise(values.values())):
                yield what, values


def _of_equal_length(results: Mapping[str, _Result]) -> list[dict[str, _Result]]:
    groups: dict[int, dict[str, _Result]] = {}
    for name, result in results.items():
        groups.setdefault(result.frames, {})[name] = result
    return list(groups.values())


def _one(values: Sequence[Any]) -> Any:
    """Return the value that all have; ``None`` where they differ."""
    return values[0] if all(value == values[0] for value in values) else None
