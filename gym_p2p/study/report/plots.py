"""The plots of the report: each an SVG with its title, or nothing where there is nothing to be seen."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from gym_p2p.study.problems import plural
from gym_p2p.study.report.figures import Figures, Link
from gym_p2p.study.report.page import Html, figure
from gym_p2p.study.report.svg import HATCHES, MARKERS, Plot, colour, label, line_style

__all__ = [
    "costs",
    "distribution",
    "jitters",
    "legend",
    "link_over_time",
    "links_over_time",
    "returns",
    "thinned",
    "waiting",
]

_MOST_LINES = 6
_MOST_POINTS = 500
"""Of a line: a picture of a million has a hundred megabytes."""
_MOST_SEATS = 8
_MOST_LINKS = 50
"""Lines of one colour, over each other."""


def link_over_time(plot: Plot, figures: Figures, match: str) -> Html | None:
    """Draw the round trips of a match's links, its outages and its rollbacks."""
    links = [link for link in figures.links if link.match == match][:_MOST_LINES]
    if not links:
        return None
    events = [row for row in figures.events if row["match"] == match and row["t_ms"] is not None]
    outages = [row for row in events if row["kind"] == "outage"]
    rollbacks = [row["t_ms"] / 1e3 for row in events if row["kind"] == "rollback"]
    with plot.axes() as (drawing, axes):
        for number, link in enumerate(links):
            axes.plot(
                link.t_s,
                link.rtt_ms,
                color=colour(number),
                linestyle=line_style(number),
                linewidth=1.8,
                label=f"{label(link.player)} → {label(link.other)}",
            )
        end = max(float(link.t_s[-1]) for link in links)
        _shade(axes, outages, end)
        if rollbacks:
            axes.plot(
                rollbacks,
                [0.03] * len(rollbacks),
                linestyle="none",
                marker="|",
                markersize=11,
                color="#000000",
                transform=axes.get_xaxis_transform(),
                label="rollback",
                clip_on=False,
            )
        axes.set(title="Round trips over time", xlabel="time in the match (s)", ylabel="RTT (ms)")
        axes.set_ylim(0, max(float(link.rtt_ms.max()) for link in links) * 1.1 or 1)
        axes.set_xlim(left=0)
        legend(drawing, axes)
        medians = ", ".join(
            f"{link.player} to {link.other} {np.median(link.rtt_ms):.1f} ms" for link in links
        )
        told = f"Match {match}. Medians: {medians}. {_told(outages, rollbacks)}"
        return figure(plot.svg(drawing, "Round trips over time", told), told)


def _told(outages: Sequence[Any], rollbacks: Sequence[Any]) -> str:
    """Say what is marked beside the lines."""
    gaps = f"shaded: {plural(len(outages), 'outage')}" if outages else "no outage"
    ticks = f"ticks at the bottom: {plural(len(rollbacks), 'rollback')}" if rollbacks else "no rollback"
    return f"{gaps}; {ticks}.".capitalize()


def _shade(axes: Any, outages: Sequence[dict[str, Any]], end: float) -> None:
    for number, row in enumerate(outages):
        start = row["t_ms"] / 1e3
        length = row["duration_ms"]
        stop = max(end, start) if length is None else start + length / 1e3
        axes.axvspan(
            start,
            stop,
            facecolor="#d9d9d9",
            edgecolor="#777777",
            hatch="///",
            linewidth=0,
            label="no answer (outage)" if number == 0 else None,
        )


