"""Documents whose folder takes no more of them: they go to the fallback, or stay in memory until they can."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gym_p2p.config import ExportConfig
from gym_p2p.exports import KINDS, Account, Exporter, document_path
from gym_p2p.exports.unwritten import MOST_WAITING, Unwritten
from tests.exports.service import TOKEN, Service, entries
from tests.exports.test_exporter import FOLDER, Session, journal, lines
from tests.waiting import PATIENCE_S, until


def exporter_of(
    session: Session, wanted: Path, fallback: Path, url: str | None = None, *, interval_s: float = 600
) -> Exporter:
    exporter = Exporter(
        ExportConfig(directory=str(wanted), checkpoint_interval_s=interval_s),
        account=Account(session.record, session.decode, session.now_ms),
        folder=wanted / FOLDER,
        fallback=fallback / FOLDER,
        server_url=url,
        token=TOKEN if url else None,
    )
    exporter.begin()
    return exporter


def refuse(folder: Path) -> None:
    """Let a folder take nothing any more, whoever writes: root, too."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("a file in its place")


def names(directory: Path) -> set[str]:
    return {path.name for path in (directory / FOLDER).iterdir()} if (directory / FOLDER).is_dir() else set()


def documents(player: object = 0) -> set[str]:
    return {f"{player}.{kind}.json" for kind in KINDS}


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "wanted", tmp_path / "fallback"


def test_what_is_played_goes_on_in_the_fallback_and_the_documents_are_there(
    places: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    wanted, fallback = places
    with Service.running() as service:
        session = Session()
        exporter = exporter_of(session, wanted, fallback, service.url, interval_s=0.1)
        until(lambda: lines(journal(wanted)) >= 2)
        with exporter._writing:
            refuse(wanted)
        until(lambda: lines(journal(fallback)) >= 2)
        until(lambda: len(entries(fallback)) == 1)
        session.end()
        finished = exporter.finish(10)
    assert finished.paths == {kind: document_path(fallback / FOLDER, 0, kind) for kind in KINDS}
    assert (finished.uploaded, finished.lost) == (True, False)
    assert names(fallback) == documents()
    assert entries(fallback) == []
    (problem,) = finished.problems
    assert f"a file stands where a folder was wanted; the documents go to {fallback / FOLDER}" in problem
    said = [record for record in caplog.records if record.levelno == logging.ERROR]
    (line,) = [record.getMessage() for record in said]
    assert line.startswith(f"exports: writing {journal(wanted)} failed: a file stands where")
    assert line.endswith(f"; what is played is kept in {fallback / FOLDER} from now on")
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record for record in warnings if "what killed players left" not in record.msg] == said


def test_documents_of_which_one_cannot_be_written_go_to_the_fallback_together(
    places: tuple[Path, Path],
) -> None:
    wanted, fallback = places
    session = Session()
    exporter = exporter_of(session, wanted, fallback, "http://127.0.0.1:9", interval_s=0.1)
    until(lambda: len(entries(wanted)) == 1)
    blocked = document_path(wanted / FOLDER, 0, KINDS[-1])
    blocked.mkdir()  # a rename onto a folder fails, as a full disk would
    session.end()
    finished = exporter.finish(0.2)
    assert {path.parent for path in finished.paths.values()} == {fallback / FOLDER}
    assert names(wanted) == {blocked.name}  # neither half of the documents, nor a journal of what is whole
    assert names(fallback) == documents()
    assert (finished.spooled, finished.lost) == (True, False)
    assert (len(entries(wanted)), len(entries(fallback))) == (0, 1)
    told = json.loads(finished.paths["session"].read_bytes())["upload"]
    assert told["state"] == "kept"
    (line,) = (fallback / "index.jsonl").read_bytes().splitlines()
    assert json.loads(line)["folder"] == FOLDER


def test_a_folder_that_takes_them_again_gets_the_documents(places: tuple[Path, Path]) -> None:
    wanted, fallback = places
    session = Session()
    exporter = exporter_of(session, wanted, fallback, interval_s=0.1)
    until(lambda: lines(journal(wanted)) >= 2)
    with exporter._writing:
        refuse(wanted)
    until(lambda: lines(journal(fallback)) >= 2)
    with exporter._writing:
        wanted.unlink()
    session.end()
    finished = exporter.finish(5)
    assert (names(wanted), names(fallback)) == (documents(), set())
    assert finished.problems == ()


