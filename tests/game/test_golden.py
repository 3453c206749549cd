"""Bytes that other processes, other versions and old files rely on: they may change only on purpose."""

from __future__ import annotations

import datetime as dt
import enum
import io
import random
import zlib
from collections import OrderedDict, deque
from pathlib import Path
from typing import Any

import attrs
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p.envs.rally import RallyEnv
from gym_p2p.game.checksum import OutcomeChecksum, checksum
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.replay.header import ReplayHeader
from gym_p2p.game.replay.reader import read_replay
from gym_p2p.game.replay.records import digest_of_header, raw_records
from gym_p2p.game.replay.writer import ReplayWriter
from gym_p2p.game.spaces.codec import ActionCodec
from gym_p2p.game.state.compared import word_of_version_1
from gym_p2p.game.state.fields import fields_checksum, fields_of
from gym_p2p.game.state.graph import record
from gym_p2p.game.state.snapshot import snapshots_named
from tests.replays import columns

PLAIN: dict[Any, Any] = {
    "nothing": None,
    "numbers": [True, 1, -(2**70), 1.5, -0.0, float("nan"), float("inf")],
    "texts": ("ä\ud800", b"\x00\xff"),
    "sets": [{3, 1, 2}, frozenset({"b", "a"})],
    2: np.arange(6, dtype=">i4").reshape(2, 3),
    (1, "x"): [np.float32(0.1), np.bool_(1), np.array([np.nan, -0.0])],
    "records": np.array([(1, 2.5)], dtype=[("a", "<i2"), ("b", "<f8")]),
    "objects": np.array([None, "s", 3], dtype=object),
}


def test_checksum_of_every_kind_of_data_is_this_one() -> None:
    assert checksum(PLAIN).hex() == "de22877d8c15189e"
    assert (
        checksum(PLAIN, size_bytes=32).hex()
        == "a8050cc66bf7aebc48fc80d1913bd3c848b8fcf496feeb9d5d591283acd1ff0d"
    )


def test_running_checksum_of_a_match_is_this_one() -> None:
    digests = OutcomeChecksum(2)
    outcome = Outcome(
        (np.arange(3), {"a": 1.0}), (1.0, float("nan")), (False, True), (False, False), ({}, {}), ended=False
    )
    digests.update(0, (b"\x01", b"\x02\x03"), outcome)
    assert digests.digest(outcome) == "f87dc13b413e56f9"


SPACES: list[tuple[spaces.Space[Any], Any, str]] = [
    (spaces.Discrete(300, start=-5), 290, "a702"),
    (spaces.MultiDiscrete(np.array([[3, 300], [2, 5]])), [[2, 7], [1, 4]], "0200070001000400"),
    (spaces.MultiDiscrete(np.array([2**40])), [2**33 + 1], "0100000002000000"),
    (spaces.MultiBinary((3, 3)), np.eye(3, dtype=np.int8), "8880"),
    (spaces.Box(-1, 1, (2,), np.float32), [0.5, -0.25], "0000003f000080be"),
    (spaces.Box(0, 255, (), np.uint8), 7, "07"),
    (spaces.Text(5, charset="aä"), "äa", "03c3a461"),
    (spaces.Tuple([spaces.Discrete(3), spaces.MultiBinary(3)]), (2, [1, 0, 1]), "02a0"),
    (spaces.Dict({"b": spaces.Discrete(3), "a": spaces.Text(3)}), {"a": "x", "b": 1}, "017801"),
    (spaces.Sequence(spaces.Discrete(200)), [199, 0], "02c70100"),
    (spaces.OneOf([spaces.Discrete(2), spaces.Text(3)]), (1, "ab"), "01026162"),
]


@pytest.mark.parametrize(("space", "action", "encoded"), SPACES)
def test_encoding_of_an_action_is_this_one(space: spaces.Space[Any], action: Any, encoded: str) -> None:
    codec = ActionCodec(space)
    assert codec.encode(codec.check(action)).hex() == encoded


class Slotted:
    __slots__ = ("kept", "missing")

    def __init__(self) -> None:
        self.kept = [1, self.__class__]


