"""How right a probe between a Python peer and headless Chromium is, in both roles, on paths of known delay.

``python -m benchmarks.probe_chromium --node-modules DIR [--probes 5] [--rtt-ms 0 50] [--json]``. Chromium
runs inside a host of the laboratory, so the truth is the forwarder's, as in
:mod:`benchmarks.probe_accuracy`; so are the table's columns: side 1 is the Python peer, side 2 the page, and
the single reading is Chromium's ``getStats()`` half a second after it has connected. ``DIR`` is where npm has
put what the browser tests need (``build/browser-tests/node_modules``).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console

from benchmarks.probe_accuracy import peers, probe, service, service_url
from benchmarks.probe_ends import HELD_OPEN_S, READ_AFTER_S
from benchmarks.probe_figures import ROUND_TRIPS_MS, LabPath, Probed, paths, probed, table, truth
from tests.browser.chromium import Chromium, Page, running_chromium, serving_pages
from tests.lab import Lab
from tests.lab.namespaces import why_not

__all__ = ["main"]

OFFERER, ANSWERER, PAGE = "a", "z", "m"
"""By the browsers' rule the name that sorts first offers; these are hosts and subjects alike."""


@contextlib.asynccontextmanager
async def player(chromium: Chromium, url: str) -> AsyncIterator[Page]:
    """A page that has registered and takes part in probes."""
    async with chromium.page() as page:
        await page.call("start", url=url, subject=PAGE, plain=False)
        await page.call("watchStats", afterMs=READ_AFTER_S * 1e3, keptMs=HELD_OPEN_S * 1e3)
        yield page
        await page.call("close")


async def measure_path(
    lab: Lab, serving: subprocess.Popen[bytes], page: Page, python: str, path: LabPath, *, probes: int
) -> Probed:
    """Probe a Python peer and the page so often on one path."""
    lab.condition(**path.settings)
    lab.take_held_ms(python, PAGE)
    lab.take_held_ms(PAGE, python)
    known = len(await page.call("readings"))
    outcomes = []
    for _ in range(probes):
        outcomes.append(await asyncio.to_thread(probe, serving, python, PAGE))
        await asyncio.sleep(HELD_OPEN_S + 2 * path.rtt_ms / 1e3)
    truth_ms = truth(lab.take_held_ms(python, PAGE), lab.take_held_ms(PAGE, python))
    readings: list[float | None] = (await page.call("readings"))[known:]
    late_ms = lab.counters().ways[python, PAGE].late_max_ms
    return probed(
        path, (truth_ms, None), outcomes, [reading for reading in readings if reading is not None], late_ms
    )


async def measure(
    lab: Lab,
    serving: subprocess.Popen[bytes],
    chromium: Chromium,
    chosen: Sequence[LabPath],
    *,
    probes: int,
    progress: Console,
) -> dict[str, list[Probed]]:
    """Measure all paths in both roles."""
    found: dict[str, list[Probed]] = {}
    async with player(chromium, service_url(lab)) as page:
        for role, python in (("Python offers", OFFERER), ("the page offers", ANSWERER)):
            await measure_path(lab, serving, page, python, LabPath(0.0), probes=1)
            for path in chosen:
                progress.print(f"{role}: {path.name}")
                measured = await measure_path(lab, serving, page, python, path, probes=probes)
                found.setdefault(role, []).append(measured)
    return found


def run(
    chosen: Sequence[LabPath], *, node_modules: Path, program: str, probes: int, progress: Console
) -> dict[str, list[Probed]]:
    """Build everything, and measure."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        lab = stack.enter_context(Lab([OFFERER, PAGE, ANSWERER]))
        with lab.inside(PAGE):  # the pages' server and the browser live there
            pages_url = stack.enter_context(serving_pages(node_modules))
            chromium = stack.enter_context(running_chromium(node_modules, program, pages_url))
        serving = stack.enter_context(service(lab, folder, cors_origins=[pages_url]))
        stack.enter_context(peers(lab, OFFERER, ANSWERER))
        return asyncio.run(measure(lab, serving, chromium, chosen, probes=probes, progress=progress))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Compare probes with Chromium with paths of known delay.")
    parser.add_argument("--node-modules", type=Path, required=True)
    parser.add_argument("--probes", type=int, default=5)
    parser.add_argument("--rtt-ms", type=float, nargs="+", default=list(ROUND_TRIPS_MS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    program = shutil.which("chromium")
    if reason := why_not() or (program is None and "no chromium"):
        sys.exit(f"not possible here: {reason}")
    found = run(
        paths(options.rtt_ms, in_order=False),
        node_modules=options.node_modules.absolute(),
        program=str(program),
        probes=options.probes,
        progress=Console(stderr=True),
    )
    if options.json:
        plain: dict[str, list[dict[str, Any]]] = {
            role: [attrs.asdict(one) for one in lines] for role, lines in found.items()
        }
        sys.stdout.write(json.dumps(plain) + "\n")
    else:
        for role, lines in found.items():
            Console(width=200).print(role, table(lines))


if __name__ == "__main__":
    main()
