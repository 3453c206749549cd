"""Figures of a measurement: samples to rounds, rounds to a report. Knows no clock and no process."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from gym_p2p.core.latency.statistics import nearest_rank

__all__ = ["ON_TIME", "Report", "Round", "Row", "Series", "less", "times_between"]

_ON_TIME_FRAMES = 1.25

ON_TIME = f"on time: at most {_ON_TIME_FRAMES:g} of a frame's time after the frame before"
"""The note of a report that says how many frames are."""


@attrs.frozen
class Round:
    """One round of one series: how many samples, their median and 99th percentile."""

    count: int
    p50: float
    p99: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Round:
        """Return the round that samples make, of which there is at least one."""
        return cls(len(samples), statistics.median(samples), nearest_rank(samples, 0.99))


@attrs.frozen(kw_only=True)
class Series:
    """The same thing measured round after round.

    Attributes:
        name: what was measured, e.g. ``"step, network=process"``.
        unit: of all figures, e.g. ``"us"``.
    """

    name: str
    unit: str
    rounds: tuple[Round, ...]

    @property
    def p50(self) -> float | None:
        """The median of the rounds' medians; ``None`` without samples."""
        return statistics.median(one.p50 for one in self.rounds) if self.rounds else None

    @property
    def p99(self) -> float | None:
        """The median of the rounds' 99th percentiles; ``None`` without samples."""
        return statistics.median(one.p99 for one in self.rounds) if self.rounds else None


@attrs.frozen
class Row:
    """One line of a report: ours beside its floor and its anchor; ``None`` is "there is none"."""

    what: str
    unit: str
    ours: float | None
    floor: float | None = attrs.field(default=None, kw_only=True)
    anchor: float | None = attrs.field(default=None, kw_only=True)

    @property
    def per_floor(self) -> float | None:
        """Ours as a multiple of the floor."""
        return _ratio(self.ours, self.floor)

    @property
    def per_anchor(self) -> float | None:
        """Ours as a multiple of the anchor."""
        return _ratio(self.ours, self.anchor)


@attrs.frozen(kw_only=True)
class Report:
    """What one bench found.

    Attributes:
        bench: its name.
        settings: its options, plain data.
        notes: what floor and anchor are here, a sentence each.
        rows: the table.
        series: what the rows were made of, round by round.
        columns: what a row's ``ours``, ``floor`` and ``anchor`` are called here.
    """

    bench: str
    settings: Mapping[str, Any]
    notes: Sequence[str]
    rows: Sequence[Row]
    series: Sequence[Series]
    columns: tuple[str, str, str] = ("ours", "floor", "anchor")

    def to_mapping(self) -> dict[str, Any]:
        """Return it as plain JSON-ready data."""
        ratios = [{"per_floor": row.per_floor, "per_anchor": row.per_anchor} for row in self.rows]
        plain = attrs.asdict(self)
        return {**plain, "rows": [row | ratio for row, ratio in zip(plain["rows"], ratios, strict=True)]}


def less(value: float | None, part: float | None) -> float | None:
    """Return what remains of a figure without a part of it; ``None`` where either is unknown."""
    return None if value is None or part is None else value - part


def times_between(ended_s: Sequence[float], fps: float) -> tuple[list[float], float]:
    """Return the times from one frame's end to the next one's, in ms, and the share of them on time."""
    between = [(after - before) * 1e3 for before, after in itertools.pairwise(ended_s)]
    latest_ms = _ON_TIME_FRAMES * 1e3 / fps
    return between, sum(one <= latest_ms for one in between) / max(1, len(between))


def _ratio(ours: float | None, other: float | None) -> float | None:
    return None if ours is None or not other else ours / other
