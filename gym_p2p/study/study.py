"""A study: every match below a path, as tables."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gym_p2p.config.extras import install_extra
from gym_p2p.errors import UsageError
from gym_p2p.processes.pool import map_in_processes
from gym_p2p.processes.progress import Say, telling
from gym_p2p.processes.python import can_start_python
from gym_p2p.study.problems import Problems
from gym_p2p.study.reading.files import Found, find

if TYPE_CHECKING:
    import pyarrow as pa

    from gym_p2p.study.match.match import MatchFiles
    from gym_p2p.study.tables.table import Table

__all__ = ["Study", "load"]

_PARALLEL_BYTES = 8 * 2**20
"""Below this much on the disk, other processes cost more than they give: each starts in half a second."""


def load(path: str | os.PathLike[str], *, progress: Say | bool | None = None) -> Study:
    """Load every match at or below a path: exports, a service's store, one match, or one document.

    What the server of the browser framework ``multi-user-gymnasium`` has saved is read beside it: documents,
    aggregates, tables of frames and match logs, known by what they hold.

    Files are data: nothing that they name is imported or run. What cannot be read is left out and said in
    ``problems``.

    Args:
        path: the folder, or the file.
        progress: whether what is being done is shown on standard error, or what is called with it in words;
            ``None`` shows it where that is a terminal.

    Raises:
        UsageError: there is nothing at this path, or pyarrow is not installed.
    """
    _require_pyarrow()
    root = Path(path).absolute()
    problems = Problems()
    from gym_p2p.study.codebook.codebook import TABLES  # noqa: PLC0415 - with pyarrow
    from gym_p2p.study.reading.framework_games import place  # noqa: PLC0415 - with it
    from gym_p2p.study.tables.arrow import table_of, tables_joined  # noqa: PLC0415 - needs it

    with telling(f"looking through {path}", wanted=progress) as say:
        files = place(find(root, problems), problems)
        matches = _by_match(files)
        parts: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
        parts["problems"].append(table_of("problems", problems))
        for number, tables in enumerate(_read(matches), 1):
            for name, table in tables.items():
                parts[name].append(table)
            say(f"reading: {number:,} of {len(matches):,} matches")
    return Study(root, files, {name: tables_joined(name, found) for name, found in parts.items()})


def _by_match(files: Sequence[Found]) -> list[MatchFiles]:
    from gym_p2p.study.match.match import MatchFiles  # noqa: PLC0415 - needs pyarrow

    found: dict[str, list[Found]] = {}
    for file in files:
        found.setdefault(file.match, []).append(file)
    return [MatchFiles(match, tuple(own)) for match, own in found.items()]


def _read(matches: Sequence[MatchFiles]) -> Iterator[dict[str, pa.Table]]:
    from gym_p2p.study.match.match import read_match  # noqa: PLC0415 - needs pyarrow

    size = sum(file.size_bytes for match in matches for file in match.files)
    processes = min(os.cpu_count() or 1, len(matches), 8)
    if processes < 2 or size < _PARALLEL_BYTES or not can_start_python():
        yield from map(read_match, matches)
        return
    with contextlib.closing(map_in_processes(read_match, matches, processes=processes)) as found:
        yield from found


class Study:
    """Every match below a path, as tables; see :mod:`gym_p2p.study.codebook.codebook` for their columns.

    Attributes:
        path: what was loaded.
        matches: a row a match.
        players: a row a player of a match.
        episodes: a row a seat of an episode.
        frames: a row a seat of a frame; called, it gives the frames with what playing again adds.
        latency: a row a round trip.
        events: rollbacks, outages, desyncs and so on.
        probes: what was measured before the matches.
        problems: what could not be read, and where the documents of a match do not agree.
    """

    def __init__(self, path: Path, files: Sequence[Found], tables: dict[str, pa.Table]) -> None:
        from gym_p2p.study.replayed.frames_table import FramesTable  # noqa: PLC0415 - needs pyarrow
        from gym_p2p.study.tables.table import Table  # noqa: PLC0415 - with it

        self.path = path
        self.files = tuple(files)
        self.matches = Table("matches", tables["matches"])
        self.players = Table("players", tables["players"])
        self.episodes = Table("episodes", tables["episodes"])
        self.frames = FramesTable(tables["frames"], self)
        self.latency = Table("latency", tables["latency"])
        self.events = Table("events", tables["events"])
        self.probes = Table("probes", tables["probes"])
        self.problems = Table("problems", tables["problems"])

    @property
    def tables(self) -> dict[str, Table]:
        """All eight, by name."""
        from gym_p2p.study.codebook.codebook import TABLES  # noqa: PLC0415 - for the order

        return {name: getattr(self, name) for name in TABLES}

    def frames_with_latency(self) -> Table:
        """Return the frames with the newest round trip of the seat's player by then.

        Columns on top: ``at`` (when the frame was first played, by its player's clock), ``rtt_ms`` and
        ``rtt_age_ms`` (how long before the frame it was measured); null where the documents do not say when
        frames were played. Of several links it is the newest round trip of any.
        """
        from gym_p2p.study.tables.frames_with_latency import frames_with_latency  # noqa: PLC0415 - needs pyarrow

        return frames_with_latency(self)

    def pandas(self) -> dict[str, Any]:
        """Return all tables as pandas' data frames.

        Raises:
            UsageError: pandas is not installed.
        """
        return {name: table.pandas() for name, table in self.tables.items()}

    def polars(self) -> dict[str, Any]:
        """Return all tables as polars' data frames.

        Raises:
            UsageError: polars is not installed.
        """
        return {name: table.polars() for name, table in self.tables.items()}

    def to_parquet(self, directory: str | os.PathLike[str]) -> list[Path]:
        """Write every table to a ``.parquet`` of its name; return their paths.

        Raises:
            NotWritten: a file could not be written, and what was there before is untouched.
        """
        return [table.to_parquet(Path(directory) / f"{name}.parquet") for name, table in self.tables.items()]

    def to_csv(self, directory: str | os.PathLike[str]) -> list[Path]:
        """Write every table to a ``.csv`` of its name; return their paths. Null is an empty cell.

        Raises:
            NotWritten: a file could not be written, and what was there before is untouched.
        """
        return [table.to_csv(Path(directory) / f"{name}.csv") for name, table in self.tables.items()]

    def to_minari(
        self, directory: str | os.PathLike[str], *, trust: bool = False, progress: Say | bool | None = None
    ) -> list[str]:
        """Write a Minari dataset for every seat of every environment; return their ids.

        Every recording is played again for it; what does not come out as recorded, or cannot be played, is
        left out, and a warning is logged. ``minari.load_dataset(id)`` finds them where the environment
        variable ``MINARI_DATASETS_PATH`` names the folder. An episode's metadata holds its match, its player
        and the latency that they had.

        Args:
            directory: the folder of the datasets.
            trust: make whatever a recording names as its environment; else only what installed packages
                offer, as with ``gym-p2p replay``.
            progress: as :func:`load` has it.

        Raises:
            UsageError: minari is not installed, or nothing could be played.
            NotWritten: there is such a dataset already, or the disk takes no more; nothing is left behind.
        """
        from gym_p2p.study.replayed.datasets import to_minari  # noqa: PLC0415 - the environments' libraries

        with telling(f"writing datasets to {directory}", wanted=progress) as say:
            return to_minari(self, Path(directory).absolute(), trust=trust, say=say)

    def __repr__(self) -> str:
        """Say how much there is."""
        counts = ", ".join(f"{table.num_rows:,} {name}" for name, table in self.tables.items())
        return f"<Study of {self.path}: {counts}>"


def _require_pyarrow() -> None:
    try:
        __import__("pyarrow")
    except ImportError as error:
        raise UsageError(f"tables need pyarrow: {install_extra('data')}") from error
