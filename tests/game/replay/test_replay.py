from __future__ import annotations

import enum
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import gymnasium
import pytest

from gym_p2p.core.wire.messages import MAX_OPTIONS_BYTES
from gym_p2p.errors import ConfigurationError, DamagedReplay, UnreadableReplay, UsageError
from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.recipe import Recipe, named_recipe, recipe_of
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.replay.partial import partial_path
from gym_p2p.game.replay.reader import Replay, read_replay
from gym_p2p.game.replay.records import (
    READ_VERSIONS,
    Closed,
    Frames,
    RawRecord,
    digest_of_header,
    raw_records,
)
from gym_p2p.game.replay.verify import Difference, verify_replay
from gym_p2p.game.replay.writer import ReplayWriter
from gym_p2p.game.state.compared import word_of_version_1
from gym_p2p.game.state.fields import fields_checksum
from gym_p2p.game.state.snapshot import snapshots_named
from gym_p2p.play.handshake import travelled
from tests.replays import CHECKED_EVERY, columns, header_of, play_and_record, record, rewrite
from tests.requirements import require
from tests.toys import BLEND

RALLY = "gym_p2p/Rally-v0"


@pytest.fixture(scope="module")
def rally(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded match of two episodes, the second one broken off; nobody may change it."""
    path = tmp_path_factory.mktemp("rally") / "rally.p2preplay"
    record(path, RALLY, {"max_frames": 600}, seeds=(3, 4), frames=595)
    return path


def only_difference(replay: Replay, *, trust: bool = False) -> Difference:
    verification = verify_replay(replay, trust=trust)
    assert not verification.ok
    assert len(verification.differences) == 1
    return verification.differences[0]


def frames_at(records: list[Any], frame: int, episode: int = 0) -> int:
    """Return which record of the first or a later episode holds this frame."""
    held = [
        index for index, value in enumerate(records) if isinstance(value, Frames) and value.first <= frame
    ]
    return held[-1] if episode else held[0]


# Round trips.


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "kwargs", "needs"),
    [
        (RALLY, {"points": 1}, ()),
        ("gym_p2p.envs.rally", {"max_frames": 80}, ()),
        ("CartPole-v1", {}, ()),
        ("pettingzoo.atari.pong_v3", {"obs_type": "ram"}, ("multi_agent_ale_py", "ale_py", "pygame")),
        ("mpe2.simple_spread_v3", {"N": 2, "continuous_actions": True}, ("mpe2", "pygame")),
        ("mpe2.simple_tag_v3", {}, ("mpe2", "pygame")),
    ],
)
def test_a_recorded_match_is_read_and_comes_out_the_same_when_it_is_played_again(
    tmp_path: Path, name: str, kwargs: dict[str, Any], needs: tuple[str, ...]
) -> None:
    for module in needs:
        require(module, "pip install 'gym_p2p[envs]'")
    path = tmp_path / "match.p2preplay"
    played = record(path, name, kwargs, seeds=(11, 12), frames=150)
    replay = read_replay(path)
    assert replay.missing is None
    assert replay.reason == "normal"
    assert replay.header.environment == named_recipe(name, kwargs)
    for episode, was in zip(replay.episodes, played, strict=True):
        assert episode.begun().seed == was.seed
        assert columns(episode).inputs == was.inputs
        assert columns(episode).rewards == [outcome.rewards for outcome in was.outcomes]
        assert episode.completed == was.outcomes[-1].ended
    assert columns(replay.episodes[0]).inputs != columns(replay.episodes[1]).inputs
    verification = verify_replay(replay)
    assert verification.ok
    assert verification.warnings == ()
    assert verification.frames == sum(len(was.outcomes) for was in played)
    assert verification.checks >= verification.frames // CHECKED_EVERY


def test_an_environment_made_by_gymnasium_names_itself_with_its_wrappers(tmp_path: Path) -> None:
    env = gymnasium.wrappers.TimeLimit(gymnasium.make(BLEND, kind="three", disable_env_checker=True), 20)
    game = make_game(env)
    path = tmp_path / "blend.p2preplay"
    writer = ReplayWriter(path, header_of(game), checked_every=CHECKED_EVERY)
    play_and_record(game, writer)
    writer.close()
    replay = read_replay(path)
    assert replay.header.environment is not None
    assert replay.header.environment.name == BLEND
    assert replay.frames == 20
    assert verify_replay(replay).ok


def test_options_of_an_episode_are_given_to_its_reset_again(tmp_path: Path) -> None:
    game = make_game(gymnasium.make(BLEND, disable_env_checker=True))
    writer = ReplayWriter(tmp_path / "blend.p2preplay", header_of(game))
    writer.begin_episode(2**64 - 1, {"level": [1, 2]}, game.reset(2**64 - 1, {"level": [1, 2]}))
    writer.close()
    made: list[Any] = []

    def make_env() -> Any:
        made.append(gymnasium.make(BLEND, disable_env_checker=True))
        return made[0]

    assert verify_replay(read_replay(tmp_path / "blend.p2preplay"), make_env).ok
    assert made[0].unwrapped.options == {"level": [1, 2]}


def test_the_largest_options_that_travel_are_read_again(tmp_path: Path) -> None:
    options = travelled({"map": [0] * 16_000, "text": "x" * (MAX_OPTIONS_BYTES - 33_000), "level": 1})
    numbers = travelled({"map": [0.5] * 16_000})
    game = make_game(gymnasium.make(BLEND, disable_env_checker=True))
    writer = ReplayWriter(tmp_path / "blend.p2preplay", header_of(game))
    for chosen in (options, numbers):
        writer.begin_episode(1, chosen, game.reset(1, chosen))
    writer.close()
    assert [episode.begun().options for episode in read_replay(writer.path).episodes] == [options, numbers]


def test_watchers_and_isolated_global_random_are_part_of_the_recording(tmp_path: Path) -> None:
    game = make_game(gymnasium.make("CartPole-v1"), watchers=2)
    writer = ReplayWriter(
        tmp_path / "a.p2preplay", header_of(game, isolated=True), checked_every=CHECKED_EVERY
    )
    play_and_record(game, writer)
    writer.close()
    replay = read_replay(tmp_path / "a.p2preplay")
    assert replay.header.seats == ("player", "watcher_1", "watcher_2")
    steps: list[str] = []
    assert verify_replay(replay, watch=lambda step: steps.append(type(step.game).__name__)).ok
    assert set(steps) == {"_Isolated"}


def test_who_looks_on_may_write_into_what_they_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.p2preplay"
    (played,) = record(path, "tests.game.environments:LastOneStanding", {"limit": 40}, frames=40)
    assert any(any(one.terminations) and not one.ended for one in played.outcomes), "or all go at once"

    def watch(step: Any) -> None:
        for seen in (*step.before.observations, *step.outcome.observations):
            assert 77 not in seen, "which was written for somebody else"
            seen[:] = 77

    assert verify_replay(read_replay(path), trust=True, watch=watch).ok


def test_a_second_end_and_a_second_close_change_nothing(tmp_path: Path) -> None:
    game = make_game(load_environment(RALLY))
    path = tmp_path / "a.p2preplay"
    writer = ReplayWriter(path, header_of(game), checked_every=CHECKED_EVERY)
    play_and_record(game, writer, frames=12)
    writer.end_episode(completed=True)
    writer.close()
    written = path.read_bytes()
    writer.close("interrupted")
    assert path.read_bytes() == written
    assert list(tmp_path.iterdir()) == [path]
    assert read_replay(path).fingerprint == writer.fingerprint


def test_long_episodes_are_written_while_they_are_played(tmp_path: Path) -> None:
    game = make_game(load_environment(RALLY))
    now = 0.0
    path = tmp_path / "a.p2preplay"
    writer = ReplayWriter(path, header_of(game), clock=lambda: now)
    writer.begin_episode(1, None, game.reset(1))
    default = tuple(game.codec(seat).encode(game.default_action(seat)) for seat in game.seats)
    outcome = game.step([game.default_action(seat) for seat in game.seats])
    for frame in range(300):
        now = frame / 100
        writer.frame(default, outcome)
    assert read_replay(partial_path(path)).frames == 201  # one a second, and the first at once
    writer.close()
    assert read_replay(path).frames == 300


# What the writer refuses.


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    game = make_game(load_environment(RALLY))
    path = tmp_path / "a.p2preplay"
    ReplayWriter(path, header_of(game)).close()
    with pytest.raises(ConfigurationError, match="is there already"):
        ReplayWriter(path, header_of(game))
    ReplayWriter(tmp_path / "b.p2preplay", header_of(game))
    with pytest.raises(ConfigurationError, match=r"b\.p2preplay\.part' is there already"):
        ReplayWriter(tmp_path / "b.p2preplay", header_of(game))
    with pytest.raises(ConfigurationError, match=r"ends in \.p2preplay"):
        ReplayWriter(tmp_path / "c.json", header_of(game))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot write"):
        ReplayWriter(tmp_path / "file" / "d.p2preplay", header_of(game))


def test_a_checksum_of_other_frames_ends_the_recording_and_not_the_match(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    game = make_game(load_environment(RALLY))
    writer = ReplayWriter(tmp_path / "a.p2preplay", header_of(game), checked_every=1)
    play_and_record(game, writer, frames=12)
    writer.begin_episode(1, None, game.reset(1))
    default = [game.default_action(seat) for seat in game.seats]
    inputs = [game.codec(seat).encode(action) for seat, action in zip(game.seats, default, strict=True)]
    writer.frame(inputs, game.step(default))
    writer.checksum(0, "0" * 16)
    assert writer.problem is not None
    assert "ended early" in caplog.text
    play_and_record(game, writer, frames=12)
    writer.close()
    assert not writer.path.exists()
    assert read_replay(partial_path(writer.path)).frames == 12


def test_a_checksum_is_one_of_a_checked_frame(tmp_path: Path) -> None:
    game = make_game(load_environment(RALLY))
    writer = ReplayWriter(tmp_path / "a.p2preplay", header_of(game))
    with pytest.raises(UsageError, match="no episode"):
        writer.checksum(0, "")
    writer.begin_episode(1, None, game.reset(1))
    with pytest.raises(UsageError, match="frame 3 is none"):
        writer.checksum(3, "")


def test_a_full_disk_ends_the_recording_and_not_the_match(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    game = make_game(load_environment(RALLY))
    path = tmp_path / "a.p2preplay"
    writer = ReplayWriter(path, header_of(game), checked_every=CHECKED_EVERY)
    writer._file._file = Path("/dev/full").open("r+b", buffering=0)  # noqa: SIM115 - the writer closes it
    play_and_record(game, writer, frames=30)
    writer.close()
    assert writer.problem is not None
    assert "the disk is full" in writer.problem
    assert str(partial_path(path)) in writer.problem
    assert not path.exists()


# Tampering.


def test_every_single_changed_byte_is_found(rally: Path, tmp_path: Path) -> None:
    whole = rally.read_bytes()
    header_bytes = whole.index(b"\n") + 1
    assert len(whole) > 2_000
    tampered = tmp_path / "a.p2preplay"
    for at in (*range(0, header_bytes, 29), *range(header_bytes, len(whole), 17), len(whole) - 1):
        tampered.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            replay = read_replay(tampered)
        except (DamagedReplay, UnreadableReplay):
            continue
        # A length that is too large looks like a file that was cut.
        assert replay.missing is not None, at


def test_a_changed_byte_is_named_with_its_record_and_frame(rally: Path, tmp_path: Path) -> None:
    whole = rally.read_bytes()
    records = _raw(whole)
    second = [raw for raw in records if raw.kind == b"F"][1]
    at = second.offset + 20
    tampered = tmp_path / "a.p2preplay"
    tampered.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
    with pytest.raises(DamagedReplay, match="digest is wrong") as caught:
        read_replay(tampered)
    assert caught.value.where == f"record {second.number} at byte {second.offset} (at frame 256 of episode 1)"


def test_a_changed_header_is_named(rally: Path, tmp_path: Path) -> None:
    tampered = tmp_path / "a.p2preplay"
    tampered.write_bytes(rally.read_bytes().replace(b"match-1", b"match-2", 1))
    with pytest.raises(DamagedReplay, match="the header") as caught:
        read_replay(tampered)
    assert caught.value.where.startswith("the header")


@pytest.mark.parametrize("taken", [1, 2, 3, 4])
def test_a_record_that_was_taken_out_is_found(rally: Path, tmp_path: Path, taken: int) -> None:
    whole = rally.read_bytes()
    raw = _raw(whole)[taken]
    tampered = tmp_path / "a.p2preplay"
    tampered.write_bytes(whole[: raw.offset] + whole[raw.end :])
    with pytest.raises(DamagedReplay, match=f"record {taken} at byte {raw.offset}"):
        read_replay(tampered)


def test_a_file_that_was_cut_anywhere_is_read_up_to_there_and_says_so(rally: Path, tmp_path: Path) -> None:
    whole = rally.read_bytes()
    replay = read_replay(rally)
    seen = set()
    for size in range(whole.index(b"\n") + 1, len(whole), 211):
        cut = tmp_path / "cut.p2preplay"
        cut.write_bytes(whole[:size])
        found = read_replay(cut)
        assert found.missing is not None
        assert "the end of the recording is missing" in found.missing
        for mine, its in zip(found.episodes, replay.episodes, strict=False):
            assert columns(mine).inputs == columns(its).inputs[: mine.frames]
        seen.add(found.frames)
    assert len(seen) > 4
    verification = verify_replay(found)
    assert verification.agreed
    assert not verification.ok


def test_bytes_after_the_end_are_found(rally: Path, tmp_path: Path) -> None:
    tampered = tmp_path / "a.p2preplay"
    tampered.write_bytes(rally.read_bytes() + b"more")
    with pytest.raises(DamagedReplay, match="4 bytes follow the end"):
        read_replay(tampered)


# Forgery: all digests of the file are right, and yet the match did not go so.


def test_a_forged_action_is_found_by_playing_it_again(rally: Path, tmp_path: Path) -> None:
    def change(records: list[Any]) -> None:
        at = frames_at(records, 0)
        inputs = list(records[at].inputs)
        left, right = inputs[57]
        inputs[57] = (b"\x01" if left != b"\x01" else b"\x02", right)
        records[at] = attrs.evolve(records[at], inputs=tuple(inputs))

    forged = tmp_path / "forged.p2preplay"
    rewrite(rally, forged, change)
    assert read_replay(forged).fingerprint != read_replay(rally).fingerprint
    difference = only_difference(read_replay(forged))
    assert difference.episode == 0
    assert 57 <= difference.frame <= 59  # the next checked frame at the latest
    assert difference.checked == 49
    assert difference.what in {"observations", "rewards"}


def test_a_forged_action_that_changes_nothing_is_found_by_the_digest(tmp_path: Path) -> None:
    path, forged = tmp_path / "a.p2preplay", tmp_path / "forged.p2preplay"
    record(path, "tests.replays_toys:Deaf")

    def change(records: list[Any]) -> None:
        at = frames_at(records, 0)
        inputs = list(records[at].inputs)
        inputs[33] = (inputs[33][0], b"\x00" if inputs[33][1] != b"\x00" else b"\x01")
        records[at] = attrs.evolve(records[at], inputs=tuple(inputs))

    rewrite(path, forged, change)
    difference = only_difference(read_replay(forged), trust=True)
    assert (difference.what, difference.frame, difference.checked) == ("digest", 39, 29)


def test_a_forged_reward_is_named_with_its_frame(rally: Path, tmp_path: Path) -> None:
    def change(records: list[Any]) -> None:
        at = frames_at(records, 0)
        rewards = list(records[at].rewards)
        rewards[42] = (1.0, -1.0)
        records[at] = attrs.evolve(records[at], rewards=tuple(rewards))

    rewrite(rally, tmp_path / "forged.p2preplay", change)
    difference = only_difference(read_replay(tmp_path / "forged.p2preplay"))
    assert (difference.what, difference.frame, difference.checked) == ("rewards", 42, 39)
    assert "[1.0, -1.0]" in str(difference)


def test_a_forged_end_is_named_with_its_frame(rally: Path, tmp_path: Path) -> None:
    def change(records: list[Any]) -> None:
        at = frames_at(records, 0)
        ends = list(records[at].ends)
        ends[7] = b"\x01\x00"
        records[at] = attrs.evolve(records[at], ends=tuple(ends))

    rewrite(rally, tmp_path / "forged.p2preplay", change)
    difference = only_difference(read_replay(tmp_path / "forged.p2preplay"))
    assert (difference.what, difference.frame) == ("ends", 7)
    assert "terminated" in difference.recorded


@pytest.mark.parametrize("what", ["digest", "observations"])
def test_a_forged_digest_is_found(rally: Path, tmp_path: Path, what: str) -> None:
    def change(records: list[Any]) -> None:
        at = frames_at(records, 0)
        checks = list(records[at].checks)
        checks[2] = attrs.evolve(checks[2], **{what: "0" * 16})
        records[at] = attrs.evolve(records[at], checks=tuple(checks))

    rewrite(rally, tmp_path / "forged.p2preplay", change)
    difference = only_difference(read_replay(tmp_path / "forged.p2preplay"))
    assert (difference.what, difference.frame, difference.recorded) == (what, 29, "0" * 16)


def test_a_forged_seed_is_found_at_reset(tmp_path: Path) -> None:
    record(tmp_path / "a.p2preplay", "CartPole-v1")

    def change(records: list[Any]) -> None:
        records[1] = attrs.evolve(records[1], seed=99)

    rewrite(tmp_path / "a.p2preplay", tmp_path / "forged.p2preplay", change)
    difference = only_difference(read_replay(tmp_path / "forged.p2preplay"))
    assert (difference.episode, difference.frame, difference.what) == (0, -1, "observations")
    assert "reset" in str(difference)


def test_an_action_that_is_none_of_the_seats_is_named(rally: Path, tmp_path: Path) -> None:
    def change(records: list[Any]) -> None:
        at = frames_at(records, 0)
        inputs = list(records[at].inputs)
        inputs[5] = (b"\xff", b"\x00")
        records[at] = attrs.evolve(records[at], inputs=tuple(inputs))

    rewrite(rally, tmp_path / "forged.p2preplay", change)
    difference = only_difference(read_replay(tmp_path / "forged.p2preplay"))
    assert (difference.what, difference.frame) == ("actions", 5)


def _without_frame(records: list[Any], frame: int) -> None:
    at = frames_at(records, 0)
    one = records[at]
    records[at] = attrs.evolve(
        one,
        inputs=one.inputs[:frame] + one.inputs[frame + 1 :],
        rewards=one.rewards[:frame] + one.rewards[frame + 1 :],
        ends=one.ends[:frame] + one.ends[frame + 1 :],
    )


def test_a_frame_that_was_taken_out_leaves_a_gap(rally: Path, tmp_path: Path) -> None:
    rewrite(rally, tmp_path / "forged.p2preplay", lambda records: _without_frame(records, 12))
    with pytest.raises(DamagedReplay, match="frame 256 follows 255 frames"):
        read_replay(tmp_path / "forged.p2preplay")


def test_a_frame_that_was_taken_out_of_everything_is_found_by_playing_it_again(tmp_path: Path) -> None:
    path, forged = tmp_path / "a.p2preplay", tmp_path / "forged.p2preplay"
    record(path, RALLY, {"max_frames": 100}, frames=100)

    def change(records: list[Any]) -> None:
        _without_frame(records, 12)
        at = frames_at(records, 0)
        checks = [attrs.evolve(c, frame=c.frame - (c.frame > 12)) for c in records[at].checks]
        records[at] = attrs.evolve(records[at], checks=tuple(checks))
        records[at + 1] = attrs.evolve(records[at + 1], frames=99)
        records[-1] = attrs.evolve(records[-1], frames=99)

    rewrite(path, forged, change)
    difference = only_difference(read_replay(forged))
    assert 12 <= difference.frame <= 18
    assert difference.checked == 9


def test_a_last_frame_that_was_taken_out_of_everything_is_found(tmp_path: Path) -> None:
    path, forged = tmp_path / "a.p2preplay", tmp_path / "forged.p2preplay"
    record(path, RALLY, {"max_frames": 100}, frames=100)

    def change(records: list[Any]) -> None:
        _without_frame(records, 99)
        at = frames_at(records, 0)
        records[at] = attrs.evolve(records[at], checks=records[at].checks[:-1])
        records[at + 1] = attrs.evolve(records[at + 1], frames=99)
        records[-1] = attrs.evolve(records[-1], frames=99)

    rewrite(path, forged, change)
    difference = only_difference(read_replay(forged))
    assert (difference.frame, difference.what, difference.here) == (99, "frames", "the episode goes on")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda records: records.pop(1), "frames of no episode"),
        (lambda records: records.insert(2, records[1]), "begins within another"),
        (lambda records: records.pop(-2), "were recorded"),
        (lambda records: records.__setitem__(-1, Closed(episodes=9, frames=1, reason="")), "9 episodes"),
    ],
)
def test_an_order_that_no_recording_has_is_refused(
    rally: Path, tmp_path: Path, change: Callable[[list[Any]], None], message: str
) -> None:
    rewrite(rally, tmp_path / "forged.p2preplay", change)
    with pytest.raises(DamagedReplay, match=message):
        read_replay(tmp_path / "forged.p2preplay")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no recorded match"),
        (b"\x89PNG\r\n\x1a\n" * 100, "no recorded match"),
        (b'{"format":"something else"}\n', "no recorded match"),
        (b'{"format":"gym_p2p replay","version":3}\n', "format version 3"),
        (b"[" * 100_000 + b"\n", "no recorded match"),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.p2preplay").write_bytes(content)
    with pytest.raises(UnreadableReplay, match=message):
        read_replay(tmp_path / "a.p2preplay")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableReplay, match="No such file"):
        read_replay(tmp_path / "none.p2preplay")


# Processes that die, and other installations.

KILLED = """
import os, signal, sys
from pathlib import Path
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.recipe import named_recipe
from gym_p2p.game.replay.writer import ReplayWriter
from gym_p2p.game.env.seats import make_game
from tests.replays import header_of, play_and_record

game = make_game(load_environment("gym_p2p/Rally-v0"))
now = iter(range(10**6))
header = header_of(game, named_recipe("gym_p2p/Rally-v0", {}))
writer = ReplayWriter(Path(sys.argv[1]), header, checked_every=10, clock=lambda: next(now) / 50)
writer.end_episode = lambda *, completed: None
play_and_record(game, writer, frames=490)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_a_prefix_that_can_be_read_and_verified(tmp_path: Path) -> None:
    path = tmp_path / "a.p2preplay"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    replay = read_replay(partial_path(path))
    assert 400 <= replay.frames < 490
    assert replay.missing is not None
    assert replay.episodes[0].completed is None
    verification = verify_replay(replay)
    assert verification.agreed
    assert verification.checks > 30


def test_other_versions_are_warnings_and_no_differences(rally: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.p2preplay"
    header = read_replay(rally).header
    header = attrs.evolve(
        header,
        versions={**header.versions, "numpy": "1.0", "old-physics": "0.3"},
        description={**header.description, "argument max_frames": "9"},
    )
    game = make_game(load_environment(RALLY, {"max_frames": 600}))
    writer = ReplayWriter(other, header, checked_every=CHECKED_EVERY)
    play_and_record(game, writer)
    writer.close()
    verification = verify_replay(read_replay(other))
    assert verification.ok
    assert len(verification.warnings) == 3
    assert any(w.startswith("numpy: recorded with 1.0, here is ") for w in verification.warnings)
    assert "old-physics: recorded with 0.3, here is none" in verification.warnings
    assert any(w.startswith("argument max_frames: recorded 9, here 600") for w in verification.warnings)


def test_another_behaviour_of_the_environment_is_found(tmp_path: Path) -> None:
    game = make_game(gymnasium.make(BLEND, disable_env_checker=True))
    writer = ReplayWriter(tmp_path / "a.p2preplay", header_of(game), checked_every=CHECKED_EVERY)
    play_and_record(game, writer)
    writer.close()

    def make_env() -> Any:
        env = gymnasium.make(BLEND, disable_env_checker=True)
        env.unwrapped.skew = 1e-9  # type: ignore[attr-defined]  # of this toy
        return env

    verification = verify_replay(read_replay(writer.path), make_env)
    assert verification.differences[0].what == "rewards"
    assert verification.differences[0].frame == 0


def test_an_environment_that_raises_is_a_difference(tmp_path: Path) -> None:
    game = make_game(gymnasium.make(BLEND, disable_env_checker=True))
    writer = ReplayWriter(tmp_path / "a.p2preplay", header_of(game), checked_every=CHECKED_EVERY)
    play_and_record(game, writer)
    writer.close()

    def make_env() -> Any:
        env = gymnasium.make(BLEND, disable_env_checker=True)
        env.unwrapped.skew = "nothing to be added"  # type: ignore[attr-defined]  # of this toy
        return env

    (difference,) = verify_replay(read_replay(writer.path), make_env).differences
    assert (difference.what, difference.frame) == ("error", 0)


def test_recorded_digests_of_states_are_compared(tmp_path: Path) -> None:
    game = make_game(load_environment("tests.replays_toys:Deaf"))
    snapshots = snapshots_named(game, "layers")
    header = header_of(game, named_recipe("tests.replays_toys:Deaf", {}), snapshots="layers")
    writer = ReplayWriter(tmp_path / "a.p2preplay", header, checked_every=1)
    writer.begin_episode(1, None, game.reset(1))
    inputs = tuple(game.codec(seat).encode(game.default_action(seat)) for seat in game.seats)
    digests = OutcomeChecksum(2)
    for frame in range(2):
        outcome = game.step([game.default_action(seat) for seat in game.seats])
        digests.update(frame, inputs, outcome)
        writer.frame(inputs, outcome)
        if frame == 0:  # and it is told later, as in a match
            told = digests.digest(outcome) + str(snapshots.checksum(snapshots.save()))
    writer.checksum(0, told)
    writer.close()
    replay = read_replay(writer.path)
    assert [state.frame for state in columns(replay.episodes[0]).states] == [0]
    assert verify_replay(replay, trust=True).ok

    def make_env() -> Any:
        env = load_environment("tests.replays_toys:Deaf")
        env.unwrapped.unseen = 1
        return env

    (difference,) = verify_replay(replay, make_env).differences
    assert (difference.what, difference.frame) == ("state", 0)
    assert verify_replay(replay, make_env, compare_states=False).ok


class _Sides(enum.Flag):
    LEFT = 1


@pytest.mark.parametrize("version", READ_VERSIONS)
def test_states_count_by_the_words_that_their_version_had_for_what_is_in_them(
    tmp_path: Path, version: int
) -> None:
    def make_env() -> Any:
        env = load_environment("tests.replays_toys:Deaf")
        env.unwrapped.unseen = _Sides(0)
        return env

    game = make_game(make_env())
    snapshots = snapshots_named(game, "layers")
    header = header_of(game, snapshots="layers", version=version)
    writer = ReplayWriter(tmp_path / "a.p2preplay", header, checked_every=1)
    writer.begin_episode(1, None, game.reset(1))
    inputs = tuple(game.codec(seat).encode(game.default_action(seat)) for seat in game.seats)
    digests = OutcomeChecksum(2)
    outcome = game.step([game.default_action(seat) for seat in game.seats])
    digests.update(0, inputs, outcome)
    writer.frame(inputs, outcome)
    saved = snapshots.save()
    by_fields = fields_checksum(snapshots.fields(saved, word=word_of_version_1) or {})
    state = by_fields if version == 1 else snapshots.checksum(saved)
    writer.checksum(0, digests.digest(outcome) + str(state))
    writer.close()
    replay = read_replay(writer.path)
    assert [one.digest for one in columns(replay.episodes[0]).states] == [state]
    assert verify_replay(replay, make_env).differences == ()


# What a file may name.


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("os:system", {"command": "touch gotcha"}),
        Recipe("tests.game.policies:arena"),
        Recipe("X-v0", {}, {"id": "X-v0", "entry_point": "os:system", "kwargs": {"command": "touch gotcha"}}),
        Recipe(
            "CartPole-v1",
            {},
            {
                **json.loads(gymnasium.make("CartPole-v1").spec.to_json()),  # type: ignore[union-attr]  # it has one
                "additional_wrappers": [{"name": "w", "entry_point": "os:system", "kwargs": {}}],
            },
        ),
    ],
)
def test_a_file_makes_environments_and_calls_nothing_else(
    tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    game = make_game(gymnasium.make("CartPole-v1"))
    writer = ReplayWriter(tmp_path / "a.p2preplay", header_of(game, recipe))
    writer.close()
    with pytest.raises(UsageError, match="not an installed package of environments"):
        verify_replay(read_replay(writer.path))
    assert not (tmp_path / "gotcha").exists()
    assert verify_replay(read_replay(writer.path), lambda: gymnasium.make("CartPole-v1")).ok


def test_an_environment_without_a_recipe_has_to_be_named(tmp_path: Path) -> None:
    game = make_game(load_environment("gym_p2p.envs.rally"))
    assert recipe_of(game.env) is None
    writer = ReplayWriter(tmp_path / "a.p2preplay", header_of(game), checked_every=CHECKED_EVERY)
    play_and_record(game, writer)
    writer.close()
    with pytest.raises(UsageError, match="name it"):
        verify_replay(read_replay(writer.path))
    assert verify_replay(read_replay(writer.path), lambda: load_environment("gym_p2p.envs.rally")).ok
    with pytest.raises(UsageError, match="seats"):
        verify_replay(read_replay(writer.path), lambda: load_environment("CartPole-v1"))


def test_arguments_that_are_no_plain_data_make_no_recipe() -> None:
    assert named_recipe("X-v0", {"callback": print}) is None
    assert named_recipe("X-v0", {"render_mode": "human", "n": 3}) == Recipe("X-v0", {"n": 3})
    noisy = gymnasium.wrappers.TransformReward(gymnasium.make("CartPole-v1"), lambda reward: reward)
    assert recipe_of(noisy) is None


def _raw(whole: bytes) -> list[RawRecord]:
    file = io.BytesIO(whole)
    return list(raw_records(file, digest_of_header(file.readline()), "the file"))
