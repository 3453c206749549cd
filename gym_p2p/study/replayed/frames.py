"""Recordings played again: what every seat saw, and the rewards as they come out anew.

To play is to run an environment: only on request, and only one that an installed package offers, unless the
caller trusts the file (:func:`gym_p2p.game.replay.verify.game_of`). What was found is kept beside the
recording, under a name made of its content and of all that takes part; so what has changed is played again.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gym_p2p.errors import P2PError, UsageError
from gym_p2p.files.private import make_folder
from gym_p2p.files.whole import replacing
from gym_p2p.game.replay.reader import Replay, read_replay
from gym_p2p.game.replay.transitions import flat_observation
from gym_p2p.game.replay.verify import ReplayStep, verify_replay
from gym_p2p.study.codebook.codebook import schema
from gym_p2p.study.codebook.play import OBSERVATION
from gym_p2p.study.tables.table import Table
from gym_p2p.version import __version__

if TYPE_CHECKING:
    from gym_p2p.study.study import Study

__all__ = ["CACHE", "replayed_frames"]

CACHE = ".gym_p2p-cache"
"""A folder beside the recordings; it may be deleted at any time."""

_FORMAT = 1


@attrs.frozen(eq=False)
class _Played:
    """What came of playing one recording again.

    Attributes:
        rows: of episode, frame and seat, with what was earned and seen; ``None`` if it could not be played.
        problem: what differed, or why it could not be played.
    """

    rows: pa.Table | None
    problem: str | None


def replayed_frames(study: Study, *, observations: bool, match: str | None, trust: bool) -> Table:
    """Return the frames with what playing again adds; see ``FramesTable``."""
    if match is not None and match not in study.matches["match"].to_pylist():
        raise UsageError(f"there is no match {match!r} in {study.path}")
    frames = study.frames.arrow
    if match is not None:
        frames = frames.filter(pc.equal(frames["match"].cast(pa.string()), match))
    if not observations:
        return Table("frames", frames)
    parts, problems = [], []
    for row in study.matches:
        if match is not None and row["match"] != match:
            continue
        own = frames.filter(pc.equal(frames["match"].cast(pa.string()), row["match"]))
        played = _of_match(study, row, trust=trust)
        if played.problem is not None:
            problems.append({"match": row["match"], "problem": played.problem})
        parts.append(_with(own, played.rows))
    wanted = schema("frames", OBSERVATION)
    whole = pa.concat_tables(parts).unify_dictionaries() if parts else wanted.empty_table()
    told = {**(whole.schema.metadata or {}), b"gym_p2p.problems": json.dumps(problems).encode()}
    return Table("frames", whole.replace_schema_metadata(told))


def _of_match(study: Study, row: dict[str, Any], *, trust: bool) -> _Played:
    name = row["recording"]
    if name is None:
        return _Played(None, "there is no recording of it")
    path = study.path / name if study.path.is_dir() else study.path
    try:
        replay = read_replay(path)
        key = _key(replay)
        kept = _kept(path, key)
        if kept is not None:
            return kept
        rows, problem = _play(replay, trust=trust)
    except P2PError as error:
        return _Played(None, str(error))
    _keep(path, key, rows, problem)
    return _Played(rows, problem)


_ROWS = pa.schema(
    [
        pa.field("episode", pa.int64()),
        pa.field("frame", pa.int64()),
        pa.field("seat", pa.string()),
        pa.field("reward", pa.float64()),
        pa.field("terminated", pa.bool_()),
        pa.field("truncated", pa.bool_()),
        pa.field("observation", pa.list_(pa.float64())),
    ]
)


def _play(replay: Replay, *, trust: bool) -> tuple[pa.Table, str | None]:
    batches: list[pa.RecordBatch] = []
    rows: list[dict[str, Any]] = []

    def watch(step: ReplayStep) -> None:
        rows.extend(_rows(step))
        if len(rows) >= 4096:
            batches.append(pa.RecordBatch.from_pylist(rows, _ROWS))
            rows.clear()

    verification = verify_replay(replay, trust=trust, watch=watch)
    batches.append(pa.RecordBatch.from_pylist(rows, _ROWS))
    problem = "; ".join(map(str, verification.differences)) or replay.missing
    return pa.Table.from_batches(batches, _ROWS), problem


def _rows(step: ReplayStep) -> Iterator[dict[str, Any]]:
    game, outcome = step.game, step.outcome
    for index, seat in enumerate(game.seats):
        yield {
            "episode": step.episode + 1,
            "frame": step.frame,
            "seat": str(seat),
            "reward": outcome.rewards[index] + 0.0,
            "terminated": outcome.terminations[index],
            "truncated": outcome.truncations[index],
            "observation": flat_observation(game, seat, step.before.observations[index]),
        }


def _with(frames: pa.Table, rows: pa.Table | None) -> pa.Table:
    """Return a match's frames with what was played again; of other rows, nothing is known any more."""
    wanted = schema("frames", OBSERVATION)
    if rows is None:
        nothing = pa.nulls(len(frames), wanted.field("observation").type)
        return frames.append_column(wanted.field("observation"), nothing).cast(wanted)
    places = {key: place for place, key in enumerate(_keys(rows))}
    taken = pa.array([places.get(key) for key in _keys(frames)], pa.int64())
    played = rows.take(taken)
    for name in ("reward", "terminated", "truncated"):
        frames = frames.set_column(frames.schema.get_field_index(name), frames.field(name), played[name])
    return frames.append_column(wanted.field("observation"), played["observation"]).cast(wanted)


def _keys(table: pa.Table) -> Iterator[tuple[int, int, str]]:
    seats = table["seat"].cast(pa.string()).to_pylist()
    return zip(table["episode"].to_pylist(), table["frame"].to_pylist(), seats, strict=True)


# What is kept.


def _key(replay: Replay) -> str:
    """Return a name that changes with the recording and with all that takes part in playing it."""
    versions = {name: _version_here(name) for name in sorted(replay.header.versions)}
    facts = [_FORMAT, replay.fingerprint, replay.missing, __version__, platform.python_version(), versions]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _version_here(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


def _kept(recording: Path, key: str) -> _Played | None:
    path = recording.parent / CACHE / f"{key}.parquet"
    if path.parent.is_symlink() or path.is_symlink() or not path.is_file():
        return None
    with contextlib.suppress(OSError, pa.ArrowException, ValueError):
        rows = pq.read_table(path)
        told = json.loads((rows.schema.metadata or {})[b"gym_p2p.problem"])
        if rows.schema.equals(_ROWS) and (told is None or isinstance(told, str)):
            return _Played(rows, told)
    return None


def _keep(recording: Path, key: str, rows: pa.Table, problem: str | None) -> None:
    """Keep it where that is possible: a folder that cannot be written is no reason to fail."""
    folder = recording.parent / CACHE
    told = {"gym_p2p.problem": json.dumps(problem)}
    with contextlib.suppress(OSError, pa.ArrowException):
        if folder.is_symlink():
            return
        make_folder(folder)
        with replacing(folder / f"{key}.parquet") as file:
            pq.write_table(rows.replace_schema_metadata(told), file)
