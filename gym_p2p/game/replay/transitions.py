"""A recorded match as rows for learning: one for every frame and every seat that could act in it.

Columns:

* ``episode``, ``frame``: numbers from 0, where the documents count episodes from 1. ``seat``: the seat's id,
  as text.
* ``action``: a number for a ``Discrete`` space, one flat list of numbers for a ``Box``, ``MultiDiscrete`` or
  ``MultiBinary``, and for anything else its JSON form (:meth:`ActionCodec.to_json`).
* ``observation``: what the seat saw before it acted, as one flat list of numbers: arrays in C order, the
  parts of a ``Dict`` in the order of its space, those of a ``Tuple`` in theirs.
* ``reward``, ``terminated``, ``truncated``: what came of it, by the environment alone.
* ``next_observation``: what the seat saw then, also after the last frame.
* ``last``: whether the seat has no later row in this episode. A last row that is neither terminated nor
  truncated is where the match was broken off.

A seat that has ended has no more rows. No number is ``-0.0``. In JSON, infinities and NaN are the texts
``"inf"``, ``"-inf"`` and ``"nan"``. In Parquet the types of ``action`` and of the observations are those of
the spaces; where these are not all numbers, the column holds the text of the JSON form. In CSV a list, and
whatever else is no number or plain text, stands in its cell as JSON.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces

from gym_p2p.config.extras import how_to_install
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, UsageError
from gym_p2p.files.private import open_private
from gym_p2p.files.problems import disk_problem, telling_the_disk
from gym_p2p.game.env.game import Game
from gym_p2p.game.replay.reader import Replay
from gym_p2p.game.replay.verify import ReplayStep, Verification, verify_replay
from gym_p2p.game.spaces.boxes import finite_json

__all__ = ["COLUMNS", "TransitionFile", "flat_observation", "rows", "write_transitions"]

COLUMNS = (
    *("episode", "frame", "seat", "action", "observation"),
    *("reward", "terminated", "truncated", "next_observation", "last"),
)

_BATCH_ROWS = 2048
"""Rows that are compressed together in Parquet: observations repeat, and memory stays bounded."""

_LISTS = (spaces.Box, spaces.MultiDiscrete, spaces.MultiBinary)
_NUMERIC = (*_LISTS, spaces.Discrete)


def rows(step: ReplayStep) -> Iterator[dict[str, Any]]:
    """Yield the rows of one frame, in seat order."""
    game, before, outcome = step.game, step.before, step.outcome
    for index, seat in enumerate(game.seats):
        if before.terminations[index] or before.truncations[index]:
            continue
        terminated, truncated = outcome.terminations[index], outcome.truncations[index]
        space = game.observation_space(seat)
        yield {
            "episode": step.episode,
            "frame": step.frame,
            "seat": str(seat),
            "action": _action(game, seat, step.actions[index]),
            "observation": _flat(space, before.observations[index]),
            "reward": outcome.rewards[index] + 0.0,  # -0.0 becomes 0.0
            "terminated": terminated,
            "truncated": truncated,
            "next_observation": _flat(space, outcome.observations[index]),
            "last": terminated or truncated or step.last,
        }


def write_transitions(
    replay: Replay, path: str | Path, make_env: Callable[[], Any] | None = None, *, trust: bool = False
) -> Verification:
    """Play a recorded match again and write its transitions; nothing is written if something differs.

    Args:
        replay: the recording.
        path: ends in ``.jsonl``, ``.csv`` or ``.parquet``.
        make_env: see :func:`~gym_p2p.game.replay.verify.verify_replay`.
        trust: see there.

    Raises:
        ConfigurationError: none of these, no file can be written, or pyarrow is not installed.
        UsageError: the environment cannot be made.
    """
    file = TransitionFile(path, replay)
    try:
        verification = verify_replay(replay, make_env, trust=trust, watch=file.write)
    except BaseException:
        file.close(keep=False)
        raise
    file.close(keep=verification.agreed)
    return verification


class TransitionFile:
    """A file of transitions, as :func:`write_transitions` makes it; Parquet keeps where they came from.

    It appears under its name when it is closed and kept.

    Raises:
        ConfigurationError: see :func:`write_transitions`.
        NotWritten: by every method, when the disk takes no more; to be closed all the same.
    """

    def __init__(self, path: str | Path, replay: Replay) -> None:
        self._path = Path(path).absolute()
        kind = _KINDS.get(self._path.suffix.lower())
        if kind is None:
            raise ConfigurationError(
                "to", f"wanted a name that ends in {', '.join(_KINDS)}, got {self._path.name!r}"
            )
        self._temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.tmp")
        try:
            self._file: IO[bytes] = open_private(self._temporary, "xb")
        except OSError as error:
            raise ConfigurationError("to", f"cannot write {str(path)!r}: {disk_problem(error)}") from error
        try:
            with telling_the_disk(self._path):
                self._sink = kind(self._file, replay)
        except BaseException:
            self.close(keep=False)
            raise

    def write(self, step: ReplayStep) -> None:
        """Add the rows of one frame."""
        with telling_the_disk(self._path):
            for row in rows(step):
                self._sink.add(row, step.game)

    def close(self, *, keep: bool) -> None:
        """Finish the file and give it its name, or leave nothing behind."""
        try:
            if keep:
                with telling_the_disk(self._path):
                    self._sink.finish()
                    self._file.flush()
                    os.fsync(self._file.fileno())
                    self._file.close()
                    self._temporary.replace(self._path)
        finally:
            with contextlib.suppress(OSError):
                self._file.close()  # what it still held is for nobody
            with contextlib.suppress(OSError):
                self._temporary.unlink()


class _Sink(Protocol):
    """Takes rows one by one."""

    def add(self, row: dict[str, Any], game: Game) -> None: ...

    def finish(self) -> None: ...


class _JsonLines:
    """A line of JSON for every row."""

    def __init__(self, file: IO[bytes], _replay: Replay) -> None:
        self._file = file

    def add(self, row: dict[str, Any], _game: Game) -> None:
        self._file.write(
            json.dumps(finite_json(row), allow_nan=False, separators=(",", ":")).encode() + b"\n"
        )

    def finish(self) -> None:
        """Nothing is left to be written."""


class _Csv:
    """A line of comma-separated values for every row, below the columns' names (RFC 4180, UTF-8).

    Texts stand as they are, as in the tables of a study: changed, they would be none of the action space.
    """

    def __init__(self, file: IO[bytes], _replay: Replay) -> None:
        self._file = io.TextIOWrapper(file, encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def add(self, row: dict[str, Any], _game: Game) -> None:
        plain = finite_json(row)
        self._writer.writerow([_cell(plain[name]) for name in COLUMNS])

    def finish(self) -> None:
        """Hand on what waits, and leave the file open."""
        self._file.detach()


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


class _Parquet:
    """Columns with fixed types, taken from the game's spaces at the first row."""

    def __init__(self, file: IO[bytes], replay: Replay) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415 - an optional extra
            from pyarrow import parquet  # noqa: PLC0415 - the same
        except ImportError as error:
            advice = f"{how_to_install('pyarrow')} (or write .csv or .jsonl)"
            raise ConfigurationError("to", f"Parquet needs pyarrow: {advice}") from error
        self._pa, self._parquet = pa, parquet
        self._file = file
        self._source = {
            "gym_p2p.replay": replay.path,
            "gym_p2p.fingerprint": replay.fingerprint,
            "gym_p2p.match_id": replay.header.match_id,
        }
        self._writer: Any = None
        self._texts: tuple[str, ...] = ()
        self._waiting: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any], game: Game) -> None:
        if self._writer is None:
            self._begin(game)
        self._waiting.append({**row, **{name: json.dumps(finite_json(row[name])) for name in self._texts}})
        if len(self._waiting) >= _BATCH_ROWS:
            self._flush()

    def finish(self) -> None:
        if self._writer is None:  # no frame at all
            self._begin(None)
        self._flush()
        self._writer.close()

    def _begin(self, game: Game | None) -> None:
        pa = self._pa
        acted = [game.action_space(seat) for seat in game.seats] if game else []
        observed = [game.observation_space(seat) for seat in game.seats] if game else []
        if acted and all(isinstance(space, spaces.Discrete) for space in acted):
            action = pa.from_numpy_dtype(_dtype_of(acted))
        else:
            flat = all(isinstance(space, _LISTS) for space in acted)
            action = self._list_or_text(acted) if flat else pa.string()
        seen = self._list_or_text(observed)
        types = {
            "episode": pa.int32(),
            "frame": pa.int32(),
            "seat": pa.string(),
            "action": action,
            "observation": seen,
            "reward": pa.float64(),
            "terminated": pa.bool_(),
            "truncated": pa.bool_(),
            "next_observation": seen,
            "last": pa.bool_(),
        }
        self._texts = tuple(
            name for name in ("action", "observation", "next_observation") if types[name] == pa.string()
        )
        schema = pa.schema(types, metadata=self._source)
        self._writer = self._parquet.ParquetWriter(self._file, schema, compression="zstd")

    def _list_or_text(self, found: list[gymnasium.Space[Any]]) -> Any:
        dtype = _dtype_of(found)
        return self._pa.string() if dtype is None else self._pa.list_(self._pa.from_numpy_dtype(dtype))

    def _flush(self) -> None:
        if not self._waiting:
            return
        try:
            batch = self._pa.RecordBatch.from_pylist(self._waiting, schema=self._writer.schema)
        except (self._pa.ArrowException, TypeError, OverflowError) as error:
            raise UsageError(
                f"the environment does not keep to the types of its spaces ({error}); write .jsonl instead"
            ) from error
        self._writer.write_batch(batch)
        self._waiting.clear()