def test_a_document_whose_entry_does_not_fit_is_handed_in_from_the_fallback(
    places: tuple[Path, Path],
) -> None:
    wanted, fallback = places
    session = Session()
    exporter = exporter_of(session, wanted, fallback, "http://127.0.0.1:9")
    until(lambda: len(entries(wanted)) == 1)
    with exporter._writing:
        shutil.rmtree(wanted / ".spool")
        (wanted / ".spool").write_text("full")
        exporter._places[0].entry = None
    session.end()
    finished = exporter.finish(0.2)
    assert names(wanted) == documents()
    assert len(entries(fallback)) == 1
    assert (finished.spooled, finished.lost) == (True, False)


def test_documents_for_which_there_is_no_place_are_written_once_there_is(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, fallback = places
    unwritten = Unwritten(every_s=0.05)
    monkeypatch.setattr("gym_p2p.exports.exporter.keep_trying", unwritten.add)
    session = Session()
    exporter = exporter_of(session, wanted, fallback, "http://127.0.0.1:9", interval_s=0.1)
    with exporter._writing:
        refuse(wanted)
        refuse(fallback)
    session.end()
    finished = exporter.finish(0.2)
    assert (dict(finished.paths), finished.lost, len(unwritten)) == ({}, True, 1)
    fallback.unlink()
    until(lambda: len(unwritten) == 0)
    assert names(fallback) == documents()
    assert len(entries(fallback)) == 1


def test_what_waits_for_a_disk_is_bounded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    unwritten, room = Unwritten(every_s=0.05), threading.Event()
    for number in range(MOST_WAITING + 3):
        unwritten.add(tmp_path / str(number), room.is_set)
    assert len(unwritten) == MOST_WAITING
    given_up = [record.getMessage() for record in caplog.records if "given up" in record.getMessage()]
    assert [Path(text.split(" is given")[0]).name for text in given_up] == ["0", "1", "2"]
    room.set()
    until(lambda: len(unwritten) == 0)


def test_what_waits_for_a_disk_is_tried_once_more_as_the_program_ends_and_what_is_lost_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unwritten, room = Unwritten(every_s=3600.0), threading.Event()
    unwritten.add(tmp_path / "late", room.is_set)
    unwritten.add(tmp_path / "lost", lambda: False)
    room.set()
    unwritten.end()
    unwritten.add(tmp_path / "dropped at the end", lambda: False)
    lost = [record.getMessage() for record in caplog.records if "is lost" in record.getMessage()]
    assert [Path(text.split(" is lost")[0]).name for text in lost] == ["lost", "dropped at the end"]


def test_a_disk_that_does_not_answer_holds_up_nobody_who_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gym_p2p.exports.unwritten.LAST_ATTEMPT_S", 0.05)
    unwritten, tried, answered = Unwritten(every_s=0.01), threading.Event(), threading.Event()

    def attempt() -> bool:
        tried.set()
        return answered.wait(PATIENCE_S)

    unwritten.add(tmp_path / "held up", attempt)
    assert tried.wait(PATIENCE_S)
    unwritten.end()
    assert not answered.is_set()
    assert "held up is lost" in caplog.text
    answered.set()


_HELD_UP = """
import os, pathlib, sys
from gym_p2p.exports import unwritten
unwritten.LAST_ATTEMPT_S = 0.2
pipe = pathlib.Path(sys.argv[1])
os.mkfifo(pipe)
unwritten.keep_trying(pipe, lambda: pipe.write_text("nobody reads it") > 0)
"""


def test_a_disk_that_does_not_answer_the_last_attempt_does_not_keep_a_program_from_ending(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", _HELD_UP, str(tmp_path / "held up")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 0
    assert "held up is lost: the program ends" in ended.stderr


def test_a_fork_that_ends_does_not_write_what_waits_in_the_process_that_forked_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unwritten, tried = Unwritten(every_s=3600.0), list[bool]()

    def attempt() -> bool:
        tried.append(True)
        return True

    unwritten.add(tmp_path / "late", attempt)
    with monkeypatch.context() as forked:
        forked.setattr("os.getpid", lambda: -1)
        unwritten.end()
        assert not tried
    unwritten.end()
    assert tried == [True]
    assert "is lost" not in caplog.text


def test_what_a_killed_player_left_in_the_fallback_is_made_documents_by_the_next_one(
    places: tuple[Path, Path],
) -> None:
    wanted, fallback = places
    killed = Session("killed")
    exporter = exporter_of(killed, wanted, fallback, interval_s=0.1)
    until(lambda: names(wanted) != set())
    with exporter._writing:
        refuse(wanted)
    left = fallback / FOLDER / "killed.journal.jsonl"
    until(lambda: lines(left) >= 2)
    with exporter._writing:
        exporter._ending.set()
        exporter._places[1].journal.close()  # as the death of its process does
        wanted.unlink()
    exporter._ended.set()
    next_one = exporter_of(Session("next"), wanted, fallback)
    until(lambda: names(fallback) == documents("killed"))
    next_one.finish(5)
