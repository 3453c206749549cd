"""A journal on disk: whole lines whatever the disk does, held by who writes it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
import time
from pathlib import Path

import pytest

from gym_p2p.core.record.index import index_entry
from gym_p2p.core.record.journal import JournalWriter, fold
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.exports.account import Account
from gym_p2p.exports.documents import document_path, write_document
from gym_p2p.exports.index import append_to_index
from gym_p2p.exports.journal import UNBEGUN_S, Journal, journal_path
from gym_p2p.exports.recovery import Recovered, recover
from tests.core.record.records import START_MS, decode, new_record, played
from tests.players import together


def journal_of(record: MatchRecord, folder: Path) -> Journal:
    return Journal(folder / "0.journal.jsonl", JournalWriter(record, decode), lambda: START_MS)


def frames(journal: Journal) -> int:
    with journal.path.open("rb") as lines:
        return fold(lines).episode.frames


def test_a_disk_that_is_full_for_a_while_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = played(new_record(), 5)
    journal = journal_of(record, tmp_path / "match")
    journal.append()
    whole = journal.path.read_bytes()
    write = os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        write(descriptor, bytes(data)[:20], offset)  # what there was room for
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for _ in range(3):
        record.episode.frame([b"\1", b"\2"])
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", full)
            with pytest.raises(OSError, match="No space"):
                journal.append()
        assert journal.path.read_bytes() == whole
    journal.append()
    assert frames(journal) == 8
    journal.close()


def test_a_journal_that_cannot_be_begun_is_begun_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_of(played(new_record(), 5), tmp_path / "match")

    def full(_descriptor: int, _data: bytes, _offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                journal.append()
    journal.append()
    assert frames(journal) == 5
    journal.close()


def test_a_journal_is_its_owners_alone_and_recovered_only_when_it_is_let_go_of(tmp_path: Path) -> None:
    journal = journal_of(played(new_record(), 5), tmp_path / "match")
    journal.append()
    assert journal.path.stat().st_mode & 0o777 == 0o600
    assert recover(journal.path).played
    journal.close()
    assert recover(journal.path).problem is None
    assert not journal.path.exists()


def test_a_discarded_journal_is_gone_and_leaves_one_that_took_its_place(tmp_path: Path) -> None:
    journal = journal_of(played(new_record(), 5), tmp_path / "match")
    journal.append()
    journal.path.unlink()
    journal.path.write_text("another one's")
    journal.discard()
    assert journal.path.read_text() == "another one's"


def test_a_pipe_with_a_journals_name_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "left.journal.jsonl"
    os.mkfifo(path)
    (recovered,) = together(lambda: recover(path))
    assert isinstance(recovered, Recovered), recovered
    assert not recovered.paths


def test_a_journal_that_is_being_begun_is_left_alone_by_whoever_looks_for_leftovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_of(played(new_record(), 5), tmp_path / "match")
    lock = fcntl.flock
    looked: list[bool] = []

    def begun(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        looked.append(recover(journal.path).played)  # before it is locked, as another process may
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", begun)
    journal.append()
    assert looked == [True]
    assert frames(journal) == 5
    journal.close()


def test_who_was_killed_between_their_documents_and_the_index_is_in_it_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "2027-01-15T080000Z-lab-c0ffee00"
    for _ in range(2):  # the second time was killed before the journal was gone
        journal = journal_of(played(new_record()), folder)
        journal.append()
        for kind, document in Account(played(new_record()), decode, lambda: START_MS).documents().items():
            write_document(document_path(folder, 0, kind), document)
        journal.close()
        assert recover(journal.path).problem is None
        assert not journal.path.exists()
        (line,) = map(json.loads, (tmp_path / "index.jsonl").read_bytes().splitlines())
        assert (line["folder"], line["playerId"]) == (folder.name, 0)
        assert line["terminationReason"] != "killed"


def test_many_who_append_to_an_index_at_once_leave_whole_lines(tmp_path: Path) -> None:
    entries = [index_entry(played(new_record((number, "peer"), number)), "f" * 3000) for number in range(40)]
    threads = [threading.Thread(target=append_to_index, args=(tmp_path, entry)) for entry in entries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    lines = (tmp_path / "index.jsonl").read_bytes().splitlines()
    assert sorted(json.loads(line)["playerId"] for line in lines) == list(range(40))
    assert (tmp_path / "index.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("held", [False, True], ids=["left", "held"])
@pytest.mark.parametrize("age_s", [0.0, UNBEGUN_S + 1])
def test_a_journal_that_was_never_begun_is_removed_once_nobody_can_be_about_to(
    tmp_path: Path, age_s: float, *, held: bool
) -> None:
    path = journal_path(tmp_path, "left")
    path.touch()
    os.utime(path, (time.time() - age_s,) * 2)
    with path.open("r+b") as file:
        if held:
            fcntl.flock(file, fcntl.LOCK_EX)
        found = recover(path)
    gone = age_s > UNBEGUN_S and not held
    assert (found.unbegun, found.played, path.exists()) == (gone, not gone, not gone)
    assert found.problem is None