_KINDS: dict[str, Callable[[IO[bytes], Replay], _Sink]] = {
    ".jsonl": _JsonLines,
    ".csv": _Csv,
    ".parquet": _Parquet,
}


def _dtype_of(found: list[gymnasium.Space[Any]]) -> np.dtype[Any] | None:
    """Return the one dtype that holds every number in these spaces; None if there is more than numbers."""
    dtypes: list[np.dtype[Any]] = []
    waiting = list(found)
    while waiting:
        space = waiting.pop()
        if isinstance(space, spaces.Dict):
            waiting += space.spaces.values()
        elif isinstance(space, spaces.Tuple):
            waiting += space.spaces
        elif isinstance(space, _NUMERIC) and space.dtype is not None:
            dtypes.append(np.dtype(space.dtype))
        else:
            return None
    if not dtypes:
        return None
    # Environments are seldom strict about float32 and float64; the wider one loses nothing.
    common = np.result_type(*dtypes)
    return np.dtype(np.float64) if common.kind == "f" else common


def _action(game: Game, seat: SeatId, action: Any) -> Any:
    if isinstance(game.action_space(seat), _LISTS):
        return _numbers(action)
    return _nested(game.codec(seat).to_json(action))


def _flat(space: gymnasium.Space[Any], value: Any) -> Any:
    """Return an observation's numbers in one list; what is more than numbers as plain nested data."""
    numbers: list[Any] = []
    if not _gather(space, value, numbers):
        return _nested(value)
    return numbers


