from __future__ import annotations

import errno
import json
from io import FileIO
from pathlib import Path

import pytest

from gym_p2p.server.handlers import decision_log
from gym_p2p.server.handlers.decision_log import DecisionLog


class FullDisk(FileIO):
    """A file on a disk that takes half a line more, or nothing."""

    def write(self, data: bytes) -> int:  # type: ignore[override]  # as much as the log uses
        if len(data) > 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data[: len(data) // 2])


@pytest.mark.parametrize("name", ["short", "x" * 60], ids=["half a line", "nothing"])
def test_a_disk_that_is_full_for_a_while_costs_only_the_records_of_that_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append({"n": 1})
    log.close()
    with monkeypatch.context() as full:
        full.setattr(decision_log, "FileIO", FullDisk)
        for _ in range(3):
            log.append({"n": name})
    log.append({"n": 2})
    log.close()
    lines = (tmp_path / "decisions.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"n": 1}, {"n": 2}]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "disk is full" in caplog.text


def test_it_stays_where_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = DecisionLog(Path("decisions.jsonl"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    log.append({"n": 1})
    log.close()
    assert (tmp_path / "decisions.jsonl").exists()
