from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.config import ExportConfig
from gym_p2p.errors import ConfigurationError
from gym_p2p.exports import (
    KINDS,
    Exporter,
    SpoolEntry,
    Upload,
    UploadOutcome,
    check_directory,
    document_path,
    flush_spool,
    schema,
    upload,
    write_all,
    write_document,
)
from gym_p2p.exports.encoding import encode

TOKEN = "the-token"  # noqa: S105 - not a secret


class Service:
    """A tiny stand-in for the service: scripted statuses, then 200; it keeps what it was sent."""

    def __init__(
        self,
        *statuses: int,
        answer: bytes = b'{"ok":true,"stored":true}',
        delay_s: float = 0,
        port: int = 0,
    ) -> None:
        self.received: list[tuple[str, dict[str, str], Any]] = []
        self.statuses = list(statuses)
        self.requests = 0
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.requests += 1
                time.sleep(delay_s)
                status = service.statuses.pop(0) if service.statuses else 200
                if status == 200:
                    document = json.loads(gzip.decompress(body))
                    service.received.append((self.path, dict(self.headers), document))
                self.send_response(status)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(answer if status == 200 else b'{"ok":false}')

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @classmethod
    @contextlib.contextmanager
    def running(cls, *statuses: int, **options: Any) -> Iterator[Service]:
        service = cls(*statuses, **options)
        try:
            yield service
        finally:
            service.close()


def away() -> str:
    """Return an address of this machine where nobody answers."""
    with Service.running() as service:
        return service.url


def target(url: str, player: str | int = 0) -> Upload:
    return Upload.of_document(server_url=url, match_id="m", player_id=player, kind="multiplayer", token=TOKEN)


def spool(directory: Path, url: str, player: str | int = 0) -> Path:
    """Leave a document and its entry behind, as a process that ended does."""
    path = document_path(directory, "m", player, "multiplayer")
    write_document(path, {"playerId": player})
    SpoolEntry.create(
        directory, "m", player, kind="multiplayer", target=target(url, player), document=path
    ).release()
    return path


def entries(directory: Path) -> list[Path]:
    return sorted((directory / ".spool").glob("*.json"))


# Names.


def test_a_document_lies_under_its_game_and_player() -> None:
    assert document_path("out", "game-1", "alice", "session") == Path("out/game-1/alice.session.json")
    assert document_path("out", "game-1", 0, "multiplayer") == Path("out/game-1/0.multiplayer.json")


ids = st.one_of(
    st.integers(),
    st.text(),
    st.text(alphabet="./\\~%\0 1-A", max_size=6),
    st.sampled_from(
        ["..", ".", "../../etc/passwd", "a/b", "", "\ud800", "con", ".spool", "x" * 5000, "é" * 500]
    ),
)


@given(ids, ids)
def test_no_id_leaves_its_folder_and_different_ids_never_meet(one: str | int, other: str | int) -> None:
    path = document_path("out", str(one), one, "session")
    assert path.parts[0] == "out"
    assert len(path.parts) == 3
    assert ".." not in path.parts
    assert not any(part.startswith(".") for part in path.parts)
    assert all(len(os.fsencode(part)) <= 200 for part in path.parts)
    assert "\0" not in str(path)
    same = document_path("out", "g", one, "session") == document_path("out", "g", other, "session")
    assert same == (one == other and type(one) is type(other))


def test_an_id_of_a_number_and_its_text_are_two_files() -> None:
    assert document_path("out", "g", 1, "session") != document_path("out", "g", "1", "session")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="session, validation, multiplayer"):
        document_path("out", "g", 0, "../evil")
    with pytest.raises(ConfigurationError):
        schema("nothing")


# Writing.


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
        max_leaves=20,
    )
)
def test_a_document_in_pieces_is_the_same_json(value: Any) -> None:
    assert json.loads(b"".join(encode(value))) == value


def test_a_long_list_is_encoded_in_several_pieces() -> None:
    value = {"long": list(range(5000)), "empty": {}, "none": []}
    pieces = list(encode(value))
    assert max(map(len, pieces)) < 10_000
    assert json.loads(b"".join(pieces)) == value


