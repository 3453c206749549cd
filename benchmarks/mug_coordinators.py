"""What becomes of pages that misbehave: our coordinator and planner beside the framework's own.

``python -m benchmarks.mug_coordinators`` prints a table in Markdown: for our planner on our probes, for the
framework's matchmaker on our probes, and for the framework as it is. All play the same scenarios with the
released framework, its real server and its real pages in Chromium; a page misbehaves at its websocket. Times
are from pressing start to "Players found!"; ``never`` is not within ``PATIENCE_S``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import attrs

from tests.plugins.mug.real import Browser, Page, Server, running_browser, running_server

PATIENCE_S = 20.0
"""Above the 10 s after which a page gives up by itself, and the framework's next attempt after it."""


@attrs.frozen
class Scenario:
    """Pages that join at once, those that join later, and who of them ought to play."""

    title: str
    first: Sequence[str]
    later: Sequence[str] = ()
    later_after_s: float = 0.0


SCENARIOS = (
    Scenario("two honest pages", ("honest", "honest")),
    Scenario("one is silent; 4 s later a third one comes", ("silent", "honest"), ("honest",), 4.0),
    Scenario("one claims 120 ms", ("liar", "honest")),
    Scenario("one leaves mid-probe; 1 s later a third one comes", ("leaver", "honest"), ("honest",), 1.0),
    Scenario("one does not report", ("mute", "honest")),
    Scenario("ten at once", ("honest",) * 10),
)


def main() -> None:
    """Play every scenario with each of the three, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    _row("pages", "our planner: who plays, and after how many s", "its matchmaker on our probes", "its own")
    _row(*["---"] * 4)
    with running_browser() as browser:
        for scenario in SCENARIOS:
            cells = [play(browser, scenario, whose) for whose in ("ours", "probes", "theirs")]
            _row(scenario.title, *cells)


def _row(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


def play(browser: Browser, scenario: Scenario, whose: str) -> str:
    """Play one scenario on a server of its own; return what came of it, as a cell of the table."""
    kinds = {f"{kind}-{number}": kind for number, kind in enumerate((*scenario.first, *scenario.later))}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), whose) as server,
        browser.pages(server, **kinds) as opened,
    ):
        pages = list(opened.values())
        for page in pages[: len(scenario.first)]:
            page.join()
        time.sleep(scenario.later_after_s)
        for page in pages[len(scenario.first) :]:
            page.join()
        able = [page for page in pages if page.kind not in {"silent", "leaver"}]
        return _cell(server, able, _wait(able))


def _wait(pages: Sequence[Page]) -> list[float | None]:
    """Return of each page after how many seconds it was to play; ``None``: it was not."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and any(page.first("match_found_countdown") is None for page in pages):
        time.sleep(0.2)
    return [_took_s(page) for page in pages]


def _took_s(page: Page) -> float | None:
    joined, found = page.first("join_game"), page.first("match_found_countdown")
    return None if joined is None or found is None else (found["at"] - joined["at"]) / 1000


def _cell(server: Server, pages: Sequence[Page], waited: Sequence[float | None]) -> str:
    took_s = [one for one in waited if one is not None]
    span = f"{min(took_s):.1f} to {max(took_s):.1f}" if took_s else "never"
    figures = [
        probe["rtt_ms"] for one in server.decisions if one["kind"] == "made" for probe in one["probes"]
    ]
    known = f"; measured {max(figures):.0f} ms" if figures else ""
    return f"{len(took_s)} of {len(pages)}, {span}{known}"


if __name__ == "__main__":
    main()
