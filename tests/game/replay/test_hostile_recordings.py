"""Recordings that somebody made to harm whoever reads them."""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import gymnasium
import pytest

from gym_p2p.cli import main
from gym_p2p.errors import DamagedReplay, UsageError
from gym_p2p.game.env.installed import is_installed
from gym_p2p.game.env.recipe import Recipe
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.replay.reader import read_replay
from gym_p2p.game.replay.records import Begun, Check, Ended, Frames, StateCheck, digest_of_header, encode
from gym_p2p.game.replay.verify import verify_replay
from gym_p2p.game.replay.writer import ReplayWriter
from tests.replays import header_of

CARTPOLE = "gymnasium.envs.classic_control.cartpole:CartPoleEnv"
MODULE = f"""
import pathlib
pathlib.Path({{gotcha!r}}).touch()
from {CARTPOLE.partition(":")[0]} import CartPoleEnv as Pole
def make(*_anything, **_more):
    return Pole()
parallel_env = make
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, first on the path, with modules that came with the file and lie."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    text = MODULE.format(gotcha=str(tmp_path / "gotcha"))
    for name in ("harmless", "lbforaging"):
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text(text)
    (tmp_path / "pack" / "games.py").write_text(text)
    info = tmp_path / "harmless-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: harmless\nVersion: 1.0\nRequires-Dist: gymnasium\n")
    (info / "top_level.txt").write_text("harmless\npack\n")
    kept = {name: sys.modules.pop(name) for name in ("lbforaging",) if name in sys.modules}
    yield tmp_path
    for name in ("harmless", "lbforaging", "pack", "pack.games"):
        sys.modules.pop(name, None)
    sys.modules.update(kept)


def recording(path: Path, recipe: Recipe | None, **changes: Any) -> Path:
    game = make_game(gymnasium.make("CartPole-v1"))
    ReplayWriter(path, header_of(game, recipe, **changes)).close()
    return path


def spec(**changes: Any) -> dict[str, Any]:
    own = gymnasium.make("CartPole-v1").spec
    assert own is not None
    return {**json.loads(own.to_json()), **changes}


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("harmless:make"),
        Recipe("harmless:Any-v0", {"command": "x"}),
        Recipe("harmless/Any-v0"),
        Recipe("harmless:Pole"),
        Recipe("pack.games"),
        Recipe("pack.games:make"),
        Recipe("lbforaging:Foraging-8x8-2p-2f-v3"),  # installed too, and the file's is found first
        Recipe("CartPole-v1", {}, spec(entry_point="harmless:Pole")),
        Recipe("X-v0", {}, spec(id="X-v0", entry_point="harmless:make")),
        Recipe(
            "CartPole-v1",
            {},
            spec(additional_wrappers=[{"name": "w", "entry_point": "pack:W", "kwargs": {}}]),
        ),
    ],
    ids=str,
)
def test_nothing_beside_the_file_is_run_unless_its_user_says_so(here: Path, recipe: Recipe) -> None:
    replay = read_replay(recording(here / "a.p2preplay", recipe))
    with pytest.raises(UsageError, match="not an installed package of environments"):
        verify_replay(replay)
    assert not (here / "gotcha").exists()
    assert main(["replay", "a.p2preplay"]) == 2
    assert not (here / "gotcha").exists()


def test_what_its_user_trusts_is_run(here: Path) -> None:
    path = recording(here / "a.p2preplay", Recipe("harmless:make", {"level": 3}))
    assert verify_replay(read_replay(path), trust=True).ok
    assert (here / "gotcha").exists()
    assert main(["replay", str(path), "--trust"]) == 0
    assert main(["replay", str(path), "--env", "harmless:make"]) == 0


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (Recipe("os:system", {"command": "touch gotcha"}), "not an installed package"),
        (Recipe("idlelib.idle"), "not an installed package"),
        (Recipe("numpy:save", {"file": "gotcha", "arr": [1]}), "not an installed package"),
        (Recipe("pettingzoo.__main__"), "not an installed package"),
        (Recipe("gymnasium:Any-v0"), "registers no Any-v0"),
        (Recipe("gymnasium.utils.seeding:np_random", {"seed": 1}), "is no environment"),
        (Recipe("X-v0", {}, spec(id="X-v0", entry_point="os:system")), "not an installed package"),
    ],
    ids=str,
)
def test_of_what_is_installed_only_environments_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said) as caught:
        verify_replay(read_replay(recording(tmp_path / "a.p2preplay", recipe)))
    assert recipe.name in str(caught.value) or recipe.spec is not None
    assert list(tmp_path.iterdir()) == [tmp_path / "a.p2preplay"]


def test_a_wrapper_that_writes_files_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrapper = {
        "name": "RecordVideo",
        "entry_point": "gymnasium.wrappers:RecordVideo",
        "kwargs": {"video_folder": "gotcha"},
    }
    recipe = Recipe("CartPole-v1", {}, spec(additional_wrappers=[wrapper]))
    assert verify_replay(read_replay(recording(tmp_path / "a.p2preplay", recipe))).ok
    assert not (tmp_path / "gotcha").exists()


def test_what_is_installed_is_found_without_importing_it() -> None:
    assert is_installed("gym_p2p.envs.rally")
    assert is_installed("gymnasium.envs.classic_control.cartpole")
    assert not is_installed("pytest")
    assert not is_installed("json")
    assert not is_installed("there_is_no_such_module")
    assert not is_installed("")


def test_escape_sequences_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b]0;gotcha\x07\x1b[2J\u202e\nmatch  forged"
    changes = {
        "match_id": evil,
        "players": ({"player_id": evil, "subject_id": evil},),
        "description": {"environment": evil, evil: evil},
        "versions": {evil: evil},
    }
    path = recording(tmp_path / "a.p2preplay", Recipe("CartPole-v1", {evil: evil}), **changes)
    assert main(["replay", str(path)]) == 2  # there is no such argument
    assert main(["replay", str(path), "--env", "gymnasium:CartPole-v1"]) == 0
    printed = "".join(capsys.readouterr())
    assert "gotcha" in printed
    assert all(c.isprintable() for line in printed.splitlines() for c in line)
    assert "\nmatch  forged" not in printed


# What a file unpacks to.


def forged(path: Path, values: Iterator[Any]) -> Path:
    """Write a file in which every digest is right, of any records."""
    header = header_of(make_game(gymnasium.make("CartPole-v1", disable_env_checker=True), watchers=1))
    source = path.with_name("b.p2preplay")
    ReplayWriter(source, header).close()
    path.unlink(missing_ok=True)
    with source.open("rb") as file:
        line = file.readline()
    source.unlink()
    digest = digest_of_header(line)
    with path.open("wb") as file:
        file.write(line)
        for value in (None, *values):
            record, digest = encode(value, digest)
            file.write(record)
    return path


def begun(size: int = 0) -> Begun:
    return Begun(seed=1, options={"level": "a" * size} if size else {}, observations="0" * 16)


def frames(first: int, count: int, action: bytes) -> Frames:
    return Frames(
        first=first,
        inputs=[(action, action)] * count,
        rewards=[(0.0, 0.0)] * count,
        ends=[b"\0\0"] * count,
        checks=[],
    )


def much() -> Iterator[Any]:
    yield begun()
    for number in range(30):
        yield frames(number, 1, bytes(2**21 - 2**10))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (lambda: iter([begun(2**19)]), "too large"),
        (lambda: iter([begun(), frames(0, 300, bytes(2**14))]), "too large"),
        (lambda: iter([begun(), frames(0, 5000, b"")]), "holds 5000 frames"),
        (
            lambda: (
                begun_or_ended
                for _ in range(1500)
                for begun_or_ended in (begun(60_000), Ended(frames=0, completed=False))
            ),
            "so many",
        ),
        (lambda: (frames_of_much for frames_of_much in much()), "so many"),
    ],
    ids=["options", "a record", "frames of a record", "episodes without frames", "frames with much each"],
)
def test_a_small_file_that_unpacks_to_much_is_refused(tmp_path: Path, values: Any, said: str) -> None:
    path = forged(tmp_path / "a.p2preplay", values())
    assert path.stat().st_size < 2**20
    with pytest.raises(DamagedReplay, match=said):
        read_replay(path)


def test_memory_does_not_grow_with_what_is_in_a_file(tmp_path: Path) -> None:
    def values() -> Iterator[Any]:
        yield begun()
        for number in range(100):
            yield frames(number * 1000, 1000, b"\1")

    path = forged(tmp_path / "a.p2preplay", values())
    tracemalloc.start()
    try:
        replay = read_replay(path)
        assert replay.frames == 100_000
        assert sum(len(part.inputs) for part in replay.episodes[0].parts()) == 100_000
        assert tracemalloc.get_traced_memory()[1] < 3_000_000  # all of them are 20 MB and more
    finally:
        tracemalloc.stop()


def test_a_file_that_changes_after_it_was_read_is_noticed(tmp_path: Path) -> None:
    path = forged(tmp_path / "a.p2preplay", iter([begun(), frames(0, 9, b"\1")]))
    replay = read_replay(path)
    forged(tmp_path / "a.p2preplay", iter([begun(), frames(0, 9, b"\0")]))
    with pytest.raises(DamagedReplay, match=r"changed meanwhile|digest is wrong"):
        list(replay.episodes[0].parts())


def test_a_state_that_is_told_twice_is_refused(tmp_path: Path) -> None:
    def told(first: int) -> Frames:
        check = Check(frame=first, digest="0" * 16, observations="0" * 16)
        states = [StateCheck(frame=0, digest="0" * 16)]
        return attrs.evolve(frames(first, 1, b"\1"), checks=[check], states=states)

    path = forged(tmp_path / "a.p2preplay", iter([begun(), told(0), told(1)]))
    with pytest.raises(DamagedReplay, match="states of other frames"):
        read_replay(path)