def test_written_documents_are_read_back_and_leave_no_temporary_file(tmp_path: Path) -> None:
    documents: dict[str, dict[str, Any]] = {kind: {"kind": kind} for kind in KINDS}
    paths = write_all(tmp_path, "g", 0, documents)
    assert {kind: json.loads(path.read_text()) for kind, path in paths.items()} == documents
    assert sorted(path.name for path in (tmp_path / "g").iterdir()) == sorted(p.name for p in paths.values())


def test_what_cannot_be_written_leaves_the_old_document(tmp_path: Path) -> None:
    path = document_path(tmp_path, "g", 0, "session")
    write_document(path, {"version": 1})
    with pytest.raises(TypeError):
        write_document(path, {"version": 2, "wrong": object()})
    assert json.loads(path.read_text()) == {"version": 1}
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_killed_at_any_moment_leaves_a_whole_document(tmp_path: Path) -> None:
    path = document_path(tmp_path, "g", 0, "multiplayer")
    program = (
        "import sys\nfrom pathlib import Path\nfrom gym_p2p.exports import write_document\n"
        "number = int(sys.argv[2])\n"
        "while True:\n"
        "    number += 1\n"
        "    write_document(Path(sys.argv[1]), {'number': number, 'rows': [number] * 50_000})\n"
    )
    seen = set()
    for round_number in range(6):
        start = 1000 * (round_number + 1)
        writer = subprocess.Popen([sys.executable, "-c", program, str(path), str(start)])
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                if path.exists() and json.loads(path.read_bytes())["number"] > start:
                    break
                time.sleep(0.002)
            time.sleep(0.003 * round_number)
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.wait(10)
        document = json.loads(path.read_bytes())
        assert document["rows"] == [document["number"]] * 50_000
        seen.add(document["number"])
    assert len(seen) == 6


def test_a_folder_that_cannot_be_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for wrong in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "nul\0"):
        with pytest.raises(ConfigurationError, match="cannot write to"):
            check_directory(wrong)
    assert check_directory(tmp_path / "new" / "folder").is_dir()
    assert list((tmp_path / "new" / "folder").iterdir()) == []


# Uploading.


def test_an_upload_carries_the_token_and_the_gzipped_document_to_its_address() -> None:
    with Service.running() as service:
        reply = upload(target(service.url + "/", "a/b é"), [b'{"a":', b"1}"], deadline_s=5)
        assert reply.outcome is UploadOutcome.STORED
        ((path, headers, document),) = service.received
    assert document == {"a": 1}
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Content-Encoding"] == "gzip"
    prefix, player, kind = path.rsplit("/", 2)
    assert (prefix, kind) == ("/v1/matches/m/players", "multiplayer")
    assert json.loads(urllib.parse.unquote(player)) == "a/b é"


def test_the_player_one_and_the_player_named_1_have_two_addresses() -> None:
    assert target("http://x", 1).path.endswith("/players/1/multiplayer")
    assert target("http://x", "1").path.endswith("/players/%221%22/multiplayer")


def test_the_token_is_not_in_the_representation() -> None:
    assert TOKEN not in repr(target("http://x"))


def test_a_failing_service_is_tried_again_until_it_has_stored() -> None:
    with Service.running(500, 503, 404, 429) as service:
        assert upload(target(service.url), [b"{}"], deadline_s=20).outcome is UploadOutcome.STORED
        assert (service.requests, len(service.received)) == (5, 1)


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_a_refusal_is_not_repeated(status: int) -> None:
    with Service.running(status) as service:
        reply = upload(target(service.url), [b"{}"], deadline_s=20)
        assert reply.outcome is UploadOutcome.REFUSED
        assert str(status) in reply.detail
        assert service.requests == 1


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[]", b'{"ok":true}', b'{"ok":true,"stored":false}'])
def test_an_answer_that_does_not_say_stored_is_no_acknowledgement(answer: bytes) -> None:
    with Service.running(answer=answer) as service:
        reply = upload(target(service.url), [b"{}"], deadline_s=0)
        assert reply.outcome is UploadOutcome.UNREACHABLE
        assert service.requests == 1


def test_a_service_that_is_away_costs_no_more_than_the_deadline() -> None:
    url = away()
    began = time.monotonic()
    assert upload(target(url), [b"{}"], deadline_s=0.5).outcome is UploadOutcome.UNREACHABLE
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("url", ["file:///etc/passwd", "nonsense", "ftp://127.0.0.1"])
def test_an_address_that_is_not_http_is_refused(url: str) -> None:
    assert upload(target(url), [b"{}"], deadline_s=5).outcome is UploadOutcome.REFUSED


