"""Who can read what a player's side and the service write."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.exports.documents import write_document
from gym_p2p.exports.spool import SpoolEntry
from gym_p2p.exports.upload import Upload
from gym_p2p.files.private import check_directory, make_folder, open_private
from gym_p2p.game.replay.reader import read_replay
from gym_p2p.game.replay.transitions import write_transitions
from gym_p2p.server import serve_in_thread
from gym_p2p.server.handlers.decision_log import DecisionLog
from tests.replays import record


@pytest.fixture(params=[0o022, 0o000, 0o277])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """An ordinary one, one that lets everybody read everything, and one that is stricter than we are."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def open_to_others(root: Path) -> list[str]:
    found = [root, *root.rglob("*")]
    return [str(path) for path in found if stat.S_IMODE(path.lstat().st_mode) & 0o077]


def test_documents_and_their_folders_are_their_owners_alone(tmp_path: Path, umask: int) -> None:
    root = tmp_path / "study" / "exports"
    check_directory(root)
    write_document(root / "match" / "ann.session.json", {"gameId": "match"})
    assert open_to_others(tmp_path / "study") == []
    mode = stat.S_IMODE((root / "match" / "ann.session.json").stat().st_mode)
    assert mode == 0o600 & ~umask


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o775)
    make_folder(shared / "mine")
    assert stat.S_IMODE(shared.stat().st_mode) == 0o775
    assert stat.S_IMODE((shared / "mine").stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")


def test_what_is_appended_to_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("of yesterday\n")
    path.chmod(0o640)
    with open_private(path, "ab") as file:
        file.write(b"and of today\n")
    assert path.read_text() == "of yesterday\nand of today\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_recordings_transitions_logs_and_tokens_too(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        root = tmp_path / "study"
        path = root / "match.p2preplay"
        record(path, "gym_p2p/Rally-v0", frames=5)
        write_transitions(read_replay(path), root / "match.jsonl")
        DecisionLog(root / "decisions.jsonl").append({"queue": "lab"})
        target = Upload("http://127.0.0.1:1", "/v1/matches", "secret")
        SpoolEntry.create(root, "match", "ann", kind="session", target=target, document=path).close()
        with serve_in_thread(ServiceConfig(port=0, data_dir=str(root / "data"))):
            pass
    finally:
        os.umask(before)
    assert {path.name for path in root.rglob("*")} >= {"match.jsonl", "decisions.jsonl", ".spool", "data"}
    assert open_to_others(root) == []
