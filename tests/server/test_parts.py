"""Long documents in parts: whole only once all is there, gone on with after a break, bounded."""

from __future__ import annotations

import asyncio
import errno
import gzip
import hashlib
import io
import json
import random
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import attrs
import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.exports.documents import read_document
from gym_p2p.exports.upload import PART_BYTES, Upload, UploadOutcome, upload
from gym_p2p.server import parts as under_test
from gym_p2p.server import serve_in_thread
from gym_p2p.server.apart import NotNowError, TooLargeError
from gym_p2p.server.intake import MOST_BYTES, Intake
from gym_p2p.server.parts import Part, Parts, PartsFullError
from gym_p2p.server.storage import StorageError
from gym_p2p.server.store import Store
from tests.server.clients import Match, folder_of, stored
from tests.server.documents import claims, document
from tests.server.raw import match_two


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def match(data: Path) -> Iterator[Match]:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(data))) as service:
        ann, bob, anns, _ = match_two(service.url)
        with ann, bob:
            yield Match(service.url, anns["match_id"], {"first": anns["token"]})


def long_document(match: Match, player: str = "first") -> bytes:
    noise = random.Random(5).randbytes(PART_BYTES * 2).hex()
    return match.document(player, noise=noise)


def target(match: Match) -> Upload:
    return Upload.of_document(
        server_url=match.url,
        match_id=match.match_id,
        player_id="first",
        kind="multiplayer",
        token=match.tokens["first"],
    )


def packed(document: bytes) -> bytes:
    return gzip.compress(document, compresslevel=5, mtime=0)


def patch(match: Match, whole: bytes, begin: int, end: int, **changes: str) -> tuple[int, Any]:
    headers = {
        "Authorization": f"Bearer {match.tokens['first']}",
        "Upload-Offset": str(begin),
        "Upload-Length": str(len(whole)),
        "Upload-Digest": hashlib.sha256(whole).hexdigest(),
        **changes,
    }
    request = urllib.request.Request(  # noqa: S310 - our own address
        match.url + target(match).path, data=whole[begin:end], headers=headers, method="PATCH"
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - likewise
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def unfinished(data: Path) -> list[Path]:
    return list((data / ".parts").glob("*"))


def test_a_long_document_goes_in_parts_once_and_a_repeated_one_replaces_it(match: Match, data: Path) -> None:
    document = long_document(match)
    assert len(packed(document)) > 2 * PART_BYTES
    for _ in range(2):
        assert upload(target(match), [document], deadline_s=60).outcome is UploadOutcome.STORED
    path = folder_of(data, match.match_id) / "first.multiplayer.json"
    assert read_document(path) == document
    assert stored(data, match) == ["first.multiplayer.json.gz"]
    assert unfinished(data) == []
    assert len((data / "index.jsonl").read_bytes().splitlines()) == 1


def test_what_has_arrived_before_a_break_is_not_sent_again(match: Match, data: Path) -> None:
    document = long_document(match)
    whole = packed(document)
    assert patch(match, whole, 0, PART_BYTES) == (200, {"ok": True, "stored": False, "received": PART_BYTES})
    again = patch(match, whole, 0, PART_BYTES)
    ahead = patch(match, whole, 2 * PART_BYTES, 3 * PART_BYTES)
    assert again == ahead == (200, {"ok": True, "stored": False, "received": PART_BYTES})
    (path,) = unfinished(data)
    assert path.read_bytes() == whole[:PART_BYTES]
    assert path.stat().st_mode & 0o777 == 0o600
    assert stored(data, match) == []
    reply = upload(target(match), [document], deadline_s=60)
    assert reply.outcome is UploadOutcome.STORED
    assert unfinished(data) == []


def test_what_was_damaged_on_the_way_is_begun_again(match: Match, data: Path) -> None:
    whole = packed(long_document(match))
    wrong = hashlib.sha256(b"other").hexdigest()
    for begin in range(0, len(whole), PART_BYTES):
        answer = patch(match, whole, begin, begin + PART_BYTES, **{"Upload-Digest": wrong})
    assert answer == (200, {"ok": True, "stored": False, "received": 0})
    assert (unfinished(data), stored(data, match)) == ([], [])


def test_a_document_of_somebody_else_in_parts_is_refused_and_leaves_nothing(match: Match, data: Path) -> None:
    reply = upload(target(match), [long_document(match, "second")], deadline_s=60)
    assert reply.outcome is UploadOutcome.REFUSED
    assert "403" in reply.detail
    assert (unfinished(data), stored(data, match)) == ([], [])


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Upload-Offset": "-1"}, 400),
        ({"Upload-Offset": "x"}, 400),
        ({"Upload-Digest": "../../etc"}, 400),
        ({"Upload-Length": "1"}, 400),
        ({"Upload-Length": "0"}, 413),
        ({"Upload-Length": str(2**37)}, 413),
        ({"Authorization": "Bearer x"}, 401),
    ],
)
def test_a_part_that_belongs_nowhere_is_refused(
    match: Match, data: Path, changes: dict[str, str], status: int
) -> None:
    assert patch(match, b"document", 0, 8, **changes)[0] == status
    assert unfinished(data) == []