class Everything:
    """One of each kind of thing that a state may hold."""

    def __init__(self) -> None:
        self.numpy = np.random.default_rng(3)
        self.bits = np.random.PCG64(4)
        self.legacy = np.random.RandomState(5)
        self.random = random.Random(6)
        self.array, self.frozen = np.arange(4.0), np.arange(3)
        self.frozen.flags.writeable = False
        self.objects = np.array([[1], {"k": 2}], dtype=object)
        self.queue: deque[Any] = deque([1, [2]], maxlen=5)
        self.buffer = bytearray(b"abc")
        self.slotted = Slotted()
        self.ordered = OrderedDict(b=1, a=[1, {2}])
        self.keyed = {1: [1], (1, 2): [2], self.slotted: [3]}
        self.shared, self.itself = self.array, self
        self.method, self.sets = self.queue.append, [{1, 2}, frozenset({"a"}), {self.slotted}]
        count = 0

        def closure() -> int:
            return count

        self.closure = closure
        self.render_mode = "human"


def test_fields_of_every_kind_of_object_are_these() -> None:
    state = Everything()
    fields = fields_of({"state": state}, record([state]))
    assert fields_checksum(fields) == "a80f22872ae53077"


class Sides(enum.Flag):
    LEFT = 1


class Coins(int):
    pass


def test_fields_as_recordings_of_version_1_have_them_are_these() -> None:
    state = [Sides(0), Sides.LEFT, Coins(3), int, dt.date(2000, 1, 2), range(3), 1 + 2j]
    roots, entries = {"state": state}, record([state])
    before = fields_of(roots, entries, word=word_of_version_1)
    assert fields_checksum(before) == "82f3426b39f78e72"
    assert fields_checksum(before) != fields_checksum(fields_of(roots, entries)), "which has more in it"


STATES_OF_RALLY = ["455d7ecbeead4b95", "96157c492589ac97"]
STATES_OF_RALLY_IN_VERSION_1 = ["0293ff0dbcde6a10", "ef90017f840d064a"]


def test_state_checksum_of_the_bundled_game_is_this_one() -> None:
    game = make_game(gymnasium.make("gym_p2p.envs:gym_p2p/Rally-v0"))
    game.reset(7)
    for _ in range(60):
        game.step([1, 5])
    found = [snapshots_named(game, name) for name in ("get_state/set_state", "layers")]
    snapshots = [one.save() for one in found]
    assert [one.checksum(each) for one, each in zip(found, snapshots, strict=True)] == STATES_OF_RALLY
    bare = snapshots_named(make_game(RallyEnv()), "get_state/set_state")
    assert bare.checksum(bare.save()) == "4dfc63a0dc392582", "with nothing around it"
    by_fields = [one.fields(each) for one, each in zip(found, snapshots, strict=True)]
    assert [fields_checksum(fields or {}) for fields in by_fields] == STATES_OF_RALLY_IN_VERSION_1


RECORDED = (
    "78daab564acb2fca4d2c51b2524aafcc8d2f302a50284a2dc849ac54d2512a4b2d2acecccf53b232d451022a49ce88cf4c01"
    "aacb054a8154a41681f979a539393a4ac5a98925c54a56d14a39a969254a3a86b1303520c16a64f54a0540fdc5a54959a9c9"
    "25380d88ad051a909a579659949f979b9a570253550e7206d850031da5cce2fc9cc49254a011698939c5a94033f2120b8a33"
    "f241e628412dd7514a492d4e2eca2c2801fba41ad5502557a55ab83f8b41d20595251920854ac62099e2cabc6490686e7e4a"
    "2ac8ccfce4ece292d4029054516a727e514a6a4a7c2e509fa1792d97070310543bd766ecf069f1097bc7c4fe8d8537dd0928"
    "665531273b6ef2fc90395121d32226cd9c1fbe47f1e6893b970e5c5138794343f5e4150dc3dcca3ac6884585997e5991597c"
    "87273dba7245848dc15c4aa42ba577ebb2eff7a5b749fd9f7ed7ccaebacb0d68dc818a39bdfdb67c870c785a27cf5b61ef19"
    "ac766ed212be908ea6470cd61e6fb684376c3028609e9617d3a45cc022a0e971f7c3e4af3adef727effd5ec555d576f6dcf4"
    "ab2c1762775ef23c657cd87dce739debeac94f655ea42e147813b52b2bf0b1e9e3450d730e76a42e1259f5e762644cc13c83"
    "ccae72a779df4a4c96cc4cd1629b28a6d07385d3da2936e9b66b4bcbb28b2743c4643f86ee8db1cc99dd77a96f52824944c9"
    "b60d13bff19a7dffd85cf3aaaebaede1fea9eeeab20f127fef8d5bb5f0d7fdf82737d2bc279f38b44a3958f39d75f79b5d65"
    "fafa25ae404fc900c3286ae69cf9d11326474d9a55541119159894976568cc9094c671d938fbf2ee53efbcdbaa8f0966ac95"
    "b86a4346a03e0607aa1b83b99248cfbc5737cfc9a9547d89373eb74f49bab71114a8db8181dae3cdd76420d112ed7764317f"
    "44e5b4a07f5a864d2fe3bf32a8ade38d717c758cd5bce0709f77054bbf8260f2a3739e6ac6339fcc9e7c5dfb42764edf3e8d"
    "e90deb9eefec4b9a2731af506fc685b91bb398bf843de7285b1f13197e433d669982448acec4d633ddfa735b349f0b06abcd"
    "9573f9b3b0397e96e6b47685c7224b02ad92c45770e5b4374cb869f2c227f3a2607cd8edb987b7496ac86acc6c3e2718a32b"
    "3365ee81b4189b13d18fff5a4effafd6ef6779e033f7ad8848cd7d3bf7a52837a72aaed8ecb76193daf3e958c232031196b1"
    "1c974a6ebdaa7998e3b457f7cd8ef6b5afa359a2801ad4416139316a42e49cf993a2ce6cd159ab6168be75466e6460565261"
    "ddbd4953feec0961b812c6abd35678beb25cfd6eff55f158bdc9a98c9b018f2ecaaa"
)
"""A finished recording of version 1, deflated. Later ones are laid out in the same way."""


