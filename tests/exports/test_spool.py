from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gym_p2p.exports import document_path, flush_spool, write_document
from gym_p2p.exports.documents import read_document
from gym_p2p.exports.spool import SPOOL, SpoolEntry
from gym_p2p.exports.upload import UploadOutcome
from gym_p2p.exports.upload_status import upload_status
from gym_p2p.server.guard.tokens import TokenSigner, UploadClaims
from tests.exports.service import TOKEN, Service, away, entries, spool
from tests.waiting import PATIENCE_S, until


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


@pytest.mark.parametrize("filler", ["", "x" * 2**20], ids=["small", "packed"])
@pytest.mark.parametrize(("status", "state"), [(200, "stored"), (403, "refused"), (413, "kept")])
def test_the_session_document_says_what_became_of_an_upload_that_waited(
    tmp_path: Path, status: int, state: str, filler: str
) -> None:
    kept = upload_status("kept", "no answer in time", tmp_path / "m" / "0.multiplayer.json")
    session = {"gameId": "m", "large": 2**70, "upload": kept, "filler": filler}
    with Service.running(status) as service:
        spool(tmp_path, service.url)
        there = write_document(document_path(tmp_path / "m", 0, "session"), session)
        before = json.loads(read_document(there))
        flush_spool(tmp_path, service.url, deadline_s=10)
    after = json.loads(read_document(there))
    assert (after["upload"]["state"], after["upload"]["command"] is None) == (state, state == "stored")
    assert (
        after["upload"]["problem"]
        == {"stored": None, "refused": "HTTP 403 Forbidden", "kept": "no answer in time"}[state]
    )
    assert {**after, "upload": None} == {**before, "upload": None}
    assert list(after) == list(before)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"gameId": "m"}', b"[" * 100_000])
def test_what_is_no_session_document_stays_as_it_is_beside_one_that_is_handed_in(
    tmp_path: Path, content: bytes
) -> None:
    with Service.running() as service:
        path = spool(tmp_path, service.url)
        beside = document_path(path.parent, 0, "session")
        beside.write_bytes(content)
        assert flush_spool(tmp_path, service.url, deadline_s=10).stored == (path,)
    assert beside.read_bytes() == content


@pytest.mark.parametrize("status", [401, 413, 507])
def test_a_document_that_may_be_taken_later_is_kept_named_and_sent_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    with Service.running(status, status) as service:
        paths = {spool(tmp_path, service.url, player) for player in range(5)}
        result = flush_spool(tmp_path, service.url, deadline_s=10)
        assert (len(result.stored), result.refused, result.waiting) == (3, (), 2)
        kept = paths - set(result.stored)
        assert all(f"{path} was not taken" in caplog.text for path in kept)
        assert str(status) in caplog.text
        assert set(flush_spool(tmp_path, service.url, deadline_s=10).stored) == kept


def _issued(expires_at: float) -> str:
    claims = UploadClaims(match_id="m", player_id=0, player_ids=(0, 1), expires_at=expires_at)
    return TokenSigner(b"the service's", UploadClaims).issue(claims)


@pytest.mark.parametrize("filler", ["", "x" * 2**20], ids=["small", "packed"])
def test_a_document_whose_token_has_expired_is_kept_and_says_what_helps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, filler: str
) -> None:
    with Service.running(401, 401) as service:
        lasting = spool(tmp_path, service.url, 0, token=_issued(time.time() + 3600))
        expired = spool(tmp_path, service.url, 1, token=_issued(time.time() - 1))
        there = write_document(expired, {"playerId": 1, "filler": filler})
        result = flush_spool(tmp_path, service.url, deadline_s=10)
        assert (result.stored, result.refused, result.waiting) == ((), (), 2)
        assert f"`gym-p2p exports upload {there} --token TOKEN`" in caplog.text
        assert f"upload {lasting}" not in caplog.text
        assert flush_spool(tmp_path, service.url, deadline_s=10).stored == (lasting, expired)


def test_expired_tokens_do_not_stand_before_those_that_last(tmp_path: Path) -> None:
    with Service.running(*[401] * 10) as service:
        for player in range(5):
            spool(tmp_path, service.url, player, token=_issued(time.time() - 1))
        spool(tmp_path, service.url, "lasting", token=_issued(time.time() + 3600))
        service.statuses.clear()
        service.statuses.append(200)
        service.statuses.extend([401] * 10)
        result = flush_spool(tmp_path, service.url, deadline_s=10)
        assert [path.name for path in result.stored] == ["lasting.multiplayer.json"]


