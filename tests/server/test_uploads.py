from __future__ import annotations

import contextlib
import errno
import gzip
import json
import socket
import stat
import threading
import time
import urllib.parse
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.core.record.folders import match_folder
from gym_p2p.exports import SpoolEntry, document_path, flush_spool, write_document
from gym_p2p.exports.upload import Upload, UploadOutcome, upload
from gym_p2p.server import Service, serve_in_thread
from gym_p2p.server.store import Store
from tests.server.clients import Match, folder_of, stored
from tests.server.raw import RawClient, match_two
from tests.waiting import PATIENCE_S, in_time, until

LIMIT_BYTES = 64 * 1024  # as the service fixture has it


@pytest.fixture
def match(service: Service) -> Iterator[Match]:
    ann, bob, anns, bobs = match_two(service.url)
    with ann, bob:
        yield Match(service.url, anns["match_id"], {"first": anns["token"], "second": bobs["token"]})


def test_what_was_acknowledged_is_stored(match: Match, data_dir: Path) -> None:
    body = match.document()
    assert match.put(body) == (200, {"ok": True, "stored": True})
    assert (folder_of(data_dir, match.match_id) / "first.multiplayer.json").read_bytes() == body


def test_the_documents_of_all_players_make_the_aggregate(match: Match, data_dir: Path) -> None:
    for player in ("first", "second"):
        for kind in ("session", "validation", "multiplayer"):
            status, _ = match.put(
                match.document(player), player=player, kind=kind, token=match.tokens[player]
            )
            assert status == 200
    assert len(stored(data_dir, match)) == 7
    aggregate = json.loads((folder_of(data_dir, match.match_id) / "aggregate.json").read_bytes())
    assert aggregate["summary"]["fullySynced"] is True
    assert aggregate["players"].keys() == {"first", "second"}


def test_a_repeated_upload_is_acknowledged_and_leaves_one_document(match: Match, data_dir: Path) -> None:
    for _ in range(3):
        assert match.put(match.document())[0] == 200
    assert stored(data_dir, match) == ["first.multiplayer.json"]


def test_a_compressed_document_is_stored_in_the_clear(match: Match, data_dir: Path) -> None:
    body = match.document()
    assert match.put(gzip.compress(body), encoding="gzip")[0] == 200
    assert (folder_of(data_dir, match.match_id) / "first.multiplayer.json").read_bytes() == body


def test_another_players_document_is_refused(match: Match, data_dir: Path) -> None:
    assert match.put(match.document("second"), player="second")[0] == 403
    assert match.put(match.document("second"))[0] == 403
    assert match.put(match.document(), match_id="match-of-others")[0] == 403
    assert stored(data_dir, match) == []


def test_a_player_has_only_so_many_documents_that_arrive_and_others_are_taken(match: Match) -> None:
    where = urllib.parse.urlsplit(match.url)
    head = (
        f"PUT /v1/matches/{match.match_id}/players/first/session HTTP/1.1\r\nHost: a\r\n"
        f"Authorization: Bearer {match.tokens['first']}\r\nContent-Length: 1000\r\n\r\n{{"
    )
    with contextlib.ExitStack() as unfinished:
        for _ in range(6):
            address = (where.hostname or "", where.port or 0)
            one = unfinished.enter_context(socket.create_connection(address, PATIENCE_S))
            one.sendall(head.encode())
        until(lambda: match.put(match.document())[0] == 503)
        assert match.put(match.document("second"), player="second", token=match.tokens["second"])[0] == 200
    until(lambda: match.put(match.document())[0] == 200)


@pytest.mark.parametrize("token", ["", "x", "x.y", "a" * 20_000])
def test_a_forged_token_is_refused(match: Match, token: str) -> None:
    assert match.put(match.document(), token=token)[0] == 401