def header() -> ReplayHeader:
    return ReplayHeader(
        match_id="m",
        player_id=None,
        seats=("left", 1),
        players=({"player_id": "p", "subject_id": None, "seats": ["left"]},),
        environment=None,
        watchers=0,
        isolated=False,
        snapshots="layers",
        description={"environment": "E"},
        versions={"python": "3"},
        sync={"mode": "lockstep"},
        recorded_ms=17,
    )


def record_match(path: Path) -> None:
    writer = ReplayWriter(path, header(), checked_every=2, clock=lambda: 0.0)
    for episode in range(2):
        outcome = Outcome((0, 1), (0.0, 0.0), (False, False), (False, False), ({}, {}), ended=False)
        writer.begin_episode(episode, {"level": episode}, outcome)
        for frame in range(3):
            outcome = Outcome(
                (frame, b"o"), (0.5, -1.0), (frame == 2, False), (False, frame == 2), ({}, {}), frame == 2
            )
            writer.frame((b"\x01", bytes([frame])), outcome)
        if episode == 0:
            digest = OutcomeChecksum(2)
            seen: list[str] = []
            for frame in range(2):
                outcome = Outcome(
                    (frame, b"o"), (0.5, -1.0), (False,) * 2, (False,) * 2, ({}, {}), ended=False
                )
                digest.update(frame, (b"\x01", bytes([frame])), outcome)
                seen.append(digest.digest(outcome))
            writer.checksum(1, seen[1] + "ab" * 8)
        writer.end_episode(completed=episode == 0)
    writer.close("done")


def payloads(data: bytes) -> list[tuple[bytes, bytes]]:
    file = io.BytesIO(data)
    line = file.readline()
    found = raw_records(file, digest_of_header(line), "file")
    return [(b"header", line)] + [(r.kind, zlib.decompress(r.payload) if r.payload else b"") for r in found]


def test_recording_is_laid_out_like_this(tmp_path: Path) -> None:
    record_match(tmp_path / "new.p2preplay")
    (_, line), *old = payloads(zlib.decompress(bytes.fromhex(RECORDED)))
    newer = line.replace(b'"version":1,', b'"version":2,')
    assert payloads((tmp_path / "new.p2preplay").read_bytes()) == [(b"header", newer), *old]


def test_old_recording_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.p2preplay"
    path.write_bytes(zlib.decompress(bytes.fromhex(RECORDED)))
    replay = read_replay(path)
    assert replay.header == attrs.evolve(header(), version=1)
    assert (replay.frames, replay.reason, replay.missing) == (6, "done", None)
    assert [episode.completed for episode in replay.episodes] == [True, False]
    assert [state.digest for state in columns(replay.episodes[0]).states] == ["ab" * 8]
    assert replay.episodes[1].begun().options == {"level": 1}
