"""Tables beside each other: what was so when a frame was played."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gym_p2p.study.tables.table import Table

if TYPE_CHECKING:
    from gym_p2p.study.study import Study

__all__ = ["frames_with_latency"]

_NO_TIME = np.iinfo(np.int64).min


def frames_with_latency(study: Study) -> Table:
    """Return the frames with the newest round trip by then; see :meth:`Study.frames_with_latency`."""
    frames = study.frames.arrow
    at = _played_at(study)
    rtt, measured = np.full(len(at), np.nan), np.full(len(at), _NO_TIME)
    links = _by_player(study)
    for key, rows in _runs(frames):
        here = rows[at[rows] != _NO_TIME]
        if key in links and len(here):
            times, rtts = links[key]
            newest = np.searchsorted(times, at[here], side="right") - 1
            known = newest >= 0
            rtt[here[known]] = rtts[newest[known]]
            measured[here[known]] = times[newest[known]]
    unknown = measured == _NO_TIME
    age = np.where(unknown, 0, at - np.where(unknown, at, measured))
    columns = {
        "at": pa.array(at, pa.timestamp("ms", tz="UTC"), mask=at == _NO_TIME),
        "rtt_ms": pa.array(rtt, mask=unknown),
        "rtt_age_ms": pa.array(age, pa.int64(), mask=unknown),
    }
    for name, column in columns.items():
        frames = frames.append_column(name, column)
    return Table("frames", frames)


def _played_at(study: Study) -> np.ndarray:
    """Return when each row was first played, in Unix ms; ``_NO_TIME`` where that is not known."""
    started = {
        (row["match"], row["seat"], row["episode"]): row["started_at"]
        for row in study.episodes.arrow.select(["match", "seat", "episode", "started_at"])
        .set_column(3, "started_at", study.episodes["started_at"].cast(pa.int64()))
        .to_pylist()
    }
    frames = study.frames.arrow
    t_ms = _ints(frames["t_ms"])
    episode = frames["episode"].to_numpy()
    at = np.full(len(t_ms), _NO_TIME)
    for match, seat, rows in _groups(frames, "seat"):
        for number in np.unique(episode[rows]).tolist():
            start = started.get((match, seat, number))
            if start is not None:
                here = rows[(episode[rows] == number) & (t_ms[rows] != _NO_TIME)]
                at[here] = start + t_ms[here]
    return at


def _by_player(study: Study) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Return every player's round trips in the order of their times, of all links to peers."""
    columns = study.latency.arrow.filter(pc.equal(study.latency.arrow["link"], "peer"))
    at = columns["at"].cast(pa.int64()).to_numpy()
    rtt = columns["rtt_ms"].to_numpy()
    rows: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(columns["match"].to_pylist(), columns["from"].to_pylist(), strict=True)):
        rows.setdefault(key, []).append(row)
    found = {}
    for key, own in rows.items():
        order = np.array(own)[np.argsort(at[own], kind="stable")]
        found[key] = (at[order], rtt[order])
    return found


def _runs(frames: pa.Table) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    for match, player, rows in _groups(frames, "player"):
        if player is not None:
            yield (match, player), rows


def _groups(frames: pa.Table, by: str) -> Iterator[tuple[str, Any, np.ndarray]]:
    """Yield the rows of every match and value of a dictionary column."""
    if not frames.num_rows:
        return
    matches, match_names = _codes(frames["match"])
    values, value_names = _codes(frames[by])
    order = np.lexsort((values, matches))
    edges = np.flatnonzero((np.diff(matches[order]) != 0) | (np.diff(values[order]) != 0)) + 1
    for rows in np.split(order, edges):
        code = int(values[rows[0]])
        yield match_names[int(matches[rows[0]])], None if code < 0 else value_names[code], np.sort(rows)


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0)
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes, whole.dictionary.to_pylist()


def _ints(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.fill_null(_NO_TIME).to_numpy())
