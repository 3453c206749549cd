"""What all documents of a service may take up, and how what did not fit comes in later."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
from pathlib import Path

import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.exports import SpoolEntry, Upload, UploadOutcome, write_document
from gym_p2p.server import serve_in_thread
from gym_p2p.server.quota import Quota, QuotaFullError
from tests.server.clients import Match, folder_of
from tests.server.raw import match_two
from tests.waiting import PATIENCE_S

QUOTA_BYTES = 4000


def written(path: Path, size_bytes: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size_bytes))
    return path


def test_without_a_quota_nothing_is_refused_nor_looked_at(tmp_path: Path) -> None:
    Quota(tmp_path / "gone", None).require_room(tmp_path / "gone" / "m" / "a.json", 2**60)


def test_what_is_there_counts_and_what_begins_with_a_dot_does_not(tmp_path: Path) -> None:
    written(tmp_path / "m" / "a.json", 60)
    written(tmp_path / "n" / "b.json.gz", 30)
    written(tmp_path / ".parts" / "c.part", 1000)
    written(tmp_path / ".secret", 1000)
    quota = Quota(tmp_path, 100)
    quota.require_room(tmp_path / "m" / "b.json", 10)
    with pytest.raises(QuotaFullError, match="take up 90 of the 100 bytes"):
        quota.require_room(tmp_path / "m" / "b.json", 11)


def test_a_document_that_replaces_one_needs_only_what_it_is_larger(tmp_path: Path) -> None:
    there = written(tmp_path / "m" / "a.json", 100)
    quota = Quota(tmp_path, 100)
    quota.require_room(there, 100)
    with pytest.raises(QuotaFullError):
        quota.require_room(there, 101)


def test_room_that_is_made_is_noticed_without_a_restart(tmp_path: Path) -> None:
    there = written(tmp_path / "m" / "a.json", 100)
    quota = Quota(tmp_path, 100)
    with pytest.raises(QuotaFullError):
        quota.require_room(tmp_path / "n" / "a.json", 1)
    shutil.rmtree(there.parent)
    quota.require_room(tmp_path / "n" / "a.json", 100)
    quota.stored(written(tmp_path / "n" / "a.json", 100).parent)
    with pytest.raises(QuotaFullError):
        quota.require_room(tmp_path / "n" / "b.json", 1)


def test_files_that_come_and_go_meanwhile_are_no_failure(tmp_path: Path) -> None:
    """A document is put into its place by way of another name, while another one's room is looked for."""
    quota = Quota(tmp_path, 2**30)
    quota.require_room(tmp_path / "m" / "a.json", 1)
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            path.touch()
            path.unlink()

    path = written(tmp_path / "m" / "b.tmp", 1)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(30_000):
            quota.stored(tmp_path / "m")
    finally:
        ended.set()
        writer.join()


def test_what_is_beyond_the_quota_waits_and_is_handed_in_later(tmp_path: Path) -> None:
    data_dir, exports = tmp_path / "data", tmp_path / "exports"
    with serve_in_thread(ServiceConfig(port=0, data_dir=data_dir, upload_quota_bytes=QUOTA_BYTES)) as service:
        ann, bob, found, other = match_two(service.url)
        match = Match(service.url, found["match_id"], {"first": found["token"]})
        filling = match.document(filling="x" * QUOTA_BYTES)
        assert match.put(filling, kind="session")[0] == 507
        assert match.put(gzip.compress(filling), kind="session", encoding="gzip")[0] == 200
        document = exports / "m" / "second.multiplayer.json"
        write_document(document, json.loads(match.document("second")))
        target = Upload.of_document(
            server_url=service.url,
            match_id=match.match_id,
            player_id="second",
            kind="multiplayer",
            token=other["token"],
        )
        entry = SpoolEntry.create(
            exports, match.match_id, "second", kind="multiplayer", target=target, document=document
        )
        reply = entry.send(deadline_s=PATIENCE_S)
        assert reply.outcome is UploadOutcome.DEFERRED
        assert "bytes that they may" in reply.detail
        assert "hand it in again once whoever runs the service has made room" in reply.detail
        (folder_of(data_dir, match.match_id) / "first.session.json").unlink()
        assert entry.send(deadline_s=PATIENCE_S).outcome is UploadOutcome.STORED
        entry.close()
        ann.close()
        bob.close()
