from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import gym_p2p
from gym_p2p.bench.made_study import made_record
from gym_p2p.core.record.documents import KINDS, build_document
from gym_p2p.core.record.journal import JournalWriter
from gym_p2p.exports.encoding import encode
from gym_p2p.exports.recovery import recover_all
from tests.study import oracle

INPUTS = [(bytes([frame % 6]), bytes([frame % 2])) for frame in range(90)]


def decode(_seat: int, data: bytes) -> Any:
    return data[0]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """What a player wrote who came to the end, and what was there when they were killed just before."""
    record = made_record("left", INPUTS, 30.0, random.Random(1))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    for kind in KINDS:
        data = b"".join(encode(build_document(kind, record, 0, decode)))
        (whole / f"left.{kind}.json").write_bytes(data)
    record.termination = None
    journal = JournalWriter(record, decode)
    line, _mark = journal.entry({}, record.session_start_ms + 5000)
    (killed / "left.journal.jsonl").write_bytes(journal.head() + line)
    return whole, killed


def test_a_journal_is_read_as_the_documents_it_would_have_become(folders: tuple[Path, Path]) -> None:
    whole, killed = (gym_p2p.load(folder) for folder in folders)
    assert len(killed.frames) == 2 * len(INPUTS)
    assert list(killed.frames) == list(whole.frames)
    assert list(killed.latency) == list(whole.latency)
    ends = {"ended_by", "ended_at"}
    for there, here in zip(whole.episodes, killed.episodes, strict=True):
        assert {k: v for k, v in here.items() if k not in ends} == {
            k: v for k, v in there.items() if k not in ends
        }
    (player,) = [row for row in killed.players if row["player"] == "left"]
    assert player["source"] == "journal"
    assert ("killed", "left") in {(row["kind"], row["player"]) for row in killed.problems}


def test_loading_leaves_a_journal_as_it_is(folders: tuple[Path, Path]) -> None:
    _whole, killed = folders
    (journal,) = killed.iterdir()
    before = journal.read_bytes()
    gym_p2p.load(killed)
    assert [path.read_bytes() for path in killed.iterdir()] == [before]


def test_the_documents_that_a_journal_was_made_into_say_the_same(folders: tuple[Path, Path]) -> None:
    _whole, killed = folders
    before = gym_p2p.load(killed)
    (recovered,) = recover_all(killed)
    assert len(recovered.paths) == 3
    after = gym_p2p.load(killed)
    for name in ("episodes", "frames", "latency", "events"):
        assert list(after.tables[name]) == list(before.tables[name])
    assert ("killed", "left") in {(row["kind"], row["player"]) for row in after.problems}
    oracle.compare(killed, {name: list(table) for name, table in after.tables.items()})


def test_a_journal_beside_final_documents_is_not_read(folders: tuple[Path, Path]) -> None:
    whole, killed = folders
    (journal,) = killed.iterdir()
    (whole / journal.name).write_bytes(journal.read_bytes())
    (player,) = [row for row in gym_p2p.load(whole).players if row["player"] == "left"]
    assert (player["source"], player["ended_by"]) == ("documents", "normal")


@pytest.mark.parametrize("cut", [1, 40, 400])
def test_a_journal_that_is_cut_gives_what_is_whole(folders: tuple[Path, Path], cut: int) -> None:
    _whole, killed = folders
    (journal,) = killed.iterdir()
    journal.write_bytes(journal.read_bytes()[:-cut])
    study = gym_p2p.load(killed)
    assert [row["source"] for row in study.players if row["player"] == "left"] == ["journal"]
    assert len(study.frames) == 0  # its only entry is not whole
