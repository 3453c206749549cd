"""``bench faults``: what players lose when things break. Real processes, seeded faults, an audit.

The laboratory that this needs (network namespaces, the forwarder, translators) is the tests', for there is
one of it: it runs from a checkout, and says so elsewhere. Here is what the command asks for and gets.
"""

from __future__ import annotations

import importlib
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from gym_p2p.config.names import did_you_mean
from gym_p2p.errors import UsageError

if TYPE_CHECKING:
    from gym_p2p.bench.run import Progress

__all__ = ["FaultReport", "FaultRow", "FaultRun", "bench_faults", "fault_kinds"]

_CHECKOUT = Path(__file__).absolute().parents[2]
_FIRST_SEED = 1


@attrs.frozen(kw_only=True)
class FaultRun:
    """What came of one run.

    Attributes:
        kind: of its faults.
        seed: which repeats it, with that kind alone and ``--count 1``.
        injected: how many faults there were.
        survived: how many of them left players who did what has to hold.
        noticed_s: after how long documents say so, in seconds, for each that they name.
        resumed_s: after how long all played on, for each after which they did.
        frames_lost: frames that were played and are not in a document.
        frames_doubled: frames that were played, or written, twice.
        exports_lost: documents that are not there.
        left_over: processes, sockets and unfinished files.
        unnamed: faults of which a document says nothing whose player could know.
        wrong: documents that are invalid, untrue, or differ between players.
        findings: all that in words.
    """

    kind: str
    seed: int
    injected: int
    survived: int
    noticed_s: Sequence[float]
    resumed_s: Sequence[float]
    frames_lost: int
    frames_doubled: int
    exports_lost: int
    left_over: int
    unnamed: int
    wrong: int
    findings: Sequence[str]


@attrs.frozen(kw_only=True)
class FaultRow:
    """All runs of a kind."""

    kind: str
    about: str
    runs: Sequence[FaultRun]

    def total(self, field: str) -> int:
        """Return the sum of one of the runs' figures."""
        return sum(getattr(run, field) for run in self.runs)

    def longest_s(self, field: str) -> float | None:
        """Return the longest of ``noticed_s`` or ``resumed_s``; ``None`` if there is none."""
        return max((one for run in self.runs for one in getattr(run, field)), default=None)

    def median_s(self, field: str) -> float | None:
        """Return their median."""
        all_of_them = [one for run in self.runs for one in getattr(run, field)]
        return statistics.median(all_of_them) if all_of_them else None


@attrs.frozen(kw_only=True)
class FaultReport:
    """What the bench found.

    Attributes:
        seed: of the first run of every kind; the others follow it.
        rows: the table.
        folder: where the runs are in which something was wrong; ``None`` if there was none.
    """

    seed: int
    rows: Sequence[FaultRow]
    folder: str | None

    @property
    def is_clean(self) -> bool:
        """Whether nothing was wrong in any run."""
        return not any(run.findings for row in self.rows for run in row.runs)

    def to_mapping(self) -> dict[str, Any]:
        """Return it as plain JSON-ready data."""
        return {"bench": "faults", **attrs.asdict(self)}


def fault_kinds() -> Mapping[str, str]:
    """Return the kinds of faults, by name, with what each is.

    Raises:
        UsageError: this is no checkout, or something is missing there.
    """
    return {name: kind.about for name, kind in _laboratory().KINDS.items()}


def bench_faults(
    *,
    seed: int = _FIRST_SEED,
    kinds: Sequence[str] = (),
    count: int = 4,
    jobs: int = 2,
    keep: str | None = None,
    progress: Progress,
) -> FaultReport:
    """Let players play, and break things.

    Args:
        seed: of the first run of each kind; what it draws is the same every time. Four in a row are both
            modes with two and with three players.
        kinds: which; none are all.
        count: how many runs of each.
        jobs: how many at the same time.
        keep: a folder for what all runs leave; ``None`` keeps those in which something was wrong.
        progress: is told of every run.

    Raises:
        UsageError: no such kind, no checkout, or no laboratory on this machine.
    """
    laboratory = _laboratory()
    for kind in kinds:
        if kind not in laboratory.KINDS:
            raise UsageError(f"no fault {kind!r}{did_you_mean(kind, laboratory.KINDS)}")
    if reason := laboratory.why_not():
        raise UsageError(f"faults need a network laboratory: {reason}")
    report: FaultReport = laboratory.run(
        seed=seed, kinds=kinds or list(laboratory.KINDS), count=count, jobs=jobs, keep=keep, progress=progress
    )
    return report


def _laboratory() -> Any:
    """Return :mod:`tests.faults.bench` of the checkout that this module is in."""
    if not (_CHECKOUT / "tests" / "faults" / "bench.py").exists():
        raise UsageError(
            "gym-p2p bench faults runs from a checkout of the project: its network laboratory is there, with "
            "the tests (pip install -e '.[test]' in one)"
        )
    if str(_CHECKOUT) not in sys.path:
        sys.path.insert(0, str(_CHECKOUT))
    try:
        return importlib.import_module("tests.faults.bench")
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is missing: pip install -e '.[test]'") from error
