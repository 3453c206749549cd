"""What a study costs: its bytes on the disk, to load it, to make its report, beside the format before.

Run as a program it loads one study and prints what that took: a process of its own, for its memory's sake.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gym_p2p.bench.checkpoint import checkpoint_rows
from gym_p2p.bench.figures import Report, Row
from gym_p2p.bench.made_study import Format, make_study
from gym_p2p.errors import P2PError
from gym_p2p.processes.python import python_command

__all__ = ["bench_data"]

_MATCHES, _MINUTES, _FPS = 200, 10.0, 30.0
_TARGETS = {"load_s": 30.0, "memory_bytes": 2000.0}
"""Of 200 matches of 10 minutes at 30 frames a second, on two cores with nothing else to do."""
_FORMATS: tuple[Format, ...] = ("now", "before")


def bench_data(
    *, progress: Callable[[str], None], matches: int = _MATCHES, minutes: float = _MINUTES, fps: float = _FPS
) -> Report:
    """Make a study of matches of two players, load it, make its report; the same in the format before."""
    found: dict[str, dict[str, float]] = {}
    every = max(1, matches // 10)

    def made(count: int) -> None:
        if count % every == 0:
            progress(f"making the study: {count} of {matches} matches")

    for kind in _FORMATS:
        with tempfile.TemporaryDirectory(prefix="gym-p2p-bench-") as folder:
            size = make_study(Path(folder), matches=matches, minutes=minutes, fps=fps, kind=kind, made=made)
            progress(f"loading it, {'as it is now' if kind == 'now' else 'in the format before'}")
            found[kind] = {"bytes": size, **_measured(folder)}
    costs = list(checkpoint_rows(progress=progress, longest=60 if minutes >= 1 else 1))
    now, before = (found[kind] for kind in _FORMATS)
    rows = [
        Row(what, unit, now[key] / per, floor=before[key] / per, anchor=_TARGETS.get(key))
        for what, unit, key, per in (
            ("on the disk", "MB", "bytes", 1e6),
            ("a match on the disk", "MB", "bytes", 1e6 * matches),
            ("gym_p2p.load", "s", "load_s", 1.0),
            ("the processors' time for it, start included", "s", "load_cpu_s", 1.0),
            ("rows of frames", "millions", "rows", 1e6),
            ("memory, at most, with the processes that help", "MB", "memory_bytes", 1e6),
            ("the report", "s", "report_s", 1.0),
            ("the report's page", "MB", "page_bytes", 1e6),
        )
    ]
    return Report(
        bench="data",
        settings={"matches": matches, "minutes": minutes, "fps": fps},
        notes=[
            f"{matches} matches of two players, {minutes:g} minutes at {fps:g} frames a second.",
            "Before: plain JSON without times, results, all round trips and recordings.",
        ],
        rows=[*rows, *costs],
        series=(),
        columns=("now", "before", "target"),
    )


def _measured(folder: str) -> dict[str, float]:
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        python_command("gym_p2p.bench.data", folder), stdout=subprocess.PIPE, check=False, text=True
    )
    if done.returncode:
        raise P2PError("the process that loads the study failed; what it said is above")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _main(folder: str) -> None:
    from gym_p2p.study.report.report import report_html  # noqa: PLC0415 - an optional extra
    from gym_p2p.study.study import load  # noqa: PLC0415 - with it

    began = time.perf_counter()
    study = load(folder, progress=False)
    loaded = time.perf_counter()
    cpu_s = sum(os.times()[:4])
    page = report_html(study)
    done = time.perf_counter()
    told: dict[str, Any] = {
        "load_s": loaded - began,
        "load_cpu_s": cpu_s,
        "report_s": done - loaded,
        "rows": len(study.frames),
        "page_bytes": len(page),
        "memory_bytes": _peak_bytes(),
    }
    sys.stdout.write(json.dumps(told))


def _peak_bytes() -> int:
    """Return this process's largest size and, for each that helped, that of the largest of them."""
    unit = 1 if sys.platform == "darwin" else 1024
    own, helper = (
        resource.getrusage(who).ru_maxrss * unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own + helper * min(os.cpu_count() or 1, 8)


if __name__ == "__main__":
    _main(sys.argv[1])