def test_a_tampered_token_is_refused_without_a_word_too_many(match: Match) -> None:
    token = match.tokens["first"]
    status, body = match.put(match.document(), token=token[:-2] + ("AA" if token[-2:] != "AA" else "BB"))
    assert status == 401
    assert body["ok"] is False
    assert body["error"]["code"] == "unauthenticated"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"", None),
        (b"not json", None),
        (b"[]", None),
        (b"[" * 10_000, None),
        (b"not gzip", "gzip"),
        (gzip.compress(b"{}", mtime=0)[:-4], "gzip"),
        (gzip.compress(b"{}", mtime=0) + b"more", "gzip"),
    ],
)
def test_what_is_no_document_is_a_bad_request(match: Match, body: bytes, encoding: str | None) -> None:
    status, answer = match.put(body, encoding=encoding)
    assert status == 400
    assert answer["error"]["code"] == "bad_request"


def test_a_document_beyond_the_limit_is_too_large(match: Match, data_dir: Path) -> None:
    status, answer = match.put(match.document(padding="x" * LIMIT_BYTES))
    assert (status, answer["error"]["code"]) == (413, "too_large")
    assert stored(data_dir, match) == []


def test_what_is_refused_has_a_line_in_the_services_log(
    match: Match, caplog: pytest.LogCaptureFixture
) -> None:
    match.put(match.document(padding="x" * LIMIT_BYTES))
    (line,) = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert match.match_id in line
    assert "413" in line
    caplog.clear()
    match.put(match.document(), token="")
    assert "refused" not in caplog.text  # anybody could fill the disk with such lines


def test_a_full_disk_is_told_as_that(match: Match, monkeypatch: pytest.MonkeyPatch) -> None:
    def put(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Store, "put", put)
    status, answer = match.put(match.document())
    assert status == 507
    assert "disk is full" in answer["error"]["message"]


def test_a_gzip_bomb_is_too_large_and_never_unfolds(match: Match, data_dir: Path) -> None:
    folded = zlib.compressobj(9, wbits=31)
    bomb = b"".join(folded.compress(b" " * 2**20) for _ in range(40)) + folded.flush()
    assert len(bomb) < LIMIT_BYTES
    status, answer = match.put(bomb, encoding="gzip")
    assert (status, answer["error"]["code"]) == (413, "too_large")
    assert stored(data_dir, match) == []


def test_an_unknown_encoding_or_kind_is_refused(match: Match) -> None:
    assert match.put(match.document(), encoding="br")[0] == 415
    assert match.put(match.document(), kind="aggregate")[0] == 404


def test_ids_are_no_paths(service: Service, data_dir: Path) -> None:
    seats = ["../../first", "second"]
    with RawClient(service.url, subject="dots") as ann, RawClient(service.url, subject="bob") as bob:
        for client in (ann, bob):
            assert client.call("join_room", {"room": "...", "seats": seats})["ok"]
        found = ann.event("match_found")
        match = Match(service.url, found["match_id"], {"first": found["token"]})
        status, _ = match.put(match.document("../../first"), player="../../first")
    assert status == 200
    assert stored(data_dir, match) == ["%2E.%2F..%2Ffirst.multiplayer.json"]
    assert {path.name for path in data_dir.parent.iterdir()} == {"data"}


@pytest.mark.parametrize("seats", [["first", "second"], [1, "1"], ["1", 1], ['a/"b"', "é"], [-5, 0]])
def test_our_own_uploader_is_understood_whatever_the_seats_are_called(
    service: Service, data_dir: Path, seats: list[int | str]
) -> None:
    room = f"uploader-{abs(hash(tuple(seats)))}"
    with (
        RawClient(service.url, subject=f"{room}-a") as ann,
        RawClient(service.url, subject=f"{room}-b") as bob,
    ):
        for client in (ann, bob):
            assert client.call("join_room", {"room": room, "seats": seats})["ok"]
        for client in (ann, bob):
            found = client.event("match_found")
            match = Match(service.url, found["match_id"], {})
            target = Upload.of_document(
                server_url=service.url,
                match_id=found["match_id"],
                player_id=found["player_id"],
                kind="multiplayer",
                token=found["token"],
            )
            body = json.loads(match.document())
            body["playerId"] = found["player_id"]
            reply = upload(target, [json.dumps(body).encode()], deadline_s=5)
            assert reply.outcome is UploadOutcome.STORED
    assert len(stored(data_dir, match)) == 3  # two documents, and the aggregate
    assert "aggregate.json" in stored(data_dir, match)


