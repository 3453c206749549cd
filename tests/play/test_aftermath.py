"""What is done for a player whose process was killed: not while another one of theirs plays on."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

import pytest

from gym_p2p.core.record.journal import JournalWriter
from gym_p2p.exports.journal import Journal, journal_path
from gym_p2p.game.replay.partial import partial_path
from gym_p2p.play.aftermath import aftermath_command
from tests.core.record.records import START_MS, decode, new_record, played
from tests.waiting import PATIENCE_S


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """One of a match that is played."""
    begun = Journal(
        journal_path(tmp_path, "left"), JournalWriter(played(new_record(), 5), decode), lambda: START_MS
    )
    begun.append()
    return begun


def test_once_another_process_of_the_player_plays_there_is_nothing_to_wait_for(journal: Journal) -> None:
    folder = journal.path.parent
    command = aftermath_command(folder, "left", None, wait_s=3600.0)
    done = subprocess.run(command, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0
    assert list(folder.iterdir()) == [journal.path]
    journal.close()


def test_of_a_player_who_does_not_come_back_the_documents_are_made(journal: Journal) -> None:
    journal.close()
    folder = journal.path.parent
    command = aftermath_command(folder, "left", None, wait_s=1.5)
    done = subprocess.run(command, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0
    assert not journal.path.exists()
    assert len(list(folder.glob("*.multiplayer.json*"))) == 1


def test_who_only_records_is_waited_for_no_longer_once_another_process_of_theirs_records(
    tmp_path: Path,
) -> None:
    recording = tmp_path / "left.p2preplay"
    with partial_path(recording).open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command = aftermath_command(None, "left", recording, wait_s=3600.0)
        assert subprocess.run(command, timeout=PATIENCE_S, check=False).returncode == 0
    assert list(tmp_path.iterdir()) == [partial_path(recording)]
