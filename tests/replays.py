"""Recorded matches for tests: a game is played here, as one player's machine would, and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.recipe import Recipe, named_recipe
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.replay.header import ReplayHeader, replay_header
from gym_p2p.game.replay.reader import ReplayEpisode
from gym_p2p.game.replay.records import Frames
from gym_p2p.game.replay.writer import ReplayWriter
from tests.players import act

__all__ = ["CHECKED_EVERY", "Played", "columns", "header_of", "play_and_record", "record", "rewrite"]

CHECKED_EVERY = 10


@attrs.define
class Played:
    """One episode as it was played: the oracle."""

    seed: int
    first: Outcome
    actions: list[list[Any]] = attrs.field(factory=list)
    inputs: list[tuple[bytes, ...]] = attrs.field(factory=list)
    outcomes: list[Outcome] = attrs.field(factory=list)


def header_of(game: Game, environment: Recipe | None = None, **changes: Any) -> ReplayHeader:
    header = replay_header(
        game,
        match_id="match-1",
        recorded_ms=1_700_000_000_000,
        player_id=game.seats[0],
        players=[
            {"player_id": seat, "subject_id": f"subject {seat}", "seats": [seat]} for seat in game.seats
        ],
        sync={"mode": "lockstep", "fps": 30.0},
        environment=environment,
    )
    return attrs.evolve(header, **changes)


def record(path: Path, name: str, kwargs: dict[str, Any] | None = None, **options: Any) -> list[Played]:
    """Record a match of a named environment, and close the recording."""
    game = make_game(load_environment(name, kwargs or {}))
    header = header_of(game, named_recipe(name, kwargs or {}))
    writer = ReplayWriter(path, header, checked_every=CHECKED_EVERY)
    played = play_and_record(game, writer, **options)
    writer.close()
    game.close()
    assert writer.problem is None
    return played


def play_and_record(
    game: Game, writer: ReplayWriter, *, seeds: Sequence[int] = (5,), frames: int = 100
) -> list[Played]:
    """Play an episode a seed, each to its end or for so many frames."""
    return [_episode(game, writer, seed, frames) for seed in seeds]


def _episode(game: Game, writer: ReplayWriter, seed: int, frames: int) -> Played:
    played = Played(seed, game.reset(seed))
    writer.begin_episode(seed, None, played.first)
    digests = OutcomeChecksum(len(game.seats))
    for frame in range(frames):
        actions = [
            game.codec(seat).check(act(game.action_space(seat), frame, salt=index + seed))
            for index, seat in enumerate(game.seats)
        ]
        inputs = tuple(
            game.codec(seat).encode(action) for seat, action in zip(game.seats, actions, strict=True)
        )
        outcome = game.step(actions)
        digests.update(frame, inputs, outcome)
        writer.frame(inputs, outcome)
        if outcome.ended or (frame + 1) % CHECKED_EVERY == 0:
            writer.checksum(frame, digests.digest(outcome))
        played.actions.append(actions)
        played.inputs.append(inputs)
        played.outcomes.append(outcome)
        if outcome.ended:
            break
    writer.end_episode(completed=played.outcomes[-1].ended)
    return played


def columns(episode: ReplayEpisode) -> Frames:
    """Return all frames of a recorded episode as if they were one record."""
    whole = Frames.none(0)
    for part in episode.parts():
        for name in ("inputs", "rewards", "ends", "checks", "states"):
            getattr(whole, name).extend(getattr(part, name))
    return whole


def rewrite(source: Path, target: Path, change: Any) -> None:
    """Write a recording anew with every digest right, after ``change(records)`` changed what it says.

    It is what a forger does who knows the format; ``records`` is the list of what the file says.
    """
    from gym_p2p.game.replay import records as format_  # noqa: PLC0415 - this is what is under test

    with source.open("rb") as read:
        line = read.readline()
        digest = format_.digest_of_header(line)
        records = [
            format_.decode(raw, format_.inflate(raw, source), source)
            for raw in format_.raw_records(read, digest, source)
        ]
    change(records)
    with target.open("wb") as file:
        file.write(line)
        for value in records:
            written, digest = format_.encode(value, digest)
            file.write(written)
