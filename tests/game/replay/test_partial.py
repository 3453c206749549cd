"""Recordings that are not finished: whose maker lives, and whose maker does not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gym_p2p.cli.commands import make_parser
from gym_p2p.cli.exports import run
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.recipe import named_recipe
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.replay.partial import UNFINISHED, finish_recording, partial_path, partial_recordings
from gym_p2p.game.replay.reader import read_replay
from gym_p2p.game.replay.verify import verify_replay
from gym_p2p.game.replay.writer import ReplayWriter
from tests.replays import header_of, play_and_record

RALLY = "gym_p2p/Rally-v0"


def _begun(path: Path) -> ReplayWriter:
    """Return a recording in the middle of an episode."""
    game = make_game(load_environment(RALLY))
    ticks = iter(range(10**6))
    writer = ReplayWriter(
        path, header_of(game, named_recipe(RALLY, {})), checked_every=10, clock=lambda: float(next(ticks))
    )
    whole = writer.end_episode
    writer.end_episode = _not_yet  # type: ignore[method-assign]  # what plays ends its episode
    play_and_record(game, writer, frames=30)
    writer.end_episode = whole  # type: ignore[method-assign]  # the same
    return writer


def _not_yet(*, completed: bool) -> None:
    assert completed in {True, False}


def _left(path: Path) -> Path:
    """Return what a killed process leaves of a recording: nobody holds it."""
    writer = _begun(path)
    assert writer._file is not None
    writer._file.close()
    return partial_path(path)


def test_a_recording_is_its_makers_while_they_live(tmp_path: Path) -> None:
    path = tmp_path / "a.p2preplay"
    writer = _begun(path)
    before = partial_path(path).read_bytes()
    done = finish_recording(partial_path(path))
    assert (done.played, done.path, done.problem) == (True, None, None)
    assert partial_path(path).read_bytes() == before
    writer.close()
    assert path.exists()


@pytest.mark.parametrize(
    "tail", [b"", b"F\0\0", b"F\0\0\1\0" + b"x" * 200], ids=["whole", "cut", "cut later"]
)
def test_what_is_whole_of_a_recording_that_was_left_is_ended_and_can_be_verified(
    tail: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "match" / "a.p2preplay"
    partial = _left(path)
    whole = partial.read_bytes()
    partial.write_bytes(whole + tail)
    frames = read_replay(partial).frames
    (found,) = partial_recordings(tmp_path)
    done = finish_recording(found)
    assert (done.path, done.problem) == (path, None)
    assert not partial.exists()
    assert path.read_bytes().startswith(whole)
    replay = read_replay(path)
    assert (replay.reason, replay.missing, replay.frames) == (UNFINISHED, None, frames)
    assert replay.episodes[-1].completed is False
    assert frames > 20
    assert verify_replay(replay).ok
    assert finish_recording(found).path is None  # it is done


def test_a_recording_that_only_lacks_its_name_gets_that_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.p2preplay"
    writer = _begun(path)
    writer.close("peer_left")
    written = path.read_bytes()
    path.rename(partial_path(path))
    assert finish_recording(partial_path(path)).path == path
    assert path.read_bytes() == written


def test_what_is_damaged_or_has_a_namesake_stays_as_it_is(tmp_path: Path) -> None:
    partial = _left(tmp_path / "a.p2preplay")
    (tmp_path / "a.p2preplay").write_bytes(b"another one")
    done = finish_recording(partial)
    assert "is there already" in (done.problem or "")
    (tmp_path / "b.p2preplay.part").write_bytes(b"nothing of ours")
    assert "no recorded match" in (finish_recording(tmp_path / "b.p2preplay.part").problem or "")
    assert partial.exists()
    assert (tmp_path / "b.p2preplay.part").read_bytes() == b"nothing of ours"


def test_a_fork_neither_writes_into_a_recording_nor_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "a.p2preplay"
    writer = _begun(path)
    before = partial_path(path).read_bytes()
    child = os.fork()
    if child == 0:
        writer.close("the child's")
        time.sleep(60)
        os._exit(0)
    try:
        assert writer._file is not None
        writer._file.close()  # the parent is killed
        for _ in range(600):
            done = finish_recording(partial_path(path))
            if not done.played:  # the child has let go of it by now
                break
            time.sleep(0.05)
        assert done.path == path
        assert path.read_bytes().startswith(before)
        assert read_replay(path).reason == UNFINISHED
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_the_command_ends_what_was_left_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _left(tmp_path / "match" / "a.p2preplay")
    writer = _begun(tmp_path / "match" / "b.p2preplay")
    arguments = make_parser().parse_args(["exports", "recover", str(tmp_path)])
    assert run(arguments) == 0
    told = capsys.readouterr().out
    assert "a.p2preplay: finished" in told
    assert "b.p2preplay.part: is being made: its player is alive" in told
    writer.close()
