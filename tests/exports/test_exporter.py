from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gym_p2p.cli.commands import main
from gym_p2p.config import ExportConfig
from gym_p2p.core.record.documents import Document
from gym_p2p.core.record.journal import fold
from gym_p2p.core.record.parts import SCHEMA_VERSION
from gym_p2p.errors import ConfigurationError
from gym_p2p.exports import KINDS, Account, Exporter, document_path, flush_spool
from gym_p2p.exports.documents import find_document, write_document
from gym_p2p.exports.recovery import recover
from tests.core.record.records import START_MS, new_record, played
from tests.exports.service import TOKEN, Service, entries
from tests.waiting import PATIENCE_S, lasting_port, until

FOLDER = "2027-01-15T080000Z-lab-m"


class Session:
    """What is exported: a record that goes on."""

    def __init__(self, player: str | int = 0) -> None:
        self.player = player
        self.built = 0
        self.problem: Exception | None = None
        self.record = played(new_record((player, "peer"), player))

    def decode(self, _seat: int, data: bytes) -> int:
        if self.problem is not None:
            raise self.problem
        return data[0]

    def now_ms(self) -> int:
        self.built += 1
        return START_MS + 1000

    def end(self) -> None:
        self.record.terminate("normal", partial=False, now_ms=START_MS + 1000)

    def exporter(
        self, directory: Path | None, url: str | None = None, *, interval_s: float = 600, begins: bool = True
    ) -> Exporter:
        config = ExportConfig(
            directory=None if directory is None else str(directory), checkpoint_interval_s=interval_s
        )
        exporter = Exporter(
            config,
            account=Account(self.record, self.decode, self.now_ms),
            folder=None if directory is None else directory / FOLDER,
            server_url=url,
            token=TOKEN if url else None,
        )
        if begins:
            exporter.begin()
        return exporter


def multiplayer_path(directory: Path) -> Path:
    return document_path(directory / FOLDER, 0, "multiplayer")


