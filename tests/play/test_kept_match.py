"""What is kept for a player's next process: who finds it, what is wrong with it, and when it goes."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from gym_p2p.config import ExportConfig, P2PConfig, Secret, SyncConfig
from gym_p2p.core.api.rooms import MatchFound, MatchPlayer
from gym_p2p.core.match.events import EXCLUDED, Connected, Pinged, PlayerGone
from gym_p2p.core.match.return_events import CanReturn, ReturnFailed
from gym_p2p.core.signaling.attempts import attempt_of, tagged
from gym_p2p.errors import ConfigurationError, NetworkError
from gym_p2p.game.env.seats import make_game
from gym_p2p.net.worker.mesh import ATTEMPTS_OF_A_PROCESS
from gym_p2p.net.worker.messages import PlayerPlan, Resumable
from gym_p2p.net.worker.rebuilding import _AHEAD_MOST
from gym_p2p.play.handshake import Seated
from gym_p2p.play.kept_match import (
    _STEP_MOST,
    PROCESSES_MOST,
    TOUCH_EVERY_S,
    KeptFile,
    KeptMatch,
    find_kept_match,
    is_played,
    joined,
)
from gym_p2p.play.setup import MatchSetup
from tests.files.small_disk import SmallDisk
from tests.players import together
from tests.toys import Blend
from tests.waiting import in_time

NAME = joined(P2PConfig(), "Rally-v0", None)
LIMIT_S = 30.0
CLAIM, UPLOAD = Secret("claim"), Secret("upload")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "gym_p2p" / "rejoin"


def found() -> MatchFound:
    players = tuple(
        MatchPlayer(player_id=seat, subject_id=f"anna-{seat}", seats=(seat,), client=None) for seat in "ab"
    )
    return MatchFound(
        match_id="match-1",
        room="default",
        player_id="a",
        seats_taken=("a",),
        players=players,
        seed=7,
        ice_servers=(),
        relay_only=False,
        token=UPLOAD,
        match_token=CLAIM,
    )


def kept(name: str = NAME, before: KeptMatch | None = None) -> KeptFile:
    plan = PlayerPlan(
        config=P2PConfig(),
        subject_id="anna-a",
        seats=("a", "b"),
        take=None,
        description={"must": {}, "about": {"sync": {"wants": "auto"}}},
        secret=b"s" * 32,
        returns=None if before is None else before.returns,
    )
    file = KeptFile(name, plan, before)
    for event in (
        Resumable(Secret("resume")),
        found(),
        Connected((None, {"fps": 60})),
        CanReturn(LIMIT_S, {1: b"k" * 16}),
    ):
        file.fold(event)
    return file


def left(state: Path) -> Path:
    """Leave a file, as a process does that is killed; return where it is."""
    kept().close()
    (path,) = state.iterdir()
    return path


def test_who_joins_the_same_finds_what_the_process_before_kept(state: Path) -> None:
    path = left(state)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = find_kept_match(NAME)
    assert told is not None
    assert told.returns.found == found()
    assert told.returns.found.match_token == CLAIM
    assert told.returns.comeback.incarnation >= 1
    assert told.returns.comeback.keys == {1: b"k" * 16}
    assert told.returns.resume_token == Secret("resume")
    assert (told.secret, told.subject_id) == (b"s" * 32, "anna-a")
    assert told.about == [{"sync": {"wants": "auto"}}, {"fps": 60}]


def test_the_process_after_that_is_another_one_again(state: Path) -> None:
    left(state)
    first = find_kept_match(NAME)
    assert first is not None
    second = kept(before=first)
    assert find_kept_match(NAME) is None  # it is alive
    second.close()
    told = find_kept_match(NAME)
    assert told is not None
    assert told.returns.comeback.incarnation > first.returns.comeback.incarnation
    assert len(list(state.iterdir())) == 1


def test_a_file_whose_time_cannot_be_set_is_kept_all_the_same(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refuse)
    left(state)
    told = find_kept_match(NAME)
    assert told is not None
    told.let_go()


def test_who_come_back_with_copies_of_one_file_are_not_one_process_for_the_others(state: Path) -> None:
    path = left(state)
    kept_bytes = path.read_bytes()
    numbers = set()
    for _ in range(8):
        told = find_kept_match(NAME)
        assert told is not None
        numbers.add(told.returns.comeback.incarnation)
        told.let_go()
        assert path.read_bytes() == kept_bytes
    assert len(numbers) > 1


def test_a_thousand_processes_may_come_back_and_their_attempts_be_joined() -> None:
    assert _STEP_MOST * 1000 <= PROCESSES_MOST
    assert PROCESSES_MOST * ATTEMPTS_OF_A_PROCESS <= _AHEAD_MOST
    assert attempt_of(tagged("v=0\r\nm=audio\r\n", 2 * _AHEAD_MOST)) == 2 * _AHEAD_MOST


def test_a_process_that_ends_before_it_learns_anything_is_followed_by_another_one(state: Path) -> None:
    left(state)
    newest = 0
    for _ in range(3):
        before = find_kept_match(NAME)
        assert before is not None
        assert before.returns.comeback.incarnation > newest
        newest = before.returns.comeback.incarnation
        plan = PlayerPlan(
            config=P2PConfig(),
            subject_id=before.subject_id,
            seats=("a", "b"),
            take=None,
            description={"must": {}, "about": {}},
            secret=before.secret,
            returns=before.returns,
        )
        file = KeptFile(NAME, plan, before)
        file.fold(Resumable(Secret(f"resume {newest}")))
        file.close()
        assert [path.suffix for path in state.iterdir()] == [".json"]
    told = find_kept_match(NAME)
    assert told is not None
    assert told.returns.resume_token == Secret(f"resume {newest}")
    assert (told.about, told.limit_s) == ([{"sync": {"wants": "auto"}}, {"fps": 60}], LIMIT_S)


def test_what_a_living_process_holds_is_nobodys() -> None:
    file = kept()
    assert find_kept_match(NAME) is None
    assert is_played(NAME)
    assert not is_played(joined(P2PConfig(room="other"), "Rally-v0", None))
    file.close()
    assert not is_played(NAME)
    assert find_kept_match(NAME) is not None


@pytest.mark.parametrize(
    "changed",
    [{"room": "other"}, {"server_url": "http://10.0.0.5:8765"}, {"subject_id": "bert"}, {"queue": "lab"}],
)
def test_who_joins_something_else_finds_nothing(changed: dict[str, Any], state: Path) -> None:
    left(state)
    assert find_kept_match(joined(P2PConfig(**changed), "Rally-v0", None)) is None
    assert find_kept_match(joined(P2PConfig(), "Pong-v5", None)) is None
    assert find_kept_match(joined(P2PConfig(), "Rally-v0", ("a",))) is None


def test_who_is_started_twice_is_told_before_the_one_cuts_the_other_off(state: Path) -> None:
    game = make_game(Blend(length=40))
    config = P2PConfig(subject_id="anna-a", sync=SyncConfig(rejoin_timeout_s=30))
    held = kept(joined(config, game.describe()["environment"], ("a",)))
    setup = MatchSetup(game, ["a"], config)
    with pytest.raises(ConfigurationError, match="another process of 'anna-a'"):
        setup.meet(lambda: None, environment=None, seated=Seated())
    held.close()
    assert len(list(state.iterdir())) == 1


def coming_back(exports: Path) -> tuple[str, MatchSetup]:
    """Return a player whose process before this one was killed, and what stands for what they join."""
    game = make_game(Blend(length=40))
    sync = SyncConfig(rejoin_timeout_s=30)
    config = P2PConfig(subject_id="anna-a", sync=sync, exports=ExportConfig(directory=str(exports)))
    name = joined(config, game.describe()["environment"], ("a",))
    kept(name).close()
    return name, MatchSetup(game, ["a"], config)


def test_whose_folder_cannot_be_written_may_name_another_and_come_back(tmp_path: Path) -> None:
    (tmp_path / "exports").write_text("a file in the way")
    name, setup = coming_back(tmp_path / "exports")
    with pytest.raises(ConfigurationError, match="cannot write to"):
        setup.meet(lambda: None, environment=None, seated=Seated())
    assert find_kept_match(name) is not None


def test_whose_network_half_does_not_start_may_try_again_and_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_plan: PlayerPlan) -> None:
        raise NetworkError("no process can be started now")

    monkeypatch.setattr("gym_p2p.play.match_client.open_bridge", fails)
    name, setup = coming_back(tmp_path / "exports")
    with pytest.raises(NetworkError, match="no process"):
        setup.meet(lambda: None, environment=None, seated=Seated())
    assert find_kept_match(name) is not None


def test_at_a_proper_end_nothing_is_left(state: Path) -> None:
    file = kept()
    file.remove()
    file.remove()
    assert list(state.iterdir()) == []


@pytest.mark.parametrize(
    "event",
    [ReturnFailed("nobody is left who knows the match"), PlayerGone(1, EXCLUDED, 7)],
    ids=lambda event: type(event).__name__,
)
def test_where_there_is_no_way_back_it_is_not_tried_again(event: Any, state: Path) -> None:
    left(state)
    file = kept(before=find_kept_match(NAME))
    file.fold(event)
    file.fold(Resumable(Secret("newer")))
    assert list(state.iterdir()) == []
    file.close()
    assert find_kept_match(NAME) is None


def test_who_was_away_while_others_played_for_them_may_come_back(state: Path) -> None:
    file = kept()
    file.fold(PlayerGone(1, EXCLUDED, 7, "peer_away"))
    file.end()
    told = find_kept_match(NAME)
    assert told is not None
    assert told.returns.comeback.incarnation >= 1
    second = kept(before=told)
    second.end()
    assert not list(state.iterdir())


def test_what_is_older_than_the_others_wait_goes_and_the_log_says_so(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = left(state)
    long_ago = time.time() - LIMIT_S - 60
    os.utime(path, (long_ago, long_ago))
    assert find_kept_match(NAME) is None
    assert not path.exists()
    assert "the match match-1 is over" in caplog.text


MONTH_S = 30 * 24 * 3600.0


def test_whose_network_half_has_failed_may_come_back(state: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept().end(network_failed=True)
    assert f"the others wait {LIMIT_S:g} s for another process of this player" in caplog.text
    told = find_kept_match(NAME)
    assert told is not None
    told.let_go()
    kept("another").end()
    assert [path.name.split(".")[0] for path in state.iterdir()] == [NAME]


@pytest.mark.parametrize("set_by_s", [MONTH_S, -MONTH_S], ids=["ahead", "back"])
@pytest.mark.parametrize("when", ["after", "before"])
def test_a_clock_that_is_set_makes_no_match_old_or_new(
    set_by_s: float, when: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set once the process has ended, or while it still played."""
    ahead_s, real_s = [0.0], time.time
    monkeypatch.setattr("time.time", lambda: real_s() + ahead_s[0])
    file = kept()
    if when == "before":
        ahead_s[0] = set_by_s
        file.fold(Pinged(1, 10.0, None))
    file.close()
    ahead_s[0] = set_by_s
    told = find_kept_match(NAME)
    assert told is not None
    with in_time():
        assert told.seen_s < TOUCH_EVERY_S
    told.let_go()
    (path,) = state.iterdir()
    long_ago = path.stat().st_mtime - LIMIT_S - 60
    os.utime(path, (long_ago, long_ago))
    assert find_kept_match(NAME) is None


