"""What the report says in sentences, and the paragraph for a methods section."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

from gym_p2p.study.problems import plural
from gym_p2p.study.report.figures import Figures
from gym_p2p.version import __version__

__all__ = ["connection", "duration", "end", "ends", "methods", "never_connected", "rtt", "synchrony"]


def duration(seconds: float) -> str:
    """Return a length of time in words.

    >>> duration(9.04), duration(80), duration(7300)
    ('9.0 s', '1 min 20 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600):,} h {int(seconds % 3600 // 60)} min"


def ends(figures: Figures) -> str:
    """Return how the matches ended."""
    told = ", ".join(f"{reason}: {count:,}" for reason, count in figures.ends.most_common(6))
    return f"How they ended: {told}." if told else "No match was found."


def never_connected(figures: Figures) -> str:
    """Return how many matches never connected; empty where all did."""
    count, of = figures.never_connected, len(figures.matches)
    if not count:
        return ""
    if of == 1:
        return "The match never connected: no document of it has a frame, or a round trip."
    return (
        f"{count:,} of {plural(of, 'match', 'matches')} never connected: no document of them has a frame, "
        "or a round trip."
    )


def end(figures: Figures) -> str:
    """Return how the one match ended, for each player."""
    told = [f"{row['player']}: {row['ended_by'] or 'not known'}" for row in figures.players]
    return f"How it ended: {', '.join(told)}."


def rtt(figures: Figures) -> str:
    """Return the round trips in one sentence."""
    found = figures.rtt
    if found is None:
        return "No round trip was measured."
    return (
        f"The median round trip was {found['median_ms']:.1f} ms (5th to 95th percentile "
        f"{found['p5_ms']:.1f} to {found['p95_ms']:.1f} ms), over "
        f"{plural(int(found['count']), 'measurement')} of {plural(len(figures.links), 'link')}."
    )


def synchrony(figures: Figures) -> tuple[bool, str]:
    """Return whether the players' games are known to have been the same, and that in words."""
    compared = [row for row in figures.matches if row["synced"] is not None]
    apart = [row for row in compared if not row["synced"] or row["desyncs"]]
    checks = sum(row["hashes_compared"] + row["actions_compared"] for row in compared)
    if not compared:
        return (False, "Nothing could be compared: no match has the documents of two players.")
    if apart and len(figures.matches) == 1:
        return False, "The players' games or documents differed: see the desyncs and problems."
    if apart:
        return False, (
            f"In {len(apart):,} of {plural(len(compared), 'match', 'matches')} the players' games or "
            "documents differed: see the desyncs and problems."
        )
    return True, (
        f"All {plural(checks, 'comparison')} between players' documents agree, in "
        f"{plural(len(compared), 'match', 'matches')}."
    )


def connection(player: Mapping[str, Any]) -> str | None:
    """Return by which way a player's worst link went, and what carried the game's messages on it."""
    way, carrier, returns = (
        player[key] for key in ("connection", "game_transport", "game_transport_returns")
    )
    if way is None or carrier is None:
        return None if way is None else str(way)
    back = f", {plural(returns, 'return')} to the channel" if returns else ""
    return f"{way}, {carrier}{back}"


def methods(figures: Figures) -> list[str]:
    """Return the paragraphs for a methods section."""
    environments = sorted({row["environment"] for row in figures.matches if row["environment"]})
    modes = sorted({row["sync_mode"] for row in figures.matches if row["sync_mode"]})
    fps = sorted({row["fps"] for row in figures.matches if row["fps"]})
    count = len(figures.matches)
    where = _listed(environments) or "an environment that is not named"
    what = (
        f"{plural(count, 'match', 'matches')} of {where} by {plural(figures.people, 'player')} "
        f"({plural(figures.frames, 'frame')}, {duration(figures.played_s)}) were played peer to peer with "
        f"{_software(figures)}"
    )
    if modes:
        what += f", kept together by {_listed(modes)}"
    if fps:
        what += f" at {_listed([f'{rate:g}' for rate in fps])} frames a second"
    said = [f"{what}.", _latency_methods(figures), _guesses(figures), synchrony(figures)[1]]
    tools = (
        "Percentiles are interpolated linearly (Hyndman and Fan's type 7); jitter in the plots is the "
        f"absolute difference of successive round trips. This report was made with gym_p2p {__version__}, "
        f"Python {platform.python_version()}."
    )
    return [" ".join(part for part in said if part), tools]


def _software(figures: Figures) -> str:
    """Name what was played with; what the browser framework has saved has no version of ours."""
    versions = sorted({row["version"] for row in figures.players if row["version"]})
    told = [row for row in figures.players if row["source"] in {"documents", "frames"}]
    theirs = {row["match"] for row in figures.matches if row["schema_version"] is None}
    # When a match without any document or recording was made, only a match log of theirs says.
    logged = {
        row["match"]
        for row in figures.matches
        if not row["documents"] and row["recording"] is None and row["started_at"] is not None
    }
    found = [f"gym_p2p {_listed(versions) or '(version unknown)'}"]
    if logged or any(row["match"] in theirs for row in told):
        others = any(row["match"] not in theirs for row in figures.matches)
        found = [*(found if others else []), "the browser framework multi-user-gymnasium"]
    return " and ".join(found)


def _latency_methods(figures: Figures) -> str:
    found = figures.rtt
    if found is None:
        return "Round trips were not measured."
    return (
        "Round trips were measured on the links of the game itself (ICE consent checks, W3C webrtc-stats); "
        f"the median was {found['median_ms']:.1f} ms (interquartile range {found['p25_ms']:.1f} to "
        f"{found['p75_ms']:.1f} ms, 95th percentile {found['p95_ms']:.1f} ms, n = {int(found['count']):,})."
    )


def _guesses(figures: Figures) -> str:
    rollbacks = sum(row["rollbacks"] or 0 for row in figures.players)
    told = [row["mispredictions"] for row in figures.players if row["mispredictions"] is not None]
    if not told:
        return ""
    share = ""
    if figures.guessed is not None and figures.timed:
        share = f"{100 * figures.guessed / figures.timed:.1f} % of the actions were guessed at first; "
    return f"{share}{sum(told):,} guesses were wrong and led to {plural(rollbacks, 'rollback')}.".capitalize()


def _listed(words: Sequence[str], most: int = 4) -> str:
    shown = list(words[:most]) + ([f"{len(words) - most} more"] if len(words) > most else [])
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1] if shown else ""]))