# The spool.


def test_a_spooled_document_is_sent_at_the_next_chance_and_only_once(tmp_path: Path) -> None:
    with Service.running() as service:
        path = spool(tmp_path, service.url)
        assert stat.S_IMODE(entries(tmp_path)[0].stat().st_mode) == 0o600
        result = flush_spool(tmp_path, service.url + "/", deadline_s=10)
        assert (result.stored, result.refused, result.waiting) == ((path,), (), 0)
        assert flush_spool(tmp_path, service.url, deadline_s=10).stored == ()
        assert [document for _, _, document in service.received] == [{"playerId": 0}]


def test_nothing_is_lost_while_the_service_is_away(tmp_path: Path) -> None:
    url = away()
    for player in range(5):
        spool(tmp_path, url, player)
    assert flush_spool(tmp_path, url, deadline_s=10).waiting == 5
    assert len(entries(tmp_path)) == 5


def test_one_document_that_the_service_chokes_on_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with Service.running(500) as service:
        for player in range(3):
            spool(tmp_path, service.url, player)
        result = flush_spool(tmp_path, service.url, deadline_s=10)
        assert (len(result.stored), result.waiting) == (2, 1)


def test_a_refused_document_is_set_aside_with_the_reason_and_without_the_token(tmp_path: Path) -> None:
    with Service.running(403) as service:
        path = spool(tmp_path, service.url)
        result = flush_spool(tmp_path, service.url, deadline_s=10)
        assert (result.refused, result.waiting) == ((path,), 0)
        (aside,) = (tmp_path / ".spool" / "refused").glob("*.json")
        text = aside.read_text()
        assert "403" in json.loads(text)["reason"]
        assert TOKEN not in text
        assert path.exists()
        flush_spool(tmp_path, service.url, deadline_s=10)
        assert service.requests == 1


def test_a_document_for_another_service_is_not_sent_to_this_one(tmp_path: Path) -> None:
    with Service.running() as service:
        spool(tmp_path, "http://127.0.0.1:9")
        assert flush_spool(tmp_path, service.url, deadline_s=10).waiting == 1
        assert service.requests == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"serverUrl":1}',
        b'{"serverUrl":"u","urlPath":"/","token":"t","document":"../../etc/passwd","kind":"multiplayer"}',
    ],
)
def test_an_entry_that_is_not_ours_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".spool").mkdir()
    (tmp_path / ".spool" / "x.json").write_bytes(content)
    result = flush_spool(tmp_path, "http://127.0.0.1:9", deadline_s=1)
    assert result.waiting == 0
    assert len(list((tmp_path / ".spool" / "refused").iterdir())) == 1


def test_an_entry_whose_document_is_gone_is_set_aside(tmp_path: Path) -> None:
    spool(tmp_path, "http://127.0.0.1:9").unlink()
    assert flush_spool(tmp_path, "http://127.0.0.1:9", deadline_s=1).waiting == 0


def test_an_empty_or_missing_spool_is_fine(tmp_path: Path) -> None:
    assert flush_spool(tmp_path / "nowhere", "http://127.0.0.1:9", deadline_s=1).waiting == 0