def links_over_time(plot: Plot, figures: Figures) -> Html | None:
    """Draw the round trips of all matches over each other, with the median and the middle 90 %."""
    links = figures.links
    if not links:
        return None
    t, rtt = (np.concatenate([getattr(link, name) for link in links]) for name in ("t_s", "rtt_ms"))
    end = float(t.max()) or 1.0
    edges = np.linspace(0, end, min(60, max(4, int(end / 2))) + 1)
    place = np.clip(np.digitize(t, edges) - 1, 0, len(edges) - 2)
    kept = [number for number in range(len(edges) - 1) if (place == number).any()]
    middle = [(edges[number] + edges[number + 1]) / 2 / _scale(end)[0] for number in kept]
    low, median, high = np.array([np.percentile(rtt[place == number], [5, 50, 95]) for number in kept]).T
    scale, unit = _scale(end)
    drawn = links[:: -(-len(links) // _MOST_LINKS)]
    with plot.axes() as (drawing, axes):
        for number, link in enumerate(drawn):
            axes.plot(
                *_sparse(link.t_s / scale, link.rtt_ms),
                color="#bbbbbb",
                linewidth=0.6,
                label="a link" if number == 0 else None,
            )
        axes.fill_between(
            middle, low, high, facecolor="none", edgecolor="#0072b2", hatch="\\\\\\", label="middle 90 %"
        )
        axes.plot(middle, median, color="#000000", linewidth=2.4, label="median")
        axes.set(title="Round trips over time", xlabel=f"time in the match ({unit})", ylabel="RTT (ms)")
        axes.set_ylim(0, _top(rtt))
        axes.set_xlim(left=0)
        legend(drawing, axes)
        told = (
            f"{len(links)} links ({len(drawn)} drawn), {len(rtt):,} round trips: "
            f"median {np.median(rtt):.1f} ms, 5th and 95th percentile {np.percentile(rtt, 5):.1f} and "
            f"{np.percentile(rtt, 95):.1f} ms."
        )
        return figure(plot.svg(drawing, "Round trips over time, all matches", told), told)


def _sparse(t: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a line with no more points than a picture shows: of each stretch the highest."""
    stretch = -(-len(values) // 200)
    if stretch <= 1:
        return t, values
    starts = np.arange(0, len(values), stretch)
    highest = [int(start + np.argmax(values[start : start + stretch])) for start in starts]
    return t[highest], values[highest]


def _scale(end_s: float) -> tuple[float, str]:
    return (60.0, "min") if end_s > 300 else (1.0, "s")


def _top(values: np.ndarray) -> float:
    """Return where the axis ends: above all but a few extremes, which would press the rest together."""
    return float(max(np.percentile(values, 99.5) * 1.15, np.median(values) * 2, 1.0))


def distribution(
    plot: Plot, title: str, quantity: str, series: Sequence[tuple[str, np.ndarray]]
) -> Html | None:
    """Draw how quantities are distributed: the share of values up to each, one line a series."""
    shown = [(name, np.sort(values)) for name, values in series if len(values)]
    if not shown:
        return None
    with plot.axes() as (drawing, axes):
        for number, (name, values) in enumerate(shown):
            axes.step(
                *thinned(values),
                where="post",
                color=colour(number),
                linestyle=line_style(number),
                linewidth=2,
                label=name,
            )
        axes.set(title=title, xlabel=quantity, ylabel="share of values")
        axes.set_ylim(0, 1.02)
        axes.set_xlim(0, max(_top(values) for _, values in shown))
        if len(shown) > 1:
            legend(drawing, axes)
        told = " ".join(
            f"{name}: median {np.median(values):.1f} ms, 95th percentile {np.percentile(values, 95):.1f} ms, "
            f"largest {values[-1]:.1f} ms."
            for name, values in shown
        )
        return figure(plot.svg(drawing, title, told), told)


def thinned(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted values and the share of values up to each; of many, enough for a line."""
    share = np.arange(1, len(values) + 1) / len(values)
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_POINTS)).astype(int))
    return values[places], share[places]


def costs(plot: Plot, figures: Figures) -> Html | None:
    """Draw what guessing cost each player against their round trips."""
    rows = [row for row in figures.players if row["rtt_median_ms"] is not None and row["frames"]]
    kinds = (("rollbacks", "rollbacks"), ("wrong guesses", "mispredictions"), ("stalls", "stalls"))
    points = {
        name: [
            (row["rtt_median_ms"], row[column] * 1e3 / row["frames"])
            for row in rows
            if row[column] is not None
        ]
        for name, column in kinds
    }
    if not any(points.values()):
        return None
    with plot.axes() as (drawing, axes):
        for number, (name, own) in enumerate(points.items()):
            if own:
                axes.plot(
                    *zip(*own, strict=True),
                    linestyle="none",
                    marker=MARKERS[number],
                    markersize=8,
                    markerfacecolor="none",
                    markeredgecolor=colour(number),
                    markeredgewidth=1.6,
                    clip_on=False,
                    label=name,
                )
        axes.set(
            title="What guessing cost, against RTT",
            xlabel="median RTT of a player in a match (ms)",
            ylabel="per 1,000 frames",
        )
        drawn = [point for own in points.values() for point in own]
        axes.set_xlim(0, max(x for x, _ in drawn) * 1.1 or 1)
        axes.set_ylim(0, max(y for _, y in drawn) * 1.15 or 1)
        legend(drawing, axes)
        sums = {name: sum(row[column] or 0 for row in rows) for name, column in kinds}
        told = (
            f"{len(rows)} players of matches: " + ", ".join(f"{sums[name]:,} {name}" for name in sums) + "."
        )
        return figure(plot.svg(drawing, "Rollbacks, wrong guesses and stalls against RTT", told), told)