def multiplayer(directory: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(multiplayer_path(directory).read_bytes())
    return document


def journal(directory: Path) -> Path:
    return directory / FOLDER / "0.journal.jsonl"


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_finish_writes_all_three_and_uploads_one(tmp_path: Path) -> None:
    with Service.running() as service:
        session = Session()
        exporter = session.exporter(tmp_path, service.url)
        session.end()
        finished = exporter.finish(10)
        assert (finished.uploaded, finished.spooled, finished.problems) == (True, False, ())
        assert set(finished.paths) == set(KINDS)
        assert multiplayer(tmp_path)["sessionStatus"]["isPartial"] is False
        ((path, _, document),) = service.received
        assert path.endswith("/multiplayer")
        assert document == multiplayer(tmp_path)
    assert entries(tmp_path) == []


def test_finish_twice_is_once(tmp_path: Path) -> None:
    with Service.running() as service:
        session = Session()
        exporter = session.exporter(tmp_path, service.url)
        assert exporter.finish(10) is exporter.finish(10)
        assert service.requests == 1
        assert len((tmp_path / "index.jsonl").read_bytes().splitlines()) == 1


def test_what_ends_before_it_has_begun_is_written_and_its_upload_left_to_the_spool(tmp_path: Path) -> None:
    session = Session()
    session.end()
    finished = session.exporter(tmp_path, "http://127.0.0.1:9", begins=False).finish(1)
    assert set(finished.paths) == set(KINDS)
    assert (finished.uploaded, finished.spooled) == (False, True)


def test_checkpoints_go_to_a_journal_until_the_end(tmp_path: Path) -> None:
    session = Session()
    exporter = session.exporter(tmp_path, interval_s=0.1)
    until(lambda: lines(journal(tmp_path)) >= 2)
    began = journal(tmp_path).read_bytes()
    session.record.episode.frame([b"\7", b"\10"])
    until(lambda: b"[[7],[0]],[[8],[0]]" in journal(tmp_path).read_bytes())
    assert journal(tmp_path).read_bytes().startswith(began)
    assert recover(journal(tmp_path)).played
    assert find_document(multiplayer_path(tmp_path)) is None
    session.end()
    finished = exporter.finish(10)
    assert multiplayer(tmp_path)["sessionStatus"]["isPartial"] is False
    assert multiplayer(tmp_path)["validation"]["totalActions"] == 12
    assert not journal(tmp_path).exists()
    assert not any(thread.is_alive() for thread in exporter._threads)
    assert (finished.uploaded, finished.spooled, finished.problems) == (False, False, ())


def test_a_checkpoint_that_waits_for_its_turn_is_not_written_after_the_end(tmp_path: Path) -> None:
    session = Session()
    exporter = session.exporter(tmp_path, interval_s=0.1)
    finisher = threading.Thread(target=exporter.finish, args=(10,))
    with exporter._writing:
        time.sleep(0.3)  # by now the exporter's thread waits for the lock
        finisher.start()
        time.sleep(0.1)
    finisher.join(PATIENCE_S)
    time.sleep(0.2)
    assert not journal(tmp_path).exists()


def test_the_index_has_a_line_for_each_player_of_a_match_whatever_a_killed_one_left(tmp_path: Path) -> None:
    (tmp_path / "index.jsonl").write_text('{"matchId": "of a killed pla')
    for player in (0, "1", 1):
        session = Session(player)
        session.end()
        session.exporter(tmp_path).finish(5)
    cut, *whole = (tmp_path / "index.jsonl").read_bytes().splitlines()
    assert cut.endswith(b"killed pla")
    told = [json.loads(line) for line in whole]
    assert [entry["playerId"] for entry in told] == [0, "1", 1]
    assert told[0] == {
        "matchId": "match-1",
        "folder": FOLDER,
        "playerId": 0,
        "startedAt": START_MS,
        "endedAt": START_MS + 1000,
        "room": None,
        "queue": None,
        "environment": "CartPole-v1",
        "terminationReason": "normal",
        "frames": 5,
        "schemaVersion": SCHEMA_VERSION,
    }


def test_a_service_that_is_away_at_the_end_gets_the_document_from_the_next_session(tmp_path: Path) -> None:
    port = lasting_port()
    url = f"http://127.0.0.1:{port}"
    finished = Session().exporter(tmp_path, url).finish(0.5)
    assert (finished.uploaded, finished.spooled) == (False, True)
    assert len(finished.problems) == 1
    assert set(finished.paths) == set(KINDS)
    assert len(entries(tmp_path)) == 1

    with Service.running(port=port) as service:
        exporter = Session("other").exporter(tmp_path, url)
        until(lambda: bool(service.received))
        assert exporter.finish(10).uploaded
        assert [path for path, _, _ in service.received] == [
            "/v1/matches/match-1/players/0/multiplayer",
            "/v1/matches/match-1/players/%22other%22/multiplayer",
        ]
    assert entries(tmp_path) == []


def test_a_service_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with Service.running(delay_s=2 * PATIENCE_S) as service:
        exporter = Session().exporter(tmp_path, service.url)
        finished = exporter.finish(0.3)
        assert service.received == []
        assert (finished.uploaded, finished.spooled) == (False, True)


@pytest.mark.parametrize("called", ["exports", "what we've played"])
def test_a_refused_upload_is_reported_and_set_aside(called: str, tmp_path: Path) -> None:
    tmp_path /= called
    with Service.running(403) as service:
        finished = Session().exporter(tmp_path, service.url).finish(10)
        assert (finished.uploaded, finished.spooled) == (False, False)
        assert "403" in finished.problems[0]
        assert entries(tmp_path) == []
        command = finished.problems[0].split("`")[1]
        said = shlex.split(command.replace("URL", service.url).replace("TOKEN", "fresh"))
        assert said[3] == str(multiplayer_path(tmp_path))
        assert main(said[1:]) == 0
        assert service.received[0][1]["Authorization"] == "Bearer fresh"
    session = json.loads(document_path(tmp_path / FOLDER, 0, "session").read_bytes())
    assert session["upload"]["state"] == "stored"


def test_an_upload_that_may_be_taken_later_is_reported_and_kept(tmp_path: Path) -> None:
    with Service.running(413) as service:
        finished = Session().exporter(tmp_path, service.url).finish(10)
        assert (finished.uploaded, finished.spooled) == (False, True)
        assert "413" in finished.problems[0]
        path = multiplayer_path(tmp_path)
        assert finished.problems[0].endswith(f"; `gym-p2p exports upload {path}` hands it in later")
        assert len(entries(tmp_path)) == 1
    session = json.loads(document_path(tmp_path / FOLDER, 0, "session").read_bytes())
    assert session["upload"]["state"] == "kept"
    assert "413" in session["upload"]["problem"]
    assert session["upload"]["path"] == f"{FOLDER}/{path.name}"
    assert session["upload"]["command"] == f"gym-p2p exports upload {FOLDER}/{path.name}"


def test_an_upload_is_not_sent_by_another_session_at_the_same_time(tmp_path: Path) -> None:
    with Service.running(delay_s=2 * PATIENCE_S) as service:
        exporter = Session().exporter(tmp_path, service.url)
        finisher = threading.Thread(target=exporter.finish, args=(PATIENCE_S,))
        finisher.start()
        until(lambda: service.requests > 0)
        assert len(entries(tmp_path)) == 1
        assert flush_spool(tmp_path, service.url, deadline_s=5).stored == ()
        service.released.set()
        finisher.join(PATIENCE_S)
        assert service.requests == 1
    assert entries(tmp_path) == []


KILLED = """
import sys, time
from pathlib import Path
from tests.exports.test_exporter import Session
Session().exporter(Path(sys.argv[1]), sys.argv[2], interval_s=0.1)
time.sleep(60)
"""


def test_what_a_killed_process_played_is_made_documents_and_sent_by_the_next_one(tmp_path: Path) -> None:
    with Service.running() as service:
        player = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), service.url])
        try:
            until((tmp_path / ".spool" / "match-1.0.multiplayer.json").exists)
            assert flush_spool(tmp_path, service.url, deadline_s=5).stored == ()
            assert recover(journal(tmp_path)).played
        finally:
            player.kill()
            player.wait(PATIENCE_S)
        exporter = Session("other").exporter(tmp_path, service.url)
        until(lambda: bool(service.received))
        status = service.received[0][2]["sessionStatus"]
        assert (status["isPartial"], status["terminationReason"]) == (True, "killed")
        until(lambda: not entries(tmp_path) or len(entries(tmp_path)) == 1)
        exporter.finish(10)
    folder = tmp_path / FOLDER
    kinds = {path.name for path in folder.glob("0.*")}
    assert kinds == {f"0.{kind}.json" for kind in KINDS}
    line = json.loads((tmp_path / "index.jsonl").read_bytes().splitlines()[0])
    assert (line["playerId"], line["terminationReason"]) == (0, "killed")


