"""What the report says in figures: computed once of the tables, for words and plots alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute

from gym_p2p.core.latency.statistics import figures
from gym_p2p.study.study import Study

__all__ = ["Figures", "Link", "figures_of"]


@attrs.frozen(eq=False)
class Link:
    """One player's round trips to another in one match.

    Attributes:
        match: the match.
        player: who measured.
        other: the other end.
        t_s: when, in seconds from the start of the match at ``player``.
        rtt_ms: the round trips.
    """

    match: str
    player: str
    other: str
    t_s: np.ndarray
    rtt_ms: np.ndarray

    @property
    def jitter_ms(self) -> np.ndarray:
        """The differences of successive round trips."""
        return np.abs(np.diff(self.rtt_ms))


@attrs.frozen(eq=False, kw_only=True)
class Figures:
    """A study, or a match of it, in figures.

    Attributes:
        matches: the rows of the matches.
        players: the rows of the players.
        episodes: the rows of the episodes.
        events: the rows of the events.
        probes: the rows of the probes.
        problems: the rows of the problems.
        links: every link between two players with a round trip.
        frames: how many frames were played, over all matches.
        guessed: seats in frames that another player's copy played with a guess; ``None`` where none says.
        timed: seats in frames of which it is known whether that was so.
    """

    matches: list[dict[str, Any]]
    players: list[dict[str, Any]]
    episodes: list[dict[str, Any]]
    events: list[dict[str, Any]]
    probes: list[dict[str, Any]]
    problems: list[dict[str, Any]]
    links: list[Link]
    frames: int
    guessed: int | None
    timed: int

    @property
    def rtt(self) -> dict[str, float] | None:
        """Figures over every round trip, as the documents have them; ``None`` without any."""
        values = np.concatenate([link.rtt_ms for link in self.links]) if self.links else np.zeros(0)
        if not len(values):
            return None
        quarter = np.percentile(values, [5, 25, 75])
        return {
            **figures(values.tolist()),
            "count": len(values),
            "p5_ms": float(quarter[0]),
            "p25_ms": float(quarter[1]),
            "p75_ms": float(quarter[2]),
        }

    @property
    def people(self) -> int:
        """How many different subjects there are; players of whom none is known count each."""
        return len({row["subject"] or (row["match"], row["player"]) for row in self.players})

    @property
    def ends(self) -> Counter[str]:
        """How many matches ended in which way."""
        return Counter(row["ended_by"] or "not known (still going on, or killed)" for row in self.matches)

    @property
    def never_connected(self) -> int:
        """Matches with documents, in none of which there is a frame, a round trip or a way to a peer."""
        met = {link.match for link in self.links}
        met |= {row["match"] for row in self.players if row["connection"] not in {None, "unknown"}}
        return sum(
            bool(row["documents"]) and not row["frames"] and row["match"] not in met for row in self.matches
        )

    @property
    def played_s(self) -> float:
        """How long all matches were, together."""
        spans = [
            (row["ended_at"] - row["started_at"]).total_seconds()
            for row in self.matches
            if row["ended_at"] is not None and row["started_at"] is not None
        ]
        return float(sum(max(0.0, span) for span in spans))

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind."""
        return [row for row in self.events if row["kind"] == kind]


def figures_of(study: Study, match: str | None = None) -> Figures:
    """Return the figures of a study, or of one of its matches."""
    frames = study.frames.arrow.select(["match", "predicted"])
    if match is not None:
        frames = frames.filter(pa.compute.equal(frames["match"].cast(pa.string()), match))
    predicted = frames["predicted"]
    timed = len(predicted) - predicted.null_count
    rows = {name: _rows(study, name, match) for name in _SMALL}
    return Figures(
        **rows,
        links=list(_links(study, match)),
        frames=sum(row["frames"] for row in rows["matches"]),
        guessed=(pa.compute.sum(predicted).as_py() or 0) if timed else None,
        timed=timed,
    )


_SMALL = ("matches", "players", "episodes", "events", "probes", "problems")


def _rows(study: Study, name: str, match: str | None) -> list[dict[str, Any]]:
    return [row for row in getattr(study, name) if match is None or row["match"] == match]


def _links(study: Study, match: str | None) -> Iterator[Link]:
    table = study.latency.arrow
    table = table.filter(pa.compute.equal(table["link"], "peer"))
    if match is not None:
        table = table.filter(pa.compute.equal(table["match"], match))
    columns: Mapping[str, list[Any]] = {
        name: table[name].to_pylist() for name in ("match", "from", "to", "t_ms", "rtt_ms")
    }
    places: dict[tuple[str, str, str], list[int]] = {}
    for row, key in enumerate(zip(columns["match"], columns["from"], columns["to"], strict=True)):
        if columns["t_ms"][row] is not None:
            places.setdefault(key, []).append(row)
    t_ms = np.array([t or 0 for t in columns["t_ms"]], np.float64)
    rtt = np.array(columns["rtt_ms"], np.float64)
    for (name, player, other), own in places.items():
        order = np.array(own)[np.argsort(t_ms[own], kind="stable")]
        yield Link(name, player, other, t_ms[order] / 1e3, rtt[order])
