"""Puts the report together: of a study, or of one match of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from gym_p2p.errors import UsageError
from gym_p2p.study.problems import plural
from gym_p2p.study.report import page, plots, words
from gym_p2p.study.report.figures import Figures, figures_of
from gym_p2p.study.report.page import Html
from gym_p2p.study.report.svg import Plot
from gym_p2p.study.report.timeline import confirmation, timeline
from gym_p2p.study.study import Study

__all__ = ["find_match", "report_html"]

_MOST_MATCHES = 300
_MOST_PROBLEMS = 200
_MOST_DESYNCS = 50
_FULL_PLOTS = 4
"""Of so many matches each has a plot of its own; of more, they are laid over each other."""


def report_html(
    study: Study, match: str | None = None, *, progress: Callable[[str], None] | None = None
) -> str:
    """Return the report as one page of HTML.

    Args:
        study: what was loaded.
        match: only of this match; see :func:`find_match`.
        progress: is called with what is being done, in words.

    Raises:
        UsageError: there is no such match, or more than one.
    """
    say = progress or (lambda _text: None)
    if match is not None:
        match = find_match(study, match)
    say("drawing")
    figures, plot = figures_of(study, match), Plot()
    parts = [_first_screen(figures, match)]
    if match is not None:
        parts.append(_one_match(study, figures, plot, match))
    parts += [
        _latency(figures, plot),
        *_people(figures, plot),
        _costs(figures, plot),
        _waiting(figures, plot),
        _episodes(figures, plot),
    ]
    parts += [_desyncs(figures), _problems(figures)]
    if match is None:
        parts.append(_matches(figures))
    parts.append(
        page.section(
            "For the methods section",
            [page.paragraph(said, kind="methods") for said in words.methods(figures)],
            name="methods",
        )
    )
    name = f"Study {study.path.name or study.path}"
    return page.page(name if match is None else f"Match {match}", _subtitle(figures), parts)


def find_match(study: Study, wanted: str) -> str:
    """Return a match's id; the begin of one will do where it is the only one that begins so.

    Raises:
        UsageError: there is no such match, or more than one.
    """
    known = study.matches["match"].to_pylist()
    if wanted in known:
        return wanted
    fitting = [name for name in known if name.startswith((wanted, f"match-{wanted}"))]
    if len(fitting) == 1:
        return str(fitting[0])
    some = ", ".join(map(str, (fitting or known)[:5]))
    what = "more than one match begins with" if fitting else "there is no match"
    raise UsageError(f"{what} {wanted!r} in {study.path}; there are {some or 'none'}")


def _subtitle(figures: Figures) -> str:
    starts = [row["started_at"] for row in figures.matches if row["started_at"] is not None]
    environments = sorted({row["environment"] for row in figures.matches if row["environment"]})
    when = ""
    if starts:
        days = sorted({_day(min(starts)), _day(max(starts))})
        when = f", played {' to '.join(days)} (UTC)"
    return f"{', '.join(environments[:3]) or 'Environment not known'}{when}"


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"


def _first_screen(figures: Figures, match: str | None) -> Html:
    count = len(figures.matches)
    tiles = [
        (f"{count:,}", "match" if count == 1 else "matches"),
        (f"{figures.people:,}", "player" if figures.people == 1 else "players"),
        (f"{figures.frames:,}", "frames"),
        (words.duration(figures.played_s), "of play"),
    ]
    if match is not None:
        episodes = max((row["episode"] for row in figures.episodes), default=0)
        tiles[0] = (f"{episodes:,}", "episode" if episodes == 1 else "episodes")
    found = figures.rtt
    tiles.append((f"{found['median_ms']:.1f} ms" if found is not None else "-", "median RTT"))
    good, said = words.synchrony(figures)
    problems = len(figures.problems)
    parts = [
        page.tiles(tiles),
        page.paragraph(words.rtt(figures), kind="lead"),
        page.paragraph(words.ends(figures) if match is None else words.end(figures)),
        *(page.paragraph(apart, kind="bad") for apart in [words.never_connected(figures)] if apart),
        page.paragraph(said, kind="good" if good else "bad"),
        page.paragraph(
            f"{plural(problems, 'problem')} found: see below." if problems else "No problem found."
        ),
    ]
    return Html(f"<section>{''.join(part.source for part in parts)}</section>")


def _one_match(study: Study, figures: Figures, plot: Plot, match: str) -> Html:
    players = page.table(
        "The players",
        (
            *("player", "subject", "seats", "ended by", "connection", "return"),
            *("rollbacks", "wrong guesses", "stalls", "median RTT (ms)", "jitter (ms)"),
        ),
        [
            (
                row["player"],
                row["subject"],
                ", ".join(json.loads(row["seats"] or "[]")),
                row["ended_by"],
                words.connection(row),
                _figure(row["total_return"], "g"),
                row["rollbacks"],
                row["mispredictions"],
                row["stalls"],
                _figure(row["rtt_median_ms"]),
                _figure(row["jitter_ms"]),
            )
            for row in figures.players
        ],
        numbers=range(5, 11),
    )
    drawn = [timeline(plot, figures), confirmation(plot, study, match)]
    return page.section("The match", [*filter(None, drawn), players], name="match")


def _latency(figures: Figures, plot: Plot) -> Html:
    matches = list(dict.fromkeys(link.match for link in figures.links))
    if len(matches) <= _FULL_PLOTS:
        drawn = [plots.link_over_time(plot, figures, match) for match in matches]
    else:
        drawn = [plots.links_over_time(plot, figures)]
    rtts = np.concatenate([link.rtt_ms for link in figures.links]) if figures.links else np.zeros(0)
    drawn += [
        plots.distribution(
            plot,
            "Round trips, and one way",
            "ms",
            [("RTT", rtts), ("One way, taken as half of it", rtts / 2)],
        ),
        plots.distribution(
            plot,
            "Jitter",
            "change from one round trip to the next (ms)",
            [("Jitter", plots.jitters(figures.links))],
        ),
    ]
    told = [part for part in drawn if part is not None]
    return page.section("Latency", told or [page.paragraph("No round trip was measured.")], name="latency")


def _people(figures: Figures, plot: Plot) -> Iterator[Html]:
    """Yield what people at pages felt; nothing where none played."""
    people = [row for row in figures.players if row["page_link"] is not None]
    if not people:
        return
    felt = np.array([one for row in people for one in row["action_latencies_ms"] or ()], np.float64)
    drawn = plots.distribution(
        plot, "Action latency", "from a key to the frame that shows its effect (ms)", [("Keys", felt)]
    )
    shown = page.table(
        "People at pages",
        (
            *("match", "player", "page's link", "page RTT (ms)", "keys"),
            *("action latency: median (ms)", "95th percentile (ms)", "frames shown", "skipped"),
        ),
        [
            (
                row["match"],
                row["player"],
                row["page_link"],
                _figure(row["page_rtt_median_ms"]),
                row["action_latencies"],
                _figure(row["action_latency_median_ms"]),
                _figure(row["action_latency_p95_ms"]),
                row["frames_shown"],
                row["frames_skipped"],
            )
            for row in people[:_MOST_MATCHES]
        ],
        numbers=range(3, 9),
    )
    parts = [drawn or page.paragraph("No key was pressed."), shown, *_more(len(people), _MOST_MATCHES)]
    yield page.section("What people felt", parts, name="people")


def _costs(figures: Figures, plot: Plot) -> Html:
    drawn = plots.costs(plot, figures)
    return page.section(
        "Rollbacks, wrong guesses and stalls",
        [drawn or page.paragraph("No session document says what guessing cost.")],
        name="costs",
    )


def _waiting(figures: Figures, plot: Plot) -> Html:
    drawn = plots.waiting(plot, figures)
    probes = [row for row in figures.probes if row["pair_rtt_ms"] is not None]
    parts = [drawn or page.paragraph("No match came from a queue.")]
    if figures.probes:
        rtts = [row["pair_rtt_ms"] for row in probes]
        said = f"{plural(len(figures.probes), 'report')} of probes before the matches"
        if rtts:
            said += f"; the round trips that were decided by: median {np.median(rtts):.1f} ms"
        parts.append(page.paragraph(f"{said}."))
    return page.section("Waiting and matching", parts, name="waiting")


def _episodes(figures: Figures, plot: Plot) -> Html:
    count = len({(row["match"], row["episode"]) for row in figures.episodes})
    over = {(row["match"], row["episode"]): row["ended_by"] for row in figures.episodes}
    ends: dict[str, int] = {}
    for reason in over.values():
        ends[reason or "not said"] = ends.get(reason or "not said", 0) + 1
    said = ", ".join(
        f"{reason}: {number:,}" for reason, number in sorted(ends.items(), key=lambda pair: -pair[1])
    )
    parts = [page.paragraph(f"{plural(count, 'episode')}{f' ({said})' if said else ''}.")]
    drawn = plots.returns(plot, figures)
    parts.append(drawn or page.paragraph("No document and no recording says what was earned."))
    return page.section("Episodes and returns", parts, name="episodes")


def _desyncs(figures: Figures) -> Html:
    found = figures.of_kind("desync")
    if not found:
        return page.section("Desyncs", [page.paragraph("None was found.")], name="desyncs")
    rows = [row for event in found for row in _fields(event)]
    shown = page.table(
        f"Checked frames that differed ({len(found):,})",
        ("match", "player", "episode", "frame", "differs in", "field", "ours", "theirs"),
        rows[:_MOST_DESYNCS],
        numbers=(2, 3),
    )
    return page.section("Desyncs", [shown, *_more(len(rows), _MOST_DESYNCS)], name="desyncs")


def _fields(event: dict[str, Any]) -> Iterator[Sequence[Any]]:
    detail = json.loads(event["detail"] or "{}")
    first = (event["match"], event["player"], event["episode"], event["frame"], detail.get("differsIn"))
    fields = [one for one in detail.get("stateDifferences") or () if isinstance(one, dict)]
    for one in fields[:5]:
        yield (*first, one.get("path"), one.get("ours"), one.get("theirs"))
    if not fields:
        yield (*first, None, None, None)


def _problems(figures: Figures) -> Html:
    if not figures.problems:
        return page.section("Problems", [page.paragraph("None was found.")], name="problems")
    shown = page.table(
        f"What could not be read, and where documents do not agree ({len(figures.problems):,})",
        ("kind", "match", "player", "file", "problem"),
        [
            (row["kind"], row["match"], row["player"], row["path"], row["problem"])
            for row in figures.problems[:_MOST_PROBLEMS]
        ],
    )
    return page.section("Problems", [shown, *_more(len(figures.problems), _MOST_PROBLEMS)], name="problems")


def _matches(figures: Figures) -> Html:
    shown = page.table(
        "Every match; gym-p2p report PATH --match ID shows one",
        ("match", "started (UTC)", "players", "frames", "ended by", "the same", "desyncs", "problems"),
        [
            (
                row["match"],
                row["started_at"] and f"{row['started_at']:%Y-%m-%d %H:%M}",
                row["players"],
                f"{row['frames']:,}",
                row["ended_by"],
                {True: "yes", False: "NO", None: None}[row["synced"]],
                row["desyncs"],
                row["problems"],
            )
            for row in figures.matches[:_MOST_MATCHES]
        ],
        numbers=(2, 3, 6, 7),
    )
    return page.section("Matches", [shown, *_more(len(figures.matches), _MOST_MATCHES)], name="matches")


def _more(count: int, shown: int) -> list[Html]:
    if count <= shown:
        return []
    return [page.paragraph(f"{count - shown:,} more rows are in the tables (gym_p2p.load).")]


def _figure(value: float | None, form: str = ".1f") -> str | None:
    return None if value is None else f"{value:{form}}"
