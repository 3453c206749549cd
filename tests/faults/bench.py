"""Many runs: which, how many at a time, and what came of them as a table. Behind ``gym-p2p bench faults``."""

from __future__ import annotations

import concurrent.futures
import functools
import json
import shutil
import signal
import subprocess
import tempfile
import threading
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from gym_p2p.bench.faults import FaultReport, FaultRow, FaultRun
from gym_p2p.bench.run import Progress
from tests.faults.audit import audit, came_too_late
from tests.faults.findings import Finding, Verdict
from tests.faults.kinds import KINDS, plan
from tests.faults.reading import Evidence, read
from tests.faults.scenario import Plan
from tests.faults.scene import Scene, Stopped
from tests.lab import why_not
from tests.net.lab_match import ROOT

__all__ = ["KINDS", "judged", "played_before", "revision", "run", "why_not"]

_TRIES = 3
"""Of a run in which the bench was too late to break anything, on a machine that is busy."""


def run(
    *, seed: int, kinds: Sequence[str], count: int, jobs: int, keep: str | None, progress: Progress
) -> FaultReport:
    """Run ``count`` plans of each kind; see :func:`gym_p2p.bench.faults.bench_faults`."""
    for number in (signal.SIGINT, signal.SIGHUP):
        # In a shell's background, or under nohup: the players would inherit it, who are to be sent these.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _pass_over)
    folder = Path(tempfile.mkdtemp(prefix="gym-p2p-faults-")) if keep is None else Path(keep).absolute()
    lacking = {kind: reason for kind in kinds if (reason := _lacking(kind))}
    possible = [kind for kind in kinds if kind not in lacking]
    # All kinds in turn: a bench that is ended early has something of each.
    plans = [plan(kind, number) for number in range(seed, seed + count) for kind in possible]
    runs = _all_of(plans, folder, jobs=jobs, keep=keep is not None, progress=progress)
    rows = [
        FaultRow(
            kind=kind,
            about=lacking.get(kind, KINDS[kind].about),
            runs=[one for one in runs if one.kind == kind],
        )
        for kind in kinds
    ]
    if keep is None and not any(folder.iterdir()):
        folder.rmdir()
    return FaultReport(seed=seed, rows=rows, folder=str(folder) if folder.exists() else None)


def _pass_over(_number: int, _frame: object) -> None:
    """Do as who ignores a signal; a program that is started from here does not, as it does of one ignored."""


def _lacking(kind: str) -> str | None:
    """Return what a kind needs that is not installed; ``None`` if nothing is missing."""
    missing = [(name, line) for name, line in KINDS[kind].stage.needs if shutil.which(name) is None]
    return "; ".join(f"left out: it needs {name} ({line})" for name, line in missing) or None


def _all_of(
    plans: Sequence[Plan], folder: Path, *, jobs: int, keep: bool, progress: Progress
) -> list[FaultRun]:
    stop = threading.Event()
    done: list[FaultRun] = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            futures = [pool.submit(judged, one, folder, stop, keep=keep) for one in plans]
            for future in concurrent.futures.as_completed(futures):
                done.append(future.result())
                progress(_line(done[-1], len(done), len(plans)))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return sorted(done, key=lambda one: one.seed)


def judged(plan: Plan, folder: Path, stop: threading.Event, *, keep: bool) -> FaultRun:
    """Have a plan audited, that is played in a folder of its own below this one, if it was not yet."""
    place = folder / f"{plan.kind.replace(' ', '-')}-{plan.seed}"
    try:
        evidence = played_before(plan, place) or _played(plan, place, stop)
    except Stopped:
        raise
    except Exception as error:  # noqa: BLE001 - one that could not be played is told like one that went wrong
        (place / "failed.txt").write_text("".join(traceback.format_exception(error)))
        return _as_run(plan, Verdict([Finding("ending", f"the scene failed: {error!r}")], [], []))
    found = _as_run(plan, audit(evidence))
    if not (keep or found.findings):
        shutil.rmtree(place)
    return found


def played_before(plan: Plan, place: Path) -> Evidence | None:
    """Return what a whole run of this very plan, with this very revision of the package, has left."""
    if not (place / "scene.json").exists():
        return None
    evidence = read(place)
    same = evidence.scene["plan"] == json.loads(json.dumps(attrs.asdict(plan)))
    of_this = evidence.scene["revision"] is not None and evidence.scene["revision"] == revision()
    return evidence if same and of_this and not came_too_late(evidence) else None


def _played(plan: Plan, place: Path, stop: threading.Event) -> Evidence:
    tries = 0
    while True:
        shutil.rmtree(place, ignore_errors=True)
        Scene(plan, place, stop, revision=revision()).run()
        evidence = read(place)
        tries += 1
        if tries == _TRIES or not came_too_late(evidence):
            return evidence


@functools.cache
def revision() -> str | None:
    """Return what stands for the package as it is; ``None`` where it is not as it was committed."""
    tree = ["git", "-C", str(ROOT), "rev-parse", "HEAD:gym_p2p"]
    changed = ["git", "-C", str(ROOT), "status", "--porcelain", "--", "gym_p2p"]
    try:
        told = [
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
            for command in (tree, changed)
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return None if told[1] else told[0]


def _as_run(plan: Plan, verdict: Verdict) -> FaultRun:
    injected = len(plan.faults)
    return FaultRun(
        kind=plan.kind,
        seed=plan.seed,
        injected=injected,
        survived=0 if verdict.count("ending") else injected,
        noticed_s=verdict.noticed_s,
        resumed_s=verdict.resumed_s,
        frames_lost=verdict.count("frame lost"),
        frames_doubled=verdict.count("frame doubled"),
        exports_lost=verdict.count("export lost"),
        left_over=verdict.count("left over"),
        unnamed=verdict.count("unnamed"),
        wrong=verdict.count("invalid", "disagreement", "untrue"),
        findings=list(_texts(verdict)),
    )


def _texts(verdict: Verdict) -> Iterable[str]:
    return (f"{finding.what}: {finding.text}" for finding in verdict.findings)


def _line(found: FaultRun, number: int, of: int) -> str:
    what = "; ".join(found.findings) if found.findings else "clean"
    return f"{number} of {of}: {found.kind}, seed {found.seed}: {what}"
