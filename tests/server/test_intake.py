from __future__ import annotations

import asyncio
import gzip
import io
import json
import sys
import threading
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from gym_p2p.exports.documents import Kind, read_document
from gym_p2p.server import apart as under_test
from gym_p2p.server import intake as intake_module
from gym_p2p.server.apart import SMALL_BYTES, Job, NotNowError, TooLargeError, unpacked
from gym_p2p.server.guard.tokens import UploadClaims
from gym_p2p.server.intake import Intake
from gym_p2p.server.outbox import Outbox
from gym_p2p.server.store import DocumentError, ForeignDocumentError, Store
from tests.server.documents import claims, document
from tests.waiting import PATIENCE_S, eventually, until

LIMIT_BYTES = 64 * 2**20
MANY = tuple(f"{n:016x}" for n in range(12_000))
"""Hashes that make a document of more than is read in a thread."""


def hand_in(store: Store, whose: UploadClaims, kind: Kind, body: bytes, *, gzipped: bool = False) -> None:
    async def work() -> None:
        intake = Intake(store, LIMIT_BYTES)
        await intake.take(whose, kind, io.BytesIO(body), gzipped=gzipped)
        await eventually(lambda: not intake._aggregates)

    asyncio.run(work())


def stored_apart(apart: Callable[..., Awaitable[None]], store: Store) -> Callable[..., Awaitable[None]]:
    """Store documents at once, and leave the aggregate to a reader."""

    async def work(job: Job, body: IO[bytes] | None) -> None:
        if body is None:
            await apart(job, body)
        else:
            store.put(job.claims, job.kind, b"".join(unpacked(body, job)))

    return work


def stored_apart_now(apart_now: Callable[..., None], store: Store) -> Callable[..., None]:
    def work(job: Job, body: IO[bytes] | None) -> None:
        if body is None:
            apart_now(job, body)
        else:
            store.put(job.claims, job.kind, b"".join(unpacked(body, job)))

    return work


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


@pytest.mark.parametrize("failure", ["too slow", "killed", "no reader", "no memory"])
@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("is_async", [True, False])
def test_a_document_is_taken_whatever_becomes_of_the_aggregate(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: str,
    *,
    large: bool,
    is_async: bool,
) -> None:
    store = Store(tmp_path)
    store.put(claims("a"), "multiplayer", document("a", hashes=MANY * 2))
    program = {
        "too slow": "import time; time.sleep(600)",
        "killed": "import os; os.kill(os.getpid(), 9)",
        "no reader": "raise SystemExit(3)",
        "no memory": """print('{"error": "TooLargeError", "arguments": ["no memory"]}')""",
    }[failure]
    monkeypatch.setattr(under_test, "python_command", lambda _module: [sys.executable, "-c", program])
    monkeypatch.setattr(under_test, "_TIMEOUT_S", 0.2)
    if large:  # it is stored as it would be by a reader, and the one for the aggregate fails
        monkeypatch.setattr(intake_module, "apart", stored_apart(under_test.apart, store))
        monkeypatch.setattr(intake_module, "apart_now", stored_apart_now(under_test.apart_now, store))
    body = document("b", hashes=MANY if large else ("x",))
    if is_async:
        hand_in(store, claims("b"), "multiplayer", body)
    else:
        intake = Intake(store, LIMIT_BYTES)
        assert intake.take_now(claims("b"), "multiplayer", io.BytesIO(body), gzipped=False)
        intake.aggregate_now(claims("b"))
    assert read_document(store.path(claims("b"), "b", "multiplayer")) == body
    assert not store.aggregate_path(claims("b")).exists()
    assert "match m: not aggregated" in caplog.text


def test_a_disk_that_is_full_for_a_small_aggregate_is_no_matter_of_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    store = Store(tmp_path)
    hand_in(store, claims("a"), "multiplayer", document("a"))
    monkeypatch.setattr(store, "aggregate", full)
    hand_in(store, claims("b"), "multiplayer", document("b"))
    assert store.path(claims("b"), "b", "multiplayer").exists()
    assert "not aggregated" in caplog.text


def test_no_document_waits_for_an_aggregate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.put(claims("a"), "multiplayer", document("a", hashes=MANY * 2))
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(under_test, "python_command", lambda _module: sleeper)

    async def work() -> None:
        intake = Intake(store, LIMIT_BYTES)
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(6):
                body = io.BytesIO(document("b"))
                await intake.take(claims("b"), "multiplayer", body, gzipped=False)
        assert 1 <= len(intake._aggregates) <= 2  # one that is made, and one that has what came meanwhile

    asyncio.run(work())


def test_a_line_that_the_index_does_not_take_is_no_matter_of_the_document(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "index.jsonl").mkdir()
    store = Store(tmp_path)
    hand_in(store, claims("a"), "multiplayer", document("a"))
    assert store.path(claims("a"), "a", "multiplayer").exists()
    assert "not in index.jsonl" in caplog.text


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


def test_what_is_just_being_stored_when_a_service_stops_is_marked_as_long_as_that_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the host is never handed it: the player hands in the same once more, which is nothing new."""
    begun, go_on = threading.Event(), threading.Event()
    outbox, store_small = Outbox(tmp_path), intake_module._store_small

    def slowly(*arguments: Any) -> bool:
        begun.set()
        go_on.wait(PATIENCE_S)
        return store_small(*arguments)

    monkeypatch.setattr(intake_module, "_store_small", slowly)

    async def work() -> None:
        intake = Intake(Store(tmp_path), LIMIT_BYTES, outbox=outbox)
        body = io.BytesIO(document("a"))
        taking = asyncio.create_task(intake.take(claims("a"), "session", body, gzipped=False))
        await eventually(begun.is_set)
        taking.cancel()
        await asyncio.wait([taking], timeout=0.1)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await taking

    asyncio.run(work())
    assert Store(tmp_path).path(claims("a"), "a", "session").exists()
    assert outbox.next(0.0) is not None
