from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils import EzPickle
from gymnasium.wrappers import ClipReward, RecordEpisodeStatistics, TimeLimit
from pettingzoo.classic import tictactoe_v3

from gym_p2p.game.env.describe import files_of
from gym_p2p.game.env.seats import make_game
from tests.game.environments import Echo, LastOneStanding


class _Arena(LastOneStanding, EzPickle):
    def __init__(
        self, size: int = 3, auto_rom_install_path: str = "", render_mode: str | None = None
    ) -> None:
        EzPickle.__init__(
            self, size=size, auto_rom_install_path=auto_rom_install_path, render_mode=render_mode
        )
        super().__init__()
        self.render_mode = render_mode


class _Maze(LastOneStanding):
    def __init__(self, config: dict[str, Any], helper: Any = None) -> None:
        super().__init__()
        self.config = config
        self.helper = helper


def _differences(one: Any, other: Any) -> set[str]:
    ours, theirs = make_game(one).describe(), make_game(other).describe()
    return {topic for topic in ours.keys() | theirs.keys() if ours.get(topic) != theirs.get(topic)}


def test_equal_environments_are_described_alike() -> None:
    description = make_game(gymnasium.make("CartPole-v1")).describe()
    assert description == make_game(gymnasium.make("CartPole-v1")).describe()
    assert description["environment"] == "CartPole-v1"
    assert description["version of numpy"] == np.__version__
    assert description["version of gymnasium"] == gymnasium.__version__
    assert all(type(key) is str and type(text) is str for key, text in description.items())


def test_how_it_is_rendered_does_not_count() -> None:
    assert not _differences(
        gymnasium.make("CartPole-v1"), gymnasium.make("CartPole-v1", render_mode="rgb_array")
    )
    assert not _differences(_Arena(), _Arena(render_mode="human"))


def test_where_files_lie_does_not_count() -> None:
    assert not _differences(_Arena(auto_rom_install_path="/here"), _Arena(auto_rom_install_path="/there"))


def test_a_constructor_argument_counts_under_its_own_name() -> None:
    assert _differences(
        gymnasium.make("FrozenLake-v1", is_slippery=True), gymnasium.make("FrozenLake-v1", is_slippery=False)
    ) == {"argument is_slippery"}
    assert _differences(_Arena(size=3), _Arena(size=4)) == {"argument size"}


def test_arguments_that_are_kept_by_place_count_under_the_names_of_the_constructor() -> None:
    assert not _differences(tictactoe_v3.env(), tictactoe_v3.env(render_mode="rgb_array"))
    assert _differences(tictactoe_v3.env(), tictactoe_v3.env(screen_height=96)) == {"argument screen_height"}


class _Rooms(LastOneStanding, EzPickle):
    def __init__(self, size: int, *doors: int) -> None:
        EzPickle.__init__(self, size, *doors)
        super().__init__()


def test_arguments_that_the_constructor_does_not_name_count_by_their_place() -> None:
    assert not _differences(_Rooms(3, 1, 2), _Rooms(3, 1, 2))
    assert _differences(_Rooms(3, 1, 2), _Rooms(4, 1, 5)) == {"argument size", "argument #2"}


def test_arguments_kept_as_attributes_count_and_objects_only_by_their_type() -> None:
    assert not _differences(_Maze({"a": 1, "b": [2]}, object()), _Maze({"b": [2], "a": 1}, object()))
    assert _differences(_Maze({"a": 1}), _Maze({"a": 2})) == {"argument config"}
    assert _differences(_Maze({}, object()), _Maze({}, 3)) == {"argument helper"}
    assert "0x" not in str(make_game(_Maze({"f": lambda: None, "o": object()})).describe())


def test_wrappers_that_change_the_game_count_with_their_arguments() -> None:
    def plain() -> gymnasium.Env[Any, Any]:
        return Echo(spaces.MultiDiscrete([2, 2]))

    assert _differences(plain(), ClipReward(plain(), 0, 1)) == {"wrappers"}
    assert _differences(TimeLimit(plain(), 10), TimeLimit(plain(), 20)) == {"wrappers"}
    assert not _differences(TimeLimit(plain(), 10), TimeLimit(plain(), 10))
    assert not _differences(plain(), RecordEpisodeStatistics(plain()))


def test_spaces_count_even_where_numpy_would_not_show_the_difference() -> None:
    low = np.full(2000, -1, np.float32)
    low[0] = -2
    other = low.copy()
    other[1000] = -2
    high = np.ones_like(low)
    assert repr(spaces.Box(low, high)) == repr(spaces.Box(other, high))

    def env(bound: Any) -> gymnasium.Env[Any, Any]:
        return Echo(spaces.MultiDiscrete([2, 2]), spaces.Box(bound, high))

    assert _differences(env(low), env(other)) == {"observation space of every seat"}
    assert max(map(len, make_game(env(low)).describe().values())) < 200


def test_seats_count() -> None:
    assert "seats" in _differences(LastOneStanding(("a", "b")), LastOneStanding(("b", "a")))


def test_the_content_of_a_rom_counts_and_its_place_does_not(tmp_path: Path) -> None:
    def env(directory: str, content: bytes) -> Any:
        path = tmp_path / directory / "game.bin"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        made = LastOneStanding()
        made.rom_path = str(path)  # as PettingZoo's Atari environments have it
        return made

    assert not _differences(env("one", b"pong"), env("two", b"pong"))
    assert _differences(env("one", b"pong"), env("two", b"ping")) == {"game ROM"}
    assert files_of(env("one", b"pong")) == {"game ROM": "game.bin"}


def test_a_name_that_classes_share_and_overwrite_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = make_game(LastOneStanding()).describe()
    monkeypatch.setitem(LastOneStanding.metadata, "name", "overwritten by another class")
    assert make_game(LastOneStanding()).describe() == before


def test_the_description_is_that_of_the_beginning() -> None:
    env = _Maze({"level": 1})
    game = make_game(env)
    before = game.describe()
    env.config["level"] = 2
    assert game.describe() == before


class _Words(spaces.Space[str]):
    """A space that shows what it holds, addresses and all."""

    def __init__(self, make: Any, most: int = 3) -> None:
        super().__init__((), str)
        self.make = make
        self.most = most

    def __repr__(self) -> str:
        return f"Words({self.make}, None)"


def _described(space: spaces.Space[Any]) -> str:
    env = Echo(spaces.Tuple([spaces.Discrete(2)] * 2))
    env.observation_space = space
    return make_game(env).describe()["observation space of every seat"]


def test_a_space_is_described_without_an_address() -> None:
    def function() -> Any:
        def words() -> str:
            return "go"

        return words

    kept = [function(), function()]
    one, other = (_described(spaces.Dict({"m": _Words(make)})) for make in kept)
    assert one == other
    assert "0x" not in one
    one, other = (_described(_Words(make.__get__(object()))) for make in kept)
    assert one == other
    plain = [type("_Plain", (spaces.Space,), {}) for _ in range(2)]
    assert "0x" not in _described(plain[0]((), str))


def test_what_a_foreign_space_was_made_with_is_described() -> None:
    assert _described(_Words(_described, most=3)) != _described(_Words(_described, most=4))