def test_what_nobody_came_back_with_goes_after_a_day_and_nothing_that_is_held(state: Path) -> None:
    """Of others: who joined another room, who still plays in a third, and who was killed as they wrote."""
    day_s = 24 * 3600.0
    rooms = [joined(P2PConfig(room=room), "Rally-v0", None) for room in ("left", "newer", "played")]
    for name in rooms[:2]:
        kept(name).close()
    held = kept(rooms[2])
    half = state / f".{NAME}.match-1.a.json.0a1b2c3d.tmp"
    half.write_bytes(b"{")
    for path in state.iterdir():
        age_s = day_s - 60 if path.name.startswith(rooms[1]) else day_s + 60
        os.utime(path, (time.time() - age_s,) * 2)
    assert find_kept_match(NAME) is None
    assert {path.name.split(".")[0] for path in state.iterdir()} == set(rooms[1:])
    held.close()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no match can be taken up with it"),
        (b"{", "no match can be taken up with it"),
        (b"[]", "no match can be taken up with it"),
        (b'{"format": "gym_p2p rejoin 9"}', "no match can be taken up with it"),
    ],
)
def test_what_makes_no_sense_is_left_alone_and_said(
    data: bytes, told: str, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = left(state)
    path.write_bytes(data)
    assert find_kept_match(NAME) is None
    assert path.exists()
    assert told in caplog.text


def test_a_pipe_that_stands_there_is_left_alone_and_not_waited_for(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = left(state)
    path.unlink()
    os.mkfifo(path, 0o600)
    assert together(lambda: (find_kept_match(NAME), is_played(NAME))) == [(None, False)]
    assert path.exists()
    assert "it is no file" in caplog.text


@pytest.mark.parametrize(
    "changed",
    [
        {"about": []},
        {"about": [{}, {}, {}]},
        {"keys": {}},
        {"keys": {"0": "a2tr"}},
        {"keys": {"1": "a2tr", "7": "a2tr"}},
        {"secret": ""},
        {"secret": "AAAA"},
        {"incarnation": -1},
        {"incarnation": 2**40},
        {"limit_s": -1},
        {"limit_s": None},
    ],
    ids=str,
)
def test_one_that_is_damaged_is_left_alone_before_anybody_is_bothered_with_it(
    changed: dict[str, Any], state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = left(state)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changed))
    assert find_kept_match(NAME) is None
    assert path.exists()
    assert "no match can be taken up with it" in caplog.text


def test_of_a_match_that_this_player_is_not_in_it_is_said(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = left(state)
    told = json.loads(path.read_bytes())
    told["found"]["player_id"] = "c"
    path.write_text(json.dumps(told))
    assert find_kept_match(NAME) is None
    assert "no match can be taken up with it" in caplog.text


def test_one_that_another_takes_the_place_of_is_not_read_as_if_it_were_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = kept()
    held = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", held)
        file.fold(Resumable(Secret("newer")))  # the process that is alive writes, and lets go of the old one
        held(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    assert find_kept_match(NAME) is None
    file.close()
    told = find_kept_match(NAME)
    assert told is not None
    assert told.returns.resume_token == Secret("newer")


def test_a_disk_that_takes_a_part_leaves_the_one_before(
    state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = kept()
    (path,) = state.iterdir()
    disk = SmallDisk(state, path.stat().st_size * 3 // 2)
    disk.takes_parts = True
    monkeypatch.setattr("gym_p2p.files.whole.open_private", disk.open_private)
    file.fold(Resumable(Secret("newer")))
    assert len(disk.opened) == 1
    assert "cannot be written" in caplog.text
    file.close()
    told = find_kept_match(NAME)
    assert told is not None
    assert told.returns.resume_token == Secret("resume")
    assert len(list(state.iterdir())) == 1


def test_of_a_match_that_is_none_it_is_said(state: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = left(state)
    told = json.loads(path.read_bytes())
    told["found"]["players"] = []
    path.write_text(json.dumps(told))
    assert find_kept_match(NAME) is None
    assert "no match can be taken up with it" in caplog.text


def test_what_others_can_read_is_left_alone(state: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = left(state)
    path.chmod(0o644)
    assert find_kept_match(NAME) is None
    assert "not yours alone" in caplog.text


def test_where_nothing_can_be_written_the_match_is_played_all_the_same(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state.parent.mkdir(parents=True)
    state.write_text("a file in the way")
    kept().remove()
    assert "nobody could come back to this match" in caplog.text
