"""Where a match is recorded: what a process left there, and in the fallback, makes room for the next one."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from gym_p2p.config import ExportConfig, P2PConfig
from gym_p2p.exports.documents import document_path
from gym_p2p.exports.journal import journal_path
from gym_p2p.exports.recovery import discard
from gym_p2p.exports.spool import SPOOL, SpoolEntry
from gym_p2p.exports.upload import Upload
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.replay.header import read_header, replay_header
from gym_p2p.game.replay.partial import partial_path
from gym_p2p.game.replay.records import FORMAT
from gym_p2p.play.recording import discard_left, fallback_of, match_folder_of
from tests.play.recorders import made_recorder
from tests.toys import Blend

AT_MS = 5_000
FOUND = made_recorder().found


def config(tmp_path: Path) -> P2PConfig:
    exports = ExportConfig(directory=str(tmp_path / "wanted"), fallback=str(tmp_path / "fallback"))
    return P2PConfig(record=True, exports=exports)


def leave(folder: Path) -> None:
    """Leave what a process does that is killed as it plays."""
    folder.mkdir(parents=True)
    partial_path(folder / "0.p2preplay").write_bytes(b"half of it")
    journal_path(folder, 0).write_bytes(b"a line\n")
    target = Upload("http://127.0.0.1:9", "/v1/matches/m", "t")
    document = document_path(folder, 0, "multiplayer")
    SpoolEntry.create(folder.parent, "m", 0, kind="multiplayer", target=target, document=document).close()


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def test_what_a_process_left_goes_also_where_it_had_gone_on_and_nobody_elses_does(tmp_path: Path) -> None:
    told = config(tmp_path)
    folder = match_folder_of(FOUND, told, AT_MS)
    fallback = fallback_of(folder, told)
    assert folder is not None
    assert fallback is not None
    for place in (folder, fallback):
        leave(place)
        journal_path(place, 1).write_bytes(b"a line\n")
    discard_left(FOUND, told, folder, AT_MS)
    assert files(tmp_path) == sorted(journal_path(place, 1) for place in (folder, fallback))


def test_nobody_hands_in_what_was_left_while_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = config(tmp_path)
    folder = match_folder_of(FOUND, told, AT_MS)
    assert folder is not None
    leave(folder)
    entries: list[Path] = []

    def discarded(journal: Path) -> None:
        entries.extend((folder.parent / SPOOL).glob("*.json"))
        discard(journal)

    monkeypatch.setattr("gym_p2p.play.recording.discard", discarded)
    discard_left(FOUND, told, folder, AT_MS)
    assert entries == []
    assert files(tmp_path) == []


@pytest.mark.parametrize(("match_id", "stays"), [("m", False), ("another", True)])
def test_a_recording_that_the_process_before_has_ended_goes_if_it_is_of_this_match(
    match_id: str, *, stays: bool, tmp_path: Path
) -> None:
    told = config(tmp_path)
    folder = match_folder_of(FOUND, told, AT_MS)
    assert folder is not None
    header = replay_header(make_game(Blend()), match_id=match_id, recorded_ms=AT_MS, player_id=0)
    path = folder / "0.p2preplay"
    path.parent.mkdir(parents=True)
    fields = {"format": FORMAT, "version": header.version, **msgspec.to_builtins(header)}
    path.write_bytes(msgspec.json.encode(fields) + b"\n")
    assert read_header(path.read_bytes(), path) == header
    discard_left(FOUND, told, folder, AT_MS)
    assert path.exists() is stays


def test_what_cannot_be_removed_keeps_nothing_else_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = config(tmp_path)
    folder = match_folder_of(FOUND, told, AT_MS)
    assert folder is not None
    leave(folder)
    partial_path(folder / "0.p2preplay").unlink()
    partial_path(folder / "0.p2preplay").mkdir()
    with caplog.at_level(logging.WARNING):
        discard_left(FOUND, told, folder, AT_MS)
    assert "what was left of the match m stays there" in caplog.text
    assert files(tmp_path) == []