def flat_observation(game: Game, seat: SeatId, observation: Any) -> list[float] | None:
    """Return an observation's numbers in one list, as the rows do; ``None`` if it is more than numbers."""
    numbers: list[Any] = []
    return numbers if _gather(game.observation_space(seat), observation, numbers) else None


def _gather(space: gymnasium.Space[Any], value: Any, numbers: list[Any]) -> bool:
    if isinstance(space, spaces.Dict):
        return all(_gather(part, value[key], numbers) for key, part in space.spaces.items())
    if isinstance(space, spaces.Tuple):
        return all(_gather(part, item, numbers) for part, item in zip(space.spaces, value, strict=True))
    if not isinstance(space, _NUMERIC):
        return False
    numbers += _numbers(value)
    return True


def _numbers(value: Any) -> list[Any]:
    """Return an array's numbers in C order; -0.0, which equals 0.0 and reads like a fault, becomes that."""
    flat = np.asarray(value).ravel()
    listed: list[Any] = (flat + flat.dtype.type(0) if flat.dtype.kind == "f" else flat).tolist()
    return listed


def _nested(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _nested(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _nested(value.tolist())
    if isinstance(value, float):
        return value + 0.0
    if isinstance(value, list | tuple):
        return [_nested(item) for item in value]
    return value