def test_a_part_that_ends_after_the_whole_is_refused_as_that(match: Match, data: Path) -> None:
    whole = packed(match.document("first"))
    status, answer = patch(match, whole, 0, len(whole), **{"Upload-Length": str(len(whole) - 1)})
    assert (status, stored(data, match)) == (400, [])
    assert "ends after the whole" in str(answer)


@pytest.mark.parametrize("why", [NotNowError("no reader can be started"), StorageError("try again later")])
def test_parts_that_cannot_be_read_now_are_kept_for_the_next_try(
    match: Match, data: Path, monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    async def take_nothing(*_: object, **__: object) -> None:
        raise why

    whole = packed(match.document("first"))
    with monkeypatch.context() as patched:
        patched.setattr(Intake, "take", take_nothing)
        assert patch(match, whole, 0, len(whole))[0] == 503
    assert [path.read_bytes() for path in unfinished(data)] == [whole]
    assert patch(match, whole, len(whole), len(whole))[0] == 200
    assert (unfinished(data), stored(data, match)) == ([], ["first.multiplayer.json"])


def part(digest: str = "a" * 64, offset: int = 0, player: str = "a") -> Part:
    return Part(claims(player), "multiplayer", digest, offset, 1000)


def test_unfinished_ones_are_one_a_document_and_gone_after_a_day(tmp_path: Path) -> None:
    now = [1e9]
    parts = Parts(tmp_path, now=lambda: now[0])
    assert parts.add(part(), io.BytesIO(b"old")) == 3
    assert parts.add(part("b" * 64), io.BytesIO(b"newer")) == 5
    assert [path.read_bytes() for path in unfinished(tmp_path)] == [b"newer"]
    assert parts.add(part(player="b"), io.BytesIO(b"other")) == 5
    assert len(unfinished(tmp_path)) == 2
    now[0] = max(path.stat().st_mtime for path in unfinished(tmp_path)) + 24 * 3600
    parts.sweep()
    assert unfinished(tmp_path) == []


def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(source: IO[bytes], target: IO[bytes], _size_bytes: int) -> None:
        target.write(source.read(3))
        target.flush()
        raise OSError(errno.ENOSPC, "no space left on device")

    parts = Parts(tmp_path)
    assert parts.add(part(), io.BytesIO(b"there")) == 5
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfileobj", half)
        with pytest.raises(OSError, match="no space"):
            parts.add(part(offset=5), io.BytesIO(b"is more"))
    assert [path.read_bytes() for path in unfinished(tmp_path)] == [b"there"]
    assert parts.add(part(offset=5), io.BytesIO(b"is more")) == 12


def test_all_that_is_unfinished_together_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_ALL_BYTES", under_test.PART_BYTES + 10)
    parts = Parts(tmp_path)
    parts.add(part(player="a"), io.BytesIO(b"x" * 11))
    with pytest.raises(PartsFullError):
        parts.add(part(player="b"), io.BytesIO(b"y"))


def test_a_document_may_be_as_long_as_what_can_have_been_played(tmp_path: Path) -> None:
    began = 1e9
    intake = Intake(Store(tmp_path), 2**26, now=lambda: began + 2 * 3600)
    whose = attrs.evolve(claims("a"), made_at=began)
    two_hours_of_four_at_60 = 2 * 3600 * 60 * 4 * 80
    assert 2**26 < two_hours_of_four_at_60 < intake.most_bytes(whose)
    assert intake.most_bytes(attrs.evolve(whose, made_at=began + 7200)) == 2**26
    assert intake.most_bytes(claims("a")) == 2**26
    assert intake.most_bytes(attrs.evolve(whose, made_at=0)) == MOST_BYTES


def test_a_document_is_taken_by_how_long_its_match_has_lasted(tmp_path: Path) -> None:
    body = document("a", hashes=("x" * 100,) * 3)
    intake = Intake(Store(tmp_path), 100, now=lambda: 1e9)
    with pytest.raises(TooLargeError):
        asyncio.run(intake.take(claims("a"), "multiplayer", io.BytesIO(body), gzipped=False))
    whose = attrs.evolve(claims("a"), made_at=1e9 - 60)
    asyncio.run(intake.take(whose, "multiplayer", io.BytesIO(body), gzipped=False))
    assert read_document(intake.store.path(whose, "a", "multiplayer")) == body