def test_two_processes_that_flush_one_spool_send_nothing_twice(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom gym_p2p.exports import flush_spool\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "print(len(flush_spool(sys.argv[1], sys.argv[2], deadline_s=30).stored), flush=True)\n"
    )
    with Service.running(delay_s=0.01) as service:
        for player in range(30):
            spool(tmp_path, service.url, player)
        flushers = [
            subprocess.Popen(
                [sys.executable, "-c", program, str(tmp_path), service.url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        for flusher in flushers:
            assert flusher.stdout is not None
            assert flusher.stdout.readline() == "ready\n"
        counts = [int(flusher.communicate("go\n", timeout=60)[0]) for flusher in _started(flushers)]
        assert sorted(document["playerId"] for _, _, document in service.received) == list(range(30))
        assert sum(counts) == 30
        assert min(counts) > 0
    assert entries(tmp_path) == []


def _started(flushers: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    for flusher in flushers:
        assert flusher.stdin is not None
        flusher.stdin.write("go\n")
        flusher.stdin.flush()
    return flushers


# The exporter.


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


def wait_for(path: Path) -> None:
    for _ in range(1000):
        if path.exists():
            return
        time.sleep(0.01)
    pytest.fail(f"{path} did not come")


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
    wait_for(document_path(tmp_path, "m", 0, "multiplayer"))
    assert multiplayer(tmp_path)["sessionStatus"]["isPartial"] is True
    session.ended = True
    finished = exporter.finish(10)
    built = session.built
    assert multiplayer(tmp_path)["sessionStatus"] == {"isPartial": False, "built": built}
    time.sleep(0.3)
    assert session.built == built
    assert (finished.uploaded, finished.spooled, finished.problems) == (False, False, ())


def test_a_checkpoint_that_waits_for_its_turn_is_not_written_after_the_end(tmp_path: Path) -> None:
    session = Session()
    exporter = session.exporter(tmp_path, interval_s=0.1)
    finisher = threading.Thread(target=exporter.finish, args=(10,))
    with exporter._writing:
        time.sleep(0.3)  # by now the exporter's thread waits for the lock
        finisher.start()
        time.sleep(0.1)
    finisher.join(10)
    assert session.built == 1


def test_a_service_that_is_away_at_the_end_gets_the_document_from_the_next_session(tmp_path: Path) -> None:
    service = Service()
    url, port = service.url, int(service.url.rsplit(":", 1)[1])
    service.close()
    finished = Session().exporter(tmp_path, url).finish(0.5)
    assert (finished.uploaded, finished.spooled) == (False, True)
    assert len(finished.problems) == 1
    assert set(finished.paths) == set(KINDS)
    assert len(entries(tmp_path)) == 1

    with Service.running(port=port) as service:
        exporter = Session().exporter(tmp_path, url, player="other")
        for _ in range(1000):
            if service.received:
                break
            time.sleep(0.01)
        assert exporter.finish(10).uploaded
        assert [path for path, _, _ in service.received] == [
            "/v1/matches/m/players/0/multiplayer",
            "/v1/matches/m/players/%22other%22/multiplayer",
        ]
    assert entries(tmp_path) == []


def test_a_service_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with Service.running(delay_s=2.0) as service:
        exporter = Session().exporter(tmp_path, service.url)
        began = time.monotonic()
        finished = exporter.finish(0.3)
        assert time.monotonic() - began < 1.5
        assert (finished.uploaded, finished.spooled) == (False, True)


def test_a_refused_upload_is_reported_and_set_aside(tmp_path: Path) -> None:
    with Service.running(403) as service:
        finished = Session().exporter(tmp_path, service.url).finish(10)
        assert (finished.uploaded, finished.spooled) == (False, False)
        assert "403" in finished.problems[0]
        assert entries(tmp_path) == []


def test_an_upload_is_not_sent_by_another_session_at_the_same_time(tmp_path: Path) -> None:
    with Service.running(delay_s=0.5) as service:
        exporter = Session().exporter(tmp_path, service.url)
        finisher = threading.Thread(target=exporter.finish, args=(10,))
        finisher.start()
        for _ in range(1000):
            if service.requests:
                break
            time.sleep(0.005)
        assert len(entries(tmp_path)) == 1
        assert flush_spool(tmp_path, service.url, deadline_s=5).stored == ()
        finisher.join(20)
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
            wait_for(tmp_path / ".spool" / "m.0.multiplayer.json")
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
        assert dict(finished.paths) == {}
        assert finished.uploaded


def test_a_final_document_that_cannot_be_written_is_uploaded_all_the_same(tmp_path: Path) -> None:
    with Service.running() as service:
        session = Session()
        exporter = session.exporter(tmp_path, service.url, interval_s=0.1)
        wait_for(tmp_path / ".spool" / "m.0.multiplayer.json")
        path = document_path(tmp_path, "m", 0, "multiplayer")
        with exporter._writing:
            path.unlink()
            path.mkdir()  # a rename onto a folder fails, as a full disk would
            session.ended = True
        finished = exporter.finish(10)
        assert any(str(path) in problem for problem in finished.problems)
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
