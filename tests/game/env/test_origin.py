"""The hash of an environment's source: one for one source, wherever it lies; another for any change of it."""

from __future__ import annotations

import hashlib
import importlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.origin import _hash, origin, source_hash
from gym_p2p.game.env.seats import make_game

GAME = """
import gymnasium
from helper import speed
import unused_elsewhere

class Env(gymnasium.Env):
    action_space = gymnasium.spaces.MultiDiscrete([2, 2])
    observation_space = gymnasium.spaces.Discrete(2)

    def step(self, action):
        from lazy import pace
"""
FILES = {
    "own_game.py": GAME,
    "helper.py": "from parts.engine import (\n    fast,\n    slow as slowly,\n)\nspeed = 1\n",
    "lazy.py": "pace = 1\n",
    "unused_elsewhere.py": "",
    "parts/__init__.py": "",
    "parts/engine.py": "from . import deep\nfrom .deep import x\nfast = slow = 1\n",
    "parts/deep.py": "x = 1\n",
    "parts/other.py": "y = 1\n",
    "analysis.py": "z = 1\n",
}


class _Files:
    """A folder of modules, imported anew for every hash."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        patch.syspath_prepend(str(folder))
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def hash(self, module: str = "own_game") -> str | None:
        self.forget()
        loaded: Any = importlib.import_module(module)
        return source_hash(loaded.Env())

    @staticmethod
    def forget() -> None:
        _hash.cache_clear()
        importlib.invalidate_caches()
        for name in [name.removesuffix(".py").replace("/", ".") for name in FILES]:
            sys.modules.pop(name.removesuffix(".__init__"), None)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Files]:
    found = _Files(tmp_path, monkeypatch)
    yield found
    found.forget()


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("own_game.py", True),
        ("helper.py", True),
        ("lazy.py", True),
        ("parts/engine.py", True),
        ("parts/deep.py", True),
        ("parts/other.py", False),
        ("analysis.py", False),
    ],
)
def test_what_the_environment_imports_of_its_own_counts_and_nothing_else(
    files: _Files, name: str, *, counts: bool
) -> None:
    before = files.hash()
    assert before is not None
    files.write(name, FILES[name] + "\nchanged = True\n")
    assert (files.hash() != before) is counts


def test_the_hash_is_as_the_schema_describes_it(files: _Files) -> None:
    digest = hashlib.sha256()
    for name in (
        "helper.py",
        "lazy.py",
        "own_game.py",
        "parts/__init__.py",
        "parts/deep.py",
        "parts/engine.py",
    ):
        text = FILES[name].encode()
        digest.update(f"{name}\0{len(text)}\0".encode() + text)
    digest.update(b"unused_elsewhere.py\0" + b"0\0")
    assert files.hash() == digest.hexdigest()


def test_line_ends_and_the_place_make_no_difference(files: _Files) -> None:
    before = files.hash()
    (files.folder / "helper.py").write_bytes(FILES["helper.py"].replace("\n", "\r\n").encode())
    assert files.hash() == before


def test_a_wrapper_that_changes_the_game_counts_and_one_that_watches_does_not(files: _Files) -> None:
    text = textwrap.dedent("""
        import gymnasium
        class Doubled(gymnasium.Wrapper):
            pass
    """)
    files.write("analysis.py", text)
    before = files.hash()
    loaded: Any = importlib.import_module("own_game")
    changed: Any = importlib.import_module("analysis")
    assert source_hash(changed.Doubled(loaded.Env())) != before
    assert source_hash(gymnasium.wrappers.RecordEpisodeStatistics(loaded.Env())) == before


def test_an_environment_without_source_has_no_hash() -> None:
    made: dict[str, Any] = {"__name__": "typed_in_somewhere"}
    exec("import gymnasium\nclass Env(gymnasium.Env): pass", made)  # noqa: S102 - as in a notebook
    assert source_hash(made["Env"]()) is None


def test_a_script_is_its_own_environment(files: _Files) -> None:
    files.write(
        "script.py", GAME + "\nfrom gym_p2p.game.env.origin import source_hash\nprint(source_hash(Env()))\n"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c" if inside else "script.py", *(["import script"] if inside else [])],
            cwd=files.folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for inside in (False, True)
    ]
    assert len(told[0].strip()) == 64
    assert told[0] == told[1]


@pytest.mark.parametrize("name", ["gym_p2p/Rally-v0", "CartPole-v1"])
def test_installed_environments_have_a_hash(name: str) -> None:
    found = source_hash(load_environment(name))
    assert found is not None
    assert found == source_hash(load_environment(name))


def test_arguments_are_plain_data_and_what_is_none_says_what_it_is() -> None:
    class Env(gymnasium.Env[Any, Any]):
        action_space = gymnasium.spaces.MultiDiscrete([2, 2])
        observation_space = gymnasium.spaces.Discrete(2)

        def __init__(self, size: Any, grid: Any, rule: Any, nested: Any, render_mode: Any = None) -> None:
            self.size, self.grid, self.rule, self.nested = size, grid, rule, nested
            self.render_mode = render_mode

        def reset(self, **_how: Any) -> Any:
            return 0, {}

    game = make_game(Env(np.int64(3), np.eye(2), print, {"a": (1, object)}))
    told = origin(game)
    assert told["arguments"] == {
        "size": 3,
        "grid": [[1.0, 0.0], [0.0, 1.0]],
        "rule": "<builtins.print>",
        "nested": {"a": [1, "<builtins.object>"]},
    }
    assert told["packages"].keys() >= {"gymnasium", "numpy", "gym_p2p"}
