"""The command of the fault bench: what it lists, refuses and prints; the runs themselves are elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from gym_p2p.bench import faults
from gym_p2p.bench.faults import FaultReport, FaultRow, FaultRun
from gym_p2p.cli import main
from gym_p2p.cli.fault_table import print_faults, write_faults
from gym_p2p.errors import UsageError
from tests.faults import bench as laboratory
from tests.faults.kinds import KINDS, plan


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


def test_the_table_is_written_between_its_marks_in_a_page_and_nothing_else_is_changed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench faults -->\nold\n<!-- end of bench faults -->\nafter\n")
    rows = [FaultRow(kind="freeze", about="SIGSTOP", runs=[_run(1), _run(2, noticed_s=[0.7])])]
    write_faults(FaultReport(seed=1, rows=rows, folder=None), str(page))
    told = page.read_text()
    assert told.startswith(
        "before\n<!-- bench faults -->\n2 faults in 2 runs of 1 kinds, of the seeds 1 to 2"
    )
    assert told.endswith("<!-- end of bench faults -->\nafter\n")
    assert "| freeze: SIGSTOP | 2 | 2 | 0.60 (0.70) | 0.25 (0.25) | 0 | 0 | 0 | 0 | 0 | 0 |" in told
    assert "| all | 2 | 2 |  |  | 0 | 0 | 0 | 0 | 0 | 0 |" in told
    assert "old" not in told


def test_a_page_without_a_place_for_the_table_is_refused_before_anything_is_broken(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    assert main(["bench", "faults", "--table", str(page)]) == 2
    with pytest.raises(UsageError, match="wants the lines"):
        write_faults(FaultReport(seed=1, rows=[], folder=None), str(page))


def test_a_run_that_was_played_is_judged_anew_and_another_plan_or_revision_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(laboratory, "revision", lambda: "this")
    made = plan("freeze", 1)
    scene = {"plan": attrs.asdict(made), "revision": "this", "players": {}, "faults": []}
    assert laboratory.played_before(made, tmp_path) is None
    (tmp_path / "scene.json").write_text(json.dumps(scene))
    assert laboratory.played_before(made, tmp_path) is not None
    assert laboratory.played_before(plan("freeze", 2), tmp_path) is None
    monkeypatch.setattr(laboratory, "revision", lambda: "another")
    assert laboratory.played_before(made, tmp_path) is None
    monkeypatch.setattr(laboratory, "revision", lambda: None)
    assert laboratory.played_before(made, tmp_path) is None


def _clean_alone(row: FaultRow) -> FaultRow:
    """Return the row with its clean run alone."""
    return FaultRow(kind=row.kind, about=row.about, runs=row.runs[:1])