def waiting(plot: Plot, figures: Figures) -> Html | None:
    """Draw how long players waited in queues."""
    queues: dict[str, list[float]] = defaultdict(list)
    names = {row["match"]: row["queue"] for row in figures.probes}
    rooms = {row["match"]: row["room"] for row in figures.matches}
    for row in figures.players:
        if row["waited_ms"] is not None:
            queue = names.get(row["match"]) or rooms.get(row["match"]) or "A queue"
            queues[queue].append(row["waited_ms"] / 1e3)
    if not queues:
        return None
    shown = sorted(queues.items(), key=lambda pair: -len(pair[1]))[:_MOST_SEATS]
    with plot.axes(height=1.8 + 0.55 * len(shown)) as (drawing, axes):
        _boxes(axes, [(name, np.array(values)) for name, values in shown])
        axes.set(title="Waiting in queues", xlabel="wait before the match (s)")
        axes.set_xlim(left=0)
        told = " ".join(
            f"{name}: {plural(len(values), 'wait')}, median {np.median(values):.1f} s, "
            f"longest {max(values):.1f} s."
            for name, values in shown
        )
        return figure(plot.svg(drawing, "Waiting in queues", told), told)


def returns(plot: Plot, figures: Figures) -> Html | None:
    """Draw what each seat earned in an episode."""
    seats: dict[str, list[float]] = defaultdict(list)
    for row in figures.episodes:
        if row["return"] is not None and np.isfinite(row["return"]):
            seats[row["seat"]].append(row["return"])
    if not seats:
        return None
    shown = sorted(seats.items())[:_MOST_SEATS]
    with plot.axes(height=1.8 + 0.55 * len(shown)) as (drawing, axes):
        _boxes(axes, [(seat, np.array(values)) for seat, values in shown])
        axes.set(title="Returns of the seats", xlabel="sum of rewards in an episode")
        told = " ".join(
            f"{seat}: {plural(len(values), 'episode')}, mean {np.mean(values):.3g}, "
            f"{min(values):.3g} to {max(values):.3g}."
            for seat, values in shown
        )
        return figure(plot.svg(drawing, "Returns of the seats", told), told)


def _boxes(axes: Any, groups: Sequence[tuple[str, np.ndarray]]) -> None:
    """Draw a box for each group, lying, the first on top; with few values these themselves."""
    chance = np.random.default_rng(0)
    for number, (_name, values) in enumerate(groups):
        place = len(groups) - number
        if len(values) >= 5:
            drawn = axes.boxplot(
                values, positions=[place], orientation="horizontal", widths=0.5, patch_artist=True, sym="x"
            )
            drawn["boxes"][0].set(
                facecolor="#ffffff", hatch=HATCHES[number % len(HATCHES)], edgecolor="#444444"
            )
            drawn["medians"][0].set(color="#000000", linewidth=2.5)
        else:
            spread = place + chance.uniform(-0.12, 0.12, len(values))
            axes.plot(values, spread, "o", markerfacecolor="none", color="#000000", markersize=9)
    axes.set_yticks(
        range(len(groups), 0, -1), [textwrap.shorten(label(name), 16, placeholder="…") for name, _ in groups]
    )
    axes.set_ylim(0.4, len(groups) + 0.6)
    axes.grid(visible=False, axis="y")


def legend(drawing: Any, axes: Any) -> None:
    """Put the legend below the plot, where it hides nothing."""
    handles, names = axes.get_legend_handles_labels()
    if handles:
        drawing.legend(handles, names, loc="outside lower center", ncols=2 if len(names) > 1 else 1)


def jitters(links: Sequence[Link]) -> np.ndarray:
    """Return the differences of successive round trips of all links."""
    found = [link.jitter_ms for link in links]
    return np.concatenate(found) if found else np.zeros(0)
