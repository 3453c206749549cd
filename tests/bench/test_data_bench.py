from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import gym_p2p
from gym_p2p.bench.made_study import make_study
from gym_p2p.cli import main
from gym_p2p.exports import KINDS
from tests.study import oracle

VERSION_1 = Path(__file__).parents[1] / "study" / "data" / "version_1"


def keys_in(value: Any) -> set[tuple[str, ...]]:
    """Return every key within, behind those that it stands in."""
    if isinstance(value, list):
        return {found for one in value for found in keys_in(one)}
    if isinstance(value, dict):
        return {(key, *rest) for key, within in value.items() for rest in [(), *keys_in(within)]}
    return set()


@pytest.mark.parametrize("kind", ["now", "before"])
def test_what_is_made_is_a_study(tmp_path: Path, kind: str) -> None:
    size = make_study(tmp_path, matches=3, minutes=0.1, fps=30, kind=kind)  # type: ignore[arg-type]  # one of two
    assert size == sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    study = gym_p2p.load(tmp_path)
    assert list(study.problems) == []
    tables = {name: list(table) for name, table in study.tables.items()}
    assert oracle.compare(tmp_path, tables)["frames"] == 3 * 180 * 2


def test_the_format_before_has_no_key_that_documents_of_version_1_had_not(tmp_path: Path) -> None:
    make_study(tmp_path, matches=1, minutes=0.1, fps=30, kind="before")
    for kind in KINDS:
        made, saved = (
            [json.loads(path.read_bytes()) for path in folder.rglob(f"*.{kind}.json")]
            for folder in (tmp_path, VERSION_1)
        )
        assert {one["schemaVersion"] for one in [*made, *saved]} == {1}
        assert keys_in(made) <= keys_in(saved)
        assert all(("environment" in one) == (kind == "multiplayer") for one in made)


def test_a_large_study_is_read_by_several_processes_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_study(tmp_path, matches=5, minutes=0.1, fps=30)
    alone = gym_p2p.load(tmp_path)
    monkeypatch.setattr("gym_p2p.study.study._PARALLEL_BYTES", 0)
    together = gym_p2p.load(tmp_path)
    for name, table in alone.tables.items():
        assert list(table) == list(together.tables[name])


def test_the_bench_counts_the_rows_of_both_formats(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "data", "--matches", "2", "--minutes", "0.1", "--json", "--quiet"]) == 0
    rows = {row["what"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["rows of frames"]["ours"] == rows["rows of frames"]["floor"] == 2 * 180 * 2 / 1e6
    assert rows["on the disk"]["ours"] > 0
    assert rows["gym_p2p.load"]["ours"] > 0
