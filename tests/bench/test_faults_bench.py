"""The command of the fault bench: what it lists, refuses and prints; the runs themselves are elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gym_p2p.bench import faults
from gym_p2p.bench.faults import FaultReport, FaultRow, FaultRun
from gym_p2p.cli import main
from gym_p2p.cli.fault_table import print_faults
from tests.faults import bench as laboratory
from tests.faults.kinds import KINDS


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """No table is cut to the terminal that the tests run in."""
    monkeypatch.setenv("COLUMNS", "200")


def test_every_kind_is_listed_with_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "faults", "--list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {name: kind.about for name, kind in KINDS.items()}
    assert main(["bench", "faults", "--list"]) == 0
    assert "kill -9 of both halves of a player" in capsys.readouterr().out


def test_outside_a_checkout_it_says_where_it_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(faults, "_CHECKOUT", tmp_path)
    assert main(["bench", "faults"]) == 2
    assert "runs from a checkout of the project" in capsys.readouterr().err


def test_without_a_laboratory_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(laboratory, "why_not", lambda: "making network namespaces needs root")
    assert main(["bench", "faults"]) == 2
    assert "network laboratory: making network namespaces needs root" in capsys.readouterr().err


def test_a_kind_that_there_is_not_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "faults", "--kinds", "blackuot 3"]) == 2
    assert "no fault 'blackuot 3'; did you mean 'blackout 3'?" in capsys.readouterr().err


def _run(seed: int, **changes: Any) -> FaultRun:
    clean = dict.fromkeys(
        ("frames_lost", "frames_doubled", "exports_lost", "left_over", "unnamed", "wrong"), 0
    )
    fields: dict[str, Any] = {
        **clean,
        "kind": "freeze",
        "seed": seed,
        "injected": 1,
        "survived": 1,
        "noticed_s": [0.5],
        "resumed_s": [0.25],
        "findings": [],
        **changes,
    }
    return FaultRun(**fields)


def test_the_table_sums_up_runs_and_names_the_seed_of_what_was_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = _run(8, survived=0, frames_lost=3, noticed_s=[], findings=["frame lost: a lacks [1, 2, 3]"])
    rows = [FaultRow(kind="freeze", about="SIGSTOP", runs=[_run(7), wrong])]
    report = FaultReport(seed=7, rows=rows, folder="/tmp/kept")  # noqa: S108 - a name
    assert not report.is_clean
    assert FaultReport(seed=7, rows=[_clean_alone(rows[0])], folder=None).is_clean
    print_faults(report)
    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if "freeze" in line and "seed" not in line]
    assert " ".join(line.split()) == "freeze 2 1 0.50 0.50 0.25 0.25 3 0 0 0 0 0"
    assert "freeze, seed 8: frame lost: a lacks [1, 2, 3]" in printed
    assert report.to_mapping()["rows"][0]["runs"][1]["seed"] == 8


def _clean_alone(row: FaultRow) -> FaultRow:
    """Return the row with its clean run alone."""
    return FaultRow(kind=row.kind, about=row.about, runs=row.runs[:1])
