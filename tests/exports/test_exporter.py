from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gym_p2p.config import ExportConfig
from gym_p2p.errors import ConfigurationError
from gym_p2p.exports import KINDS, Exporter, document_path, flush_spool
from tests.exports.service import TOKEN, Service, entries
from tests.waiting import PATIENCE_S, lasting_port, until


class Session:
    """What is exported: documents that count how often they were built."""

    def __init__(self) -> None:
        self.built = 0
        self.ended = False
        self.problem: Exception | None = None

    def build(self) -> Mapping[str, Mapping[str, Any]]:
        self.built += 1
        if self.problem is not None:
            raise self.problem
        status = {"isPartial": not self.ended, "built": self.built}
        return {kind: {"kind": kind, "sessionStatus": status} for kind in KINDS}

    def exporter(
        self,
        directory: Path | None,
        url: str | None = None,
        *,
        interval_s: float = 600,
        player: str | int = 0,
    ) -> Exporter:
        config = ExportConfig(
            directory=None if directory is None else str(directory), checkpoint_interval_s=interval_s
        )
        return Exporter(
            config,
            game_id="m",
            player_id=player,
            build=self.build,
            server_url=url,
            token=TOKEN if url else None,
        )


def multiplayer(directory: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(document_path(directory, "m", 0, "multiplayer").read_bytes())
    return document


def test_finish_writes_all_three_and_uploads_one(tmp_path: Path) -> None:
    with Service.running() as service:
        session = Session()
        exporter = session.exporter(tmp_path, service.url)
        session.ended = True
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
        assert (session.built, service.requests) == (1, 1)


def test_checkpoints_are_partial_until_the_end(tmp_path: Path) -> None:
    session = Session()
    exporter = session.exporter(tmp_path, interval_s=0.1)
    until(document_path(tmp_path, "m", 0, "multiplayer").exists)
    assert multiplayer(tmp_path)["sessionStatus"]["isPartial"] is True
    session.ended = True
    finished = exporter.finish(10)
    built = session.built
    assert multiplayer(tmp_path)["sessionStatus"] == {"isPartial": False, "built": built}
    assert not exporter._thread.is_alive()
    assert session.built == built
    assert (finished.uploaded, finished.spooled, finished.problems) == (False, False, ())


def test_a_checkpoint_that_waits_for_its_turn_is_not_written_after_the_end(tmp_path: Path) -> None:
    session = Session()
    exporter = session.exporter(tmp_path, interval_s=0.1)
    finisher = threading.Thread(target=exporter.finish, args=(10,))
    with exporter._writing:
        before = session.built
        time.sleep(0.3)  # by now the exporter's thread waits for the lock
        finisher.start()
        time.sleep(0.1)
    finisher.join(PATIENCE_S)
    assert session.built == before + 1


def test_a_service_that_is_away_at_the_end_gets_the_document_from_the_next_session(tmp_path: Path) -> None:
    port = lasting_port()
    url = f"http://127.0.0.1:{port}"
    finished = Session().exporter(tmp_path, url).finish(0.5)
    assert (finished.uploaded, finished.spooled) == (False, True)
    assert len(finished.problems) == 1
    assert set(finished.paths) == set(KINDS)
    assert len(entries(tmp_path)) == 1

    with Service.running(port=port) as service:
        exporter = Session().exporter(tmp_path, url, player="other")
        until(lambda: bool(service.received))
        assert exporter.finish(10).uploaded
        assert [path for path, _, _ in service.received] == [
            "/v1/matches/m/players/0/multiplayer",
            "/v1/matches/m/players/%22other%22/multiplayer",
        ]
    assert entries(tmp_path) == []


def test_a_service_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with Service.running(delay_s=2 * PATIENCE_S) as service:
        exporter = Session().exporter(tmp_path, service.url)
        finished = exporter.finish(0.3)
        assert service.received == []
        assert (finished.uploaded, finished.spooled) == (False, True)


def test_a_refused_upload_is_reported_and_set_aside(tmp_path: Path) -> None:
    with Service.running(403) as service:
        finished = Session().exporter(tmp_path, service.url).finish(10)
        assert (finished.uploaded, finished.spooled) == (False, False)
        assert "403" in finished.problems[0]
        assert entries(tmp_path) == []


def test_an_upload_that_may_be_taken_later_is_reported_and_kept(tmp_path: Path) -> None:
    with Service.running(413) as service:
        finished = Session().exporter(tmp_path, service.url).finish(10)
        assert (finished.uploaded, finished.spooled) == (False, True)
        assert "413" in finished.problems[0]
        assert len(entries(tmp_path)) == 1


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


def test_the_checkpoint_of_a_killed_process_is_sent_by_the_next_one(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom gym_p2p.config import ExportConfig\nfrom gym_p2p.exports import Exporter\n"
        "Exporter(ExportConfig(directory=sys.argv[1], checkpoint_interval_s=0.1), game_id='m', player_id=0,\n"
        "    build=lambda: {'multiplayer': {'sessionStatus': {'isPartial': True}}},\n"
        "    server_url=sys.argv[2], token='t')\n"
        "time.sleep(60)\n"
    )
    with Service.running() as service:
        player = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), service.url])
        try:
            until((tmp_path / ".spool" / "m.0.multiplayer.json").exists)
            assert flush_spool(tmp_path, service.url, deadline_s=5).stored == ()
        finally:
            player.kill()
            player.wait(10)
        assert len(flush_spool(tmp_path, service.url, deadline_s=5).stored) == 1
        assert service.received[0][2] == {"sessionStatus": {"isPartial": True}}


def test_without_a_folder_nothing_is_written_and_the_upload_still_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Service.running() as service:
        finished = Session().exporter(None, service.url).finish(10)
        assert (finished.uploaded, finished.spooled, dict(finished.paths)) == (True, False, {})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_vanishes_or_turns_into_a_file_is_reported_and_never_raised(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    with Service.running() as service:
        exporter = Session().exporter(folder, service.url)
        folder.rmdir()
        folder.write_text("a file in its place")
        finished = exporter.finish(10)
        assert len(finished.problems) == 3
        told = "a file stands where a folder was wanted; nothing lies there"
        assert all(told in problem for problem in finished.problems)
        assert dict(finished.paths) == {}
        assert finished.uploaded


def test_a_final_document_that_cannot_be_written_is_uploaded_all_the_same(tmp_path: Path) -> None:
    with Service.running() as service:
        session = Session()
        exporter = session.exporter(tmp_path, service.url, interval_s=0.1)
        until((tmp_path / ".spool" / "m.0.multiplayer.json").exists)
        path = document_path(tmp_path, "m", 0, "multiplayer")
        with exporter._writing:
            path.unlink()
            path.mkdir()  # a rename onto a folder fails, as a full disk would
            session.ended = True
        finished = exporter.finish(10)
        (problem,) = [problem for problem in finished.problems if str(path) in problem]
        assert problem.endswith("a folder stands in its place; what lies there is a checkpoint")
        assert finished.uploaded
        assert service.received[-1][2]["sessionStatus"]["isPartial"] is False


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