def test_an_upload_survives_the_services_restart(tmp_path: Path) -> None:
    config = ServiceConfig(port=0, data_dir=str(tmp_path))
    with serve_in_thread(config) as first:
        ann, bob, anns, _ = match_two(first.url)
        ann.close()
        bob.close()
    with serve_in_thread(config) as second:
        match = Match(second.url, anns["match_id"], {"first": anns["token"]})
        assert match.put(match.document())[0] == 200
    assert stored(tmp_path, match) == ["first.multiplayer.json"]


def test_a_document_waits_where_the_service_has_another_secret_than_the_match_was_made_with(
    tmp_path: Path,
) -> None:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path / "first"))) as first:
        ann, bob, anns, _ = match_two(first.url)
        with ann, bob:
            match = Match(first.url, anns["match_id"], {"first": anns["token"]})
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path / "second"))) as second:
        path = write_document(
            document_path(tmp_path / "exports" / "m", "first", "multiplayer"), json.loads(match.document())
        )
        target = Upload.of_document(
            server_url=second.url,
            match_id=match.match_id,
            player_id="first",
            kind="multiplayer",
            token=anns["token"],
        )
        entry = SpoolEntry.create(
            tmp_path / "exports", "m", "first", kind="multiplayer", target=target, document=path
        )
        assert entry.send(deadline_s=PATIENCE_S).outcome is UploadOutcome.UNAUTHENTICATED
        entry.close()
        assert flush_spool(tmp_path / "exports", second.url, deadline_s=10).waiting == 1


def test_an_expired_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path), token_lifetime_s=60)) as service:
        ann, bob, anns, _ = match_two(service.url)
        with ann, bob:
            match = Match(service.url, anns["match_id"], {"first": anns["token"]})
            assert match.put(match.document())[0] == 200
            began = time.time()
            monkeypatch.setattr(time, "time", lambda: began + 61)
            assert match.put(match.document())[0] == 401


def test_a_directory_that_cannot_be_written_is_unavailable_and_not_a_crash(tmp_path: Path) -> None:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        ann, bob, anns, _ = match_two(service.url)
        with ann, bob:
            match = Match(service.url, anns["match_id"], {"first": anns["token"]})
            place = {"made_at_ms": anns["made_at_ms"], "place": anns["room"]}
            (tmp_path / match_folder(anns["match_id"], **place)).write_text(
                "a file where the directory should be"
            )
            status, answer = match.put(match.document())
    assert (status, answer["error"]["code"]) == (503, "unavailable")
    assert "Errno" not in json.dumps(answer)


def test_the_secret_stays_with_its_owner(service: Service, data_dir: Path) -> None:
    assert service.url
    assert stat.S_IMODE((data_dir / ".token-secret").stat().st_mode) == 0o600


@pytest.mark.alone
def test_signals_flow_while_large_documents_are_stored(tmp_path: Path) -> None:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        ann, bob, anns, _ = match_two(service.url)
        with ann, bob:
            match = Match(service.url, anns["match_id"], {"first": anns["token"]})
            body = match.document(samples=[{"timestamp": n, "rttMs": 1.5} for n in range(400_000)])
            assert len(body) > 10 * 2**20
            statuses: list[int] = []
            uploading = threading.Thread(target=lambda: statuses.append(match.put(body)[0]))
            uploading.start()
            waits_s: list[float] = []
            while uploading.is_alive() and len(waits_s) < 90:
                began = time.monotonic()
                assert ann.call("leave_room", {"room": "none"})["ok"]
                waits_s.append(time.monotonic() - began)
                time.sleep(0.01)
            uploading.join(PATIENCE_S)
    assert statuses == [200]
    assert len(waits_s) >= 3
    with in_time():
        assert max(waits_s) < 0.5
