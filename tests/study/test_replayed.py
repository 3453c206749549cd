from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import gym_p2p
from gym_p2p.errors import UsageError
from gym_p2p.game.replay.records import Frames
from gym_p2p.study.replayed.frames import CACHE
from tests.replays import rewrite

DATA = Path(__file__).parent / "data" / "version_1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(DATA, tmp_path / "study")
    return tmp_path / "study"


def problems(table: Any) -> list[dict[str, str]]:
    told: list[dict[str, str]] = json.loads(table.arrow.schema.metadata[b"gym_p2p.problems"])
    return told


def recordings(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.p2preplay"))


def test_playing_again_gives_what_was_seen_and_the_rewards_that_were_recorded(folder: Path) -> None:
    study = gym_p2p.load(folder)
    again = study.frames(observations=True)
    assert problems(again) == []
    assert len(again) == len(study.frames) > 0
    assert [row["reward"] for row in again] == [row["reward"] for row in study.frames]
    assert {len(row["observation"]) for row in again} == {15}
    assert len({tuple(row["observation"]) for row in again}) > len(again) / 2


def test_what_was_played_again_is_kept_and_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = list(gym_p2p.load(folder).frames(observations=True))
    (kept,) = folder.rglob(f"{CACHE}/*.parquet")
    assert (kept.stat().st_mode | kept.parent.stat().st_mode) & 0o077 == 0
    monkeypatch.setattr("gym_p2p.study.replayed.frames.verify_replay", None)
    study = gym_p2p.load(folder)
    assert list(study.problems) == []  # what is kept is no file of a match
    assert list(study.frames(observations=True)) == first


def change_rewards(records: list[Any]) -> None:
    for frames in records:
        if isinstance(frames, Frames):
            frames.rewards = [(9.0, 9.0) for _ in frames.rewards]


def test_a_recording_that_changed_is_played_again(folder: Path) -> None:
    study = gym_p2p.load(folder)
    study.frames(observations=True)
    path = study.path / study.matches["recording"][0].as_py()
    rewrite(path, path, change_rewards)
    table = gym_p2p.load(folder).frames(observations=True)
    (problem,) = problems(table)
    assert "rewards differ: recorded [9.0, 9.0]" in problem["problem"]
    assert {row["observation"] is None for row in table} == {True}
    assert {row["reward"] is None for row in table} == {True}
    assert len(list(folder.rglob(f"{CACHE}/*.parquet"))) == 2


def test_what_is_kept_and_was_damaged_is_made_anew(folder: Path) -> None:
    first = list(gym_p2p.load(folder).frames(observations=True))
    (kept,) = folder.rglob(f"{CACHE}/*.parquet")
    kept.write_bytes(b"PAR1 and nothing more")
    assert list(gym_p2p.load(folder).frames(observations=True)) == first


def test_a_link_in_place_of_what_is_kept_is_not_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (recordings(folder)[0].parent / CACHE).symlink_to(elsewhere)
    assert problems(gym_p2p.load(folder).frames(observations=True)) == []
    assert list(elsewhere.iterdir()) == []


def test_a_match_without_a_recording_is_said_and_keeps_what_is_known(folder: Path) -> None:
    for path in recordings(folder):
        path.unlink()
    table = gym_p2p.load(folder).frames(observations=True)
    assert [problem["problem"] for problem in problems(table)] == ["there is no recording of it"]
    assert {row["action"] for row in table} != {None}
    assert {row["observation"] for row in table} == {None}


def test_one_match_alone(folder: Path) -> None:
    study = gym_p2p.load(folder)
    match = study.matches["match"][0].as_py()
    assert len(study.frames(match=match)) == len(study.frames)
    with pytest.raises(UsageError, match="there is no match 'other'"):
        study.frames(match="other")
