from __future__ import annotations

import asyncio
import gzip
import io
import json
import sys
import tracemalloc
from pathlib import Path

import psutil
import pytest

from gym_p2p.exports.documents import Kind, read_document
from gym_p2p.server import intake as under_test
from gym_p2p.server.guard.tokens import UploadClaims
from gym_p2p.server.intake import SMALL_BYTES, Intake, NotNowError, TooLargeError
from gym_p2p.server.store import DocumentError, ForeignDocumentError, Store
from tests.server.documents import claims, document
from tests.waiting import eventually, until

LIMIT_BYTES = 64 * 2**20
MANY = tuple(f"{n:016x}" for n in range(12_000))
"""Hashes that make a document of more than is read in a thread."""


def hand_in(store: Store, whose: UploadClaims, kind: Kind, body: bytes, *, gzipped: bool = False) -> None:
    asyncio.run(Intake(store, LIMIT_BYTES).take(whose, kind, io.BytesIO(body), gzipped=gzipped))


def test_the_last_players_document_completes_the_aggregate(tmp_path: Path) -> None:
    store = Store(tmp_path, now=lambda: 5.0)
    hand_in(store, claims("a"), "multiplayer", document("a"))
    hand_in(store, claims("b"), "session", document("b"))
    assert not store.aggregate_path(claims("a")).exists()
    hand_in(store, claims("b"), "multiplayer", document("b"))
    aggregate = json.loads(store.aggregate_path(claims("a")).read_bytes())
    assert aggregate["summary"]["fullySynced"] is True
    assert aggregate["aggregatedAt"] == 5000


def test_a_final_document_after_a_checkpoint_renews_the_aggregate(tmp_path: Path) -> None:
    store = Store(tmp_path)
    hand_in(store, claims("a"), "multiplayer", document("a"))
    hand_in(store, claims("b"), "multiplayer", document("b", hashes=("x",)))
    hand_in(store, claims("b"), "multiplayer", document("b", hashes=("x", "z")))
    aggregate = json.loads(store.aggregate_path(claims("a")).read_bytes())
    assert aggregate["summary"]["firstHashMismatchFrame"] == {"episode": 1, "frame": 1}


def test_a_document_that_cannot_be_aggregated_is_stored_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    hand_in(store, claims("a"), "multiplayer", document("a"))
    hand_in(store, claims("b"), "multiplayer", document("b", validation=None))
    assert store.path(claims("b"), "b", "multiplayer").exists()
    assert not store.aggregate_path(claims("a")).exists()
    assert "not aggregated" in caplog.text


@pytest.mark.parametrize("gzipped", [False, True])
def test_large_documents_are_stored_and_compared_like_small_ones(tmp_path: Path, *, gzipped: bool) -> None:
    store = Store(tmp_path)
    for player in ("a", "b"):
        body = document(player, hashes=MANY)
        assert len(body) > SMALL_BYTES
        hand_in(
            store, claims(player), "multiplayer", gzip.compress(body) if gzipped else body, gzipped=gzipped
        )
        assert read_document(store.path(claims(player), player, "multiplayer")) == body
    aggregate = json.loads(store.aggregate_path(claims("a")).read_bytes())
    assert aggregate["summary"]["totalHashesCompared"] == len(MANY)
    assert {path.name for path in (tmp_path / "m").iterdir()} == {
        *("a.multiplayer.json", "b.multiplayer.json", "aggregate.json")
    }
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["index.jsonl"]


def test_a_small_document_beside_a_large_one_is_compared_apart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(claims("a"), "multiplayer", document("a", hashes=MANY * 2))
    hand_in(store, claims("b"), "multiplayer", document("b"))
    aggregate = json.loads(store.aggregate_path(claims("a")).read_bytes())
    assert aggregate["summary"]["hashesMatch"] is False


def test_millions_of_values_in_a_small_upload_take_no_memory_here(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(claims("b"), "multiplayer", document("b"))
    body = gzip.compress(document("a")[:-1] + b', "junk": [' + b"[],[],{}," * 1_500_000 + b"0]}", 1)
    tracemalloc.start()
    try:
        hand_in(store, claims("a"), "multiplayer", body, gzipped=True)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000  # all of it has 280 MB
    finally:
        tracemalloc.stop()
    assert store.aggregate_path(claims("a")).exists()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["index.jsonl"]


@pytest.mark.parametrize(
    ("body", "gzipped", "refusal"),
    [
        (b"[" * SMALL_BYTES * 2, False, DocumentError),
        (b'{"gameId":"m","playerId":"a"' + b" " * SMALL_BYTES, False, DocumentError),
        (document("b", hashes=MANY), False, ForeignDocumentError),
        (gzip.compress(document("a", hashes=MANY))[:-9], True, DocumentError),
        (gzip.compress(document("a", hashes=MANY)) + b"more", True, DocumentError),
        (gzip.compress(document("a"))[:-9], True, DocumentError),
        (gzip.compress(document("a")) + b"more", True, DocumentError),
        (gzip.compress(bytes(LIMIT_BYTES + 1)), True, TooLargeError),
        (b"not gzip at all", True, DocumentError),
    ],
    ids=[
        *("nested", "open", "of another player", "cut gzip", "gzip and more", "small cut gzip"),
        *("small gzip and more", "too large", "no gzip"),
    ],
)
def test_a_large_body_that_is_no_document_is_refused_as_a_small_one_is(
    tmp_path: Path, body: bytes, refusal: type[DocumentError], *, gzipped: bool
) -> None:
    with pytest.raises(DocumentError) as caught:
        hand_in(Store(tmp_path), claims("a"), "session", body, gzipped=gzipped)
    assert type(caught.value) is refusal
    assert list(tmp_path.rglob("*.json")) == []


def test_a_reader_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_TIMEOUT_S", 0.01)
    with pytest.raises(TooLargeError, match="cannot be read within"):
        hand_in(Store(tmp_path), claims("a"), "session", document("a", hashes=MANY))


def test_a_reader_that_is_killed_is_not_the_documents_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    monkeypatch.setattr(under_test, "python_command", lambda _module: killed)
    with pytest.raises(NotNowError, match="try again later"):
        hand_in(Store(tmp_path), claims("a"), "session", document("a", hashes=MANY))
    monkeypatch.setattr(under_test, "can_start_python", lambda: False)
    with pytest.raises(NotNowError, match="can start no reader"):
        hand_in(Store(tmp_path), claims("a"), "session", document("a", hashes=MANY))


def test_a_reader_says_nothing_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    hand_in(Store(tmp_path), claims("a"), "multiplayer", document("a", hashes=MANY))
    assert capfd.readouterr() == ("", "")


def test_a_disk_that_fails_apart_is_told_as_that(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "m").write_bytes(b"a file where the match's folder belongs")
    with pytest.raises(OSError, match=r"exists|directory"):
        hand_in(store, claims("a"), "session", document("a", hashes=MANY))


def test_a_service_that_stops_does_not_wait_for_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(under_test, "python_command", lambda _module: sleeper)
    me = psutil.Process()
    before = set(me.children())

    async def work() -> None:
        body = io.BytesIO(document("a", hashes=MANY))
        taking = asyncio.create_task(
            Intake(Store(tmp_path), LIMIT_BYTES).take(claims("a"), "session", body, gzipped=False)
        )
        await eventually(lambda: bool(set(me.children()) - before))
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking

    asyncio.run(work())
    until(lambda: not set(me.children()) - before)
    assert list(tmp_path.iterdir()) == []
