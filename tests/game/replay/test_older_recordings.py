"""A recording is kept for years: what an earlier version of this package wrote is read and played again."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from gym_p2p import UnreadableReplay, read_replay, verify_replay
from gym_p2p.game.replay.records import FORMAT_VERSION, READ_VERSIONS

WRITTEN_BEFORE = sorted((Path(__file__).parent / "data").glob("*.p2preplay"))


@pytest.mark.parametrize("path", WRITTEN_BEFORE, ids=lambda path: path.name)
def test_a_recording_of_an_earlier_version_is_read_and_comes_to_the_same(path: Path) -> None:
    replay = read_replay(path)
    assert sum(episode.frames for episode in replay.episodes) == 60
    assert all(episode.has_states for episode in replay.episodes), "or no state is compared"
    assert verify_replay(replay).ok


def test_there_is_a_recording_of_every_version_that_is_read() -> None:
    assert [read_replay(path).header.version for path in WRITTEN_BEFORE] == list(READ_VERSIONS)


@pytest.mark.parametrize("path", WRITTEN_BEFORE, ids=lambda path: path.name)
def test_states_of_one_version_are_not_those_of_another(path: Path) -> None:
    replay = read_replay(path)
    (other,) = set(READ_VERSIONS) - {replay.header.version}
    taken_for = attrs.evolve(replay, header=attrs.evolve(replay.header, version=other))
    (difference,) = verify_replay(taken_for).differences
    assert difference.what == "state"


@pytest.mark.parametrize("path", WRITTEN_BEFORE, ids=lambda path: path.name)
def test_a_recording_of_another_format_is_refused_with_both_versions(path: Path, tmp_path: Path) -> None:
    header, rest = path.read_bytes().split(b"\n", 1)
    written = b'"version":%d' % read_replay(path).header.version
    assert written in header
    later = tmp_path / "later.p2preplay"
    later.write_bytes(header.replace(written, b'"version":77') + b"\n" + rest)
    with pytest.raises(UnreadableReplay, match=rf"77.*1 and {FORMAT_VERSION}"):
        read_replay(later)