def test_a_token_that_says_nothing_of_its_end_lasts_as_long_as_tokens_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Service.running(401) as service:
        spool(tmp_path, service.url)
        (entry,) = entries(tmp_path)
        month_ago = time.time() - 31 * 24 * 3600
        os.utime(entry, (month_ago, month_ago))
        assert flush_spool(tmp_path, service.url, deadline_s=10).waiting == 1
        assert "has expired" in caplog.text


@pytest.mark.parametrize("status", [401, 413, 507])
def test_a_service_that_takes_nothing_is_not_sent_everything(tmp_path: Path, status: int) -> None:
    with Service.running(*[status] * 20) as service:
        for player in range(10):
            spool(tmp_path, service.url, player)
        assert flush_spool(tmp_path, service.url, deadline_s=10).waiting == 10
        assert service.requests == 3


def test_a_refusal_in_the_services_words_is_printable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = json.dumps({"ok": False, "error": {"message": "\x1b[2Jno"}}).encode()
    with Service.running(413, refusal=words) as service:
        spool(tmp_path, service.url)
        flush_spool(tmp_path, service.url, deadline_s=10)
    assert "\\x1b[2Jno" in caplog.text
    assert "\x1b" not in caplog.text


def test_documents_that_the_service_chokes_on_do_not_stand_before_the_others_for_ever(tmp_path: Path) -> None:
    with Service.running(chokes_on=range(3)) as service:
        paths = [spool(tmp_path, service.url, player) for player in range(4)]
        for _ in range(60):
            if flush_spool(tmp_path, service.url, deadline_s=10).stored:
                break
        assert not list((tmp_path / ".spool").glob("*.3.*"))
        assert len(entries(tmp_path)) == len(paths) - 1


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


def test_an_entry_by_which_its_player_has_replaced_another_one_is_not_set_aside_with_that(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its player was killed, and plays on in another process, while a third one hands in what was left."""
    spool(tmp_path, "http://127.0.0.1:9").unlink()
    (path,) = (tmp_path / SPOOL).glob("*.json")
    before = SpoolEntry.claim(path, tmp_path)
    assert before is not None
    spool(tmp_path, "http://127.0.0.1:9").unlink()
    assert before.send(deadline_s=PATIENCE_S).outcome is UploadOutcome.REFUSED
    before.close()
    assert path.exists()
    assert "refused" not in caplog.text


def test_an_empty_or_missing_spool_is_fine(tmp_path: Path) -> None:
    assert flush_spool(tmp_path / "nowhere", "http://127.0.0.1:9", deadline_s=1).waiting == 0


def test_two_processes_that_flush_one_spool_send_nothing_twice(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom gym_p2p.exports import flush_spool\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "print(len(flush_spool(sys.argv[1], sys.argv[2], deadline_s=30).stored), flush=True)\n"
    )
    with Service.running(delay_s=2 * PATIENCE_S) as service:
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
        for flusher in flushers:
            assert flusher.stdin is not None
            flusher.stdin.write("go\n")
            flusher.stdin.flush()
        until(lambda: service.requests == len(flushers))  # each is sending: neither does it all
        service.released.set()
        counts = [int(flusher.communicate(timeout=60)[0]) for flusher in flushers]
        assert sorted(document["playerId"] for _, _, document in service.received) == list(range(30))
        assert sum(counts) == 30
        assert min(counts) > 0
    assert entries(tmp_path) == []


def test_an_entry_without_end_is_set_aside_and_one_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    waiting = tmp_path / ".spool"
    waiting.mkdir()
    (waiting / "1.json").write_bytes(b'{"serverUrl": "' + b"x" * 2**20)
    os.mkfifo(waiting / "2.json")
    flush_spool(tmp_path, "http://127.0.0.1:9", deadline_s=1)
    assert not (waiting / "1.json").exists()
    kept = (waiting / "refused" / "1.json").read_text()
    assert "longer than 65536 bytes" in kept
    assert len(kept) < 1000
