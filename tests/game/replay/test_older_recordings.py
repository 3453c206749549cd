"""A recording is kept for years: what an earlier version of this package wrote is read and played again."""

from __future__ import annotations

from pathlib import Path

import pytest

from gym_p2p import UnreadableReplay, read_replay, verify_replay
from gym_p2p.game.replay.records import FORMAT_VERSION

WRITTEN_BEFORE = sorted((Path(__file__).parent / "data").glob("*.p2preplay"))


@pytest.mark.parametrize("path", WRITTEN_BEFORE, ids=lambda path: path.name)
def test_a_recording_of_an_earlier_version_is_read_and_comes_to_the_same(path: Path) -> None:
    replay = read_replay(path)
    assert sum(episode.frames for episode in replay.episodes) == 60
    assert verify_replay(replay).ok


def test_a_recording_of_another_format_is_refused_with_both_versions(tmp_path: Path) -> None:
    header, rest = WRITTEN_BEFORE[0].read_bytes().split(b"\n", 1)
    assert b'"version":%d' % FORMAT_VERSION in header
    path = tmp_path / "later.p2preplay"
    path.write_bytes(header.replace(b'"version":%d' % FORMAT_VERSION, b'"version":77') + b"\n" + rest)
    with pytest.raises(UnreadableReplay, match=rf"77.*{FORMAT_VERSION}"):
        read_replay(path)