def test_without_a_folder_nothing_is_written_and_the_upload_still_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Service.running() as service:
        finished = Session().exporter(None, service.url).finish(10)
        assert (finished.uploaded, finished.spooled, dict(finished.paths)) == (True, False, {})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_turns_into_a_file_is_reported_and_never_raised(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    with Service.running() as service:
        session = Session()
        exporter = session.exporter(folder, service.url)
        until((folder / ".spool" / "match-1.0.multiplayer.json").exists)
        with exporter._writing:
            shutil.rmtree(folder)
            folder.write_text("a file in its place")
        session.end()
        finished = exporter.finish(10)
        told = "a file stands where a folder was wanted"
        assert all(told in problem for problem in finished.problems[:3])
        assert dict(finished.paths) == {}
        assert finished.uploaded


def test_a_folder_that_is_removed_in_the_middle_is_made_again(tmp_path: Path) -> None:
    session = Session()
    exporter = session.exporter(tmp_path / "exports", interval_s=0.1)
    until(journal(tmp_path / "exports").exists)
    with exporter._writing:
        shutil.rmtree(tmp_path / "exports")
    until(lambda: lines(journal(tmp_path / "exports")) >= 2)
    assert [*map(len, fold(journal(tmp_path / "exports").open("rb")).episode.seat_inputs)] == [5, 5]
    session.end()
    assert set(exporter.finish(10).paths) == set(KINDS)


def test_what_was_played_of_documents_that_cannot_be_written_can_be_recovered(tmp_path: Path) -> None:
    with Service.running() as service:
        session = Session()
        exporter = session.exporter(tmp_path, service.url, interval_s=0.1)
        until((tmp_path / ".spool" / "match-1.0.multiplayer.json").exists)
        path = multiplayer_path(tmp_path)
        path.mkdir()  # a rename onto a folder fails, as a full disk would
        session.end()
        finished = exporter.finish(10)
        (problem,) = [problem for problem in finished.problems if str(path) in problem]
        assert (
            "a folder stands in its place; what could be written of what was played is in the journal"
            in problem
        )
        assert f"`gym-p2p exports recover {tmp_path / FOLDER}`" in problem
        assert finished.uploaded
        assert service.received[-1][2]["sessionStatus"]["isPartial"] is False
    path.rmdir()
    assert recover(journal(tmp_path)).paths["multiplayer"] == path
    assert multiplayer(tmp_path)["sessionStatus"]["terminationReason"] == "normal"
    assert not journal(tmp_path).exists()


def test_a_record_that_cannot_be_built_is_reported_and_never_raised(tmp_path: Path) -> None:
    session = Session()
    session.problem = RuntimeError("broken")
    finished = session.exporter(tmp_path).finish(5)
    assert "broken" in finished.problems[0]


def test_a_folder_that_cannot_be_is_refused_when_the_exporter_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ConfigurationError, match="cannot write to"):
        Session().exporter(tmp_path / "file")


