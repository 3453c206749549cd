"""One match on one clock: what happened to each player, below each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gym_p2p.study.report.figures import Figures
from gym_p2p.study.report.page import Html, figure
from gym_p2p.study.report.plots import legend, thinned
from gym_p2p.study.report.svg import Plot, colour, label, line_style
from gym_p2p.study.study import Study

__all__ = ["Clock", "clocks", "confirmation", "timeline"]


@attrs.frozen
class Clock:
    """How a player's clock is put onto the first player's.

    Attributes:
        player: whose.
        start_ms: when the match began for them, in Unix ms of the first player's clock.
        bound_ms: how far that may be off; ``None`` where none is known: the clocks are taken as equal.
    """

    player: str
    start_ms: float
    bound_ms: float | None


def clocks(figures: Figures) -> list[Clock]:
    """Return the clocks of a match's players; the first player's is the one that counts."""
    known = [row for row in figures.players if row["started_at"] is not None]
    found: list[Clock] = []
    for row in known:
        start = row["started_at"].timestamp() * 1e3
        offset, bound = (0.0, 0.0) if not found else _offset(figures, known[0]["player"], row["player"])
        found.append(Clock(row["player"], start - offset, bound))
    return found


def _offset(figures: Figures, first: str, other: str) -> tuple[float, float | None]:
    """Return the other's clock minus the first one's, by the estimate with the smallest bound."""
    told = [
        (_bound(row), row["value"] if row["player"] == first else -row["value"])
        for row in figures.of_kind("clock_offset")
        if {row["player"], row["other"]} == {first, other} and row["value"] is not None
    ]
    if not told:
        return 0.0, None
    bound, offset = min(told)
    return offset, bound


def _bound(row: dict[str, Any]) -> float:
    told = json.loads(row["detail"] or "{}").get("boundMs")
    return float(told) if isinstance(told, int | float) else float("inf")


_MARKS = (
    ("rollback", "|", "rollback"),
    ("desync", "x", "desync"),
    ("disconnection", "v", "link broke"),
    ("departure", "D", "somebody left"),
    ("end", "s", "end"),
)


def timeline(plot: Plot, figures: Figures) -> Html | None:
    """Draw the timeline of a match."""
    found = clocks(figures)
    if not found:
        return None
    zero = min(clock.start_ms for clock in found)
    with plot.axes(height=2.0 + 0.8 * len(found)) as (drawing, axes):
        for number, clock in enumerate(found):
            _lane(axes, figures, clock, zero, len(found) - number)
        axes.set_yticks(range(len(found), 0, -1), [label(clock.player, most=14) for clock in found])
        axes.set_ylim(0.4, len(found) + 0.6)
        axes.grid(visible=False, axis="y")
        axes.set(title="What happened to whom", xlabel=f"time on the clock of {label(found[0].player)} (s)")
        axes.set_xlim(left=0)
        _legend_once(drawing, axes)
        told = f"{_counts(figures)} {_on_one_clock(found)}"
        return figure(plot.svg(drawing, "Timeline of the match", told), told)


def _lane(axes: Any, figures: Figures, clock: Clock, zero: float, place: int) -> None:
    own = [row for row in figures.events if row["player"] == clock.player and row["t_ms"] is not None]
    row = next(row for row in figures.players if row["player"] == clock.player)
    start = (clock.start_ms - zero) / 1e3
    if row["ended_at"] is not None:
        end = start + (row["ended_at"] - row["started_at"]).total_seconds()
        axes.plot([start, end], [place, place], color="#999999", linewidth=2, zorder=1)
    for event in own:
        if event["kind"] in {"outage", "pause"} and event["duration_ms"]:
            begin = start + event["t_ms"] / 1e3
            axes.barh(
                place,
                event["duration_ms"] / 1e3,
                left=begin,
                height=0.5,
                facecolor="#d9d9d9" if event["kind"] == "outage" else "#ffffff",
                edgecolor="#555555",
                hatch="///" if event["kind"] == "outage" else "...",
                linewidth=0.8,
                label="no answer (outage)" if event["kind"] == "outage" else "waited",
                zorder=2,
            )
    for kind, marker, name in _MARKS:
        at = [start + event["t_ms"] / 1e3 for event in own if event["kind"] == kind]
        if at:
            axes.plot(
                at,
                [place] * len(at),
                linestyle="none",
                marker=marker,
                markersize=18 if marker == "|" else 10,
                markeredgewidth=1.2 if marker == "|" else 2.2,
                markerfacecolor="none",
                markeredgecolor="#d55e00" if kind == "desync" else "#000000",
                label=name,
                zorder=3,
            )


def _legend_once(drawing: Any, axes: Any) -> None:
    handles, names = axes.get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))
    if once:
        drawing.legend(once.values(), once.keys(), loc="outside lower center", ncols=2)


def _counts(figures: Figures) -> str:
    kinds = {"rollback": "rollbacks", "outage": "outages", "desync": "desyncs", "pause": "pauses"}
    counts = ", ".join(f"{len(figures.of_kind(kind))} {name}" for kind, name in kinds.items())
    return f"By all players' accounts: {counts}."


def _on_one_clock(found: Sequence[Clock]) -> str:
    others = found[1:]
    unknown = [clock.player for clock in others if clock.bound_ms is None]
    known = [clock for clock in others if clock.bound_ms is not None]
    parts = [f"{clock.player}'s clock is true to ±{clock.bound_ms:.1f} ms here." for clock in known]
    if unknown:
        parts.append(f"How far the clocks of {', '.join(unknown)} are off is not known: taken as equal.")
    return " ".join(parts)


def confirmation(plot: Plot, study: Study, match: str) -> Html | None:
    """Draw how long frames had to wait until everybody's actions of them were known, by player."""
    frames = study.frames.arrow.select(["match", "episode", "frame", "player", "t_ms", "confirmed_ms"])
    table = frames.filter(pc.equal(frames["match"].cast(pa.string()), match))
    table = table.filter(pc.and_(pc.is_valid(table["confirmed_ms"]), pc.is_valid(table["player"])))
    if not table.num_rows:
        return None
    players = table["player"].cast(pa.string()).to_pylist()
    waits = table["confirmed_ms"].to_numpy() - table["t_ms"].to_numpy()
    with plot.axes() as (drawing, axes):
        for number, player in enumerate(dict.fromkeys(players)):
            own = np.array([name == player for name in players])
            values, share = thinned(np.sort(waits[own]))
            axes.step(
                values,
                share,
                where="post",
                color=colour(number),
                linestyle=line_style(number),
                label=label(player),
            )
        axes.set(title="From playing to being sure", xlabel="confirmed after (ms)", ylabel="share of frames")
        legend(drawing, axes)
        told = f"{table.num_rows:,} frames: median {np.median(waits):.0f} ms."
        return figure(plot.svg(drawing, "From playing a frame to being sure of it", told), told)