def test_an_exporter_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())  # of which some may still be about to end
    for _ in range(5):
        Session().exporter(tmp_path).finish(10)
    assert set(threading.enumerate()) <= before


def test_a_checkpoint_that_comes_late_is_counted_and_the_first_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gym_p2p.exports.exporter._LATE_S", 0.0)
    session = Session()
    exporter = session.exporter(tmp_path, interval_s=0.1)
    for late in range(2):
        with exporter._writing:
            time.sleep(0.4)  # a slow disk: meanwhile the exporter's thread waits
        until(lambda late=late: session.record.checkpoints_late > late)  # type: ignore[misc]  # bound at once
    session.end()
    exporter.finish(10)
    (path,) = tmp_path.glob("*/*.session.json")
    assert json.loads(path.read_bytes())["checkpointsLate"] >= 2
    assert caplog.text.count("instead of 0.1") == 1


@pytest.mark.parametrize("at", range(len(KINDS)))
def test_who_is_interrupted_while_the_documents_are_written_has_all_that_was_played_in_the_journal(
    tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    written: list[Path] = []

    def interrupted(path: Path, document: Document) -> Path:
        if len(written) == at:
            raise KeyboardInterrupt
        written.append(path)
        return write_document(path, document)

    session = Session()
    exporter = session.exporter(tmp_path / "broken off", begins=False)
    session.end()
    session.exporter(tmp_path, begins=False).finish(10)
    with monkeypatch.context() as patched:
        patched.setattr("gym_p2p.exports.place.write_document", interrupted)
        with pytest.raises(KeyboardInterrupt):
            exporter.finish(10)
    folder = tmp_path / "broken off"
    said = f"`gym-p2p exports recover {shlex.quote(str(folder / FOLDER))}` makes the documents of it"
    assert caplog.text.count(said) == 1
    assert recover(journal(folder)).problem is None
    assert multiplayer(folder)["validation"] == multiplayer(tmp_path)["validation"]
    assert not journal(folder).exists()
