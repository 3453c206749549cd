from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from gym_p2p import P2PEnv
from gym_p2p.envs.rally import RallyEnv
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.env.versions import _by_module, _packages_of, package_versions


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the search path, whose packages are found."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for cached in (_by_module, _packages_of):
        cached.cache_clear()
    yield tmp_path
    for cached in (_by_module, _packages_of):
        cached.cache_clear()


def _installs(folder: Path, name: str, **files: bytes) -> None:
    (folder / f"{name}.dist-info").mkdir()
    for file, content in files.items():
        (folder / f"{name}.dist-info" / file.replace("_txt", ".txt")).write_bytes(content)


BROKEN: dict[str, dict[str, bytes]] = {
    "empty-1.0": {},
    "no_metadata-1.0": {"RECORD": b"thing.py,,\n", "top_level_txt": b"thing\n"},
    "nameless-1.0": {"METADATA": b"Metadata-Version: 2.1\nVersion: 1.0\n", "top_level_txt": b"thing\n"},
    "binary-1.0": {"METADATA": b"\xff\xfe\x00\x80", "top_level_txt": b"thing\n"},
    "torn-1.0": {"METADATA": b"Name: torn\nVersion: 1.0\n", "RECORD": b'"thing.py\n\xff'},
    "blank-1.0": {"METADATA": b"", "RECORD": b""},
    "~umpy-1.0": {"METADATA": b"Name: ~umpy\n"},
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_beside_the_packages_is_passed_over(name: str, installed: Path) -> None:
    _installs(installed, name, **BROKEN[name])
    description = make_game(gymnasium.make("CartPole-v1")).describe()
    assert description["version of numpy"] == np.__version__
    assert description["version of gymnasium"] == gymnasium.__version__
    P2PEnv(RallyEnv(), seat="left").close()


def test_a_broken_package_of_the_environment_itself_has_its_modules_version(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installs(installed, "half-1.0", METADATA=b"Name: half\n", top_level_txt=b"half_a_game\n")
    (installed / "half_a_game.py").write_text("__version__ = '3.1'\n")
    assert package_versions(["half_a_game.play"], without=frozenset()) == {"half": "unknown"}
    monkeypatch.setitem(sys.modules, "half_a_game", __import__("half_a_game"))
    assert package_versions(["half_a_game.play"], without=frozenset()) == {"half": "3.1"}


def test_versions_stand_by_the_packages_name_and_one_can_be_left_out(installed: Path) -> None:
    (installed / "game").mkdir()
    (installed / "game" / "__init__.py").touch()
    (installed / "alone.py").touch()
    metadata = b"Name: A-Game\nVersion: 2.5\n"
    _installs(installed, "a_game-2.5", METADATA=metadata, RECORD=b"game/__init__.py,,\nalone.py,,\n")
    for module in ("game.parts.board", "alone"):
        assert package_versions([module, "no_package_at_all"], without=frozenset()) == {"A-Game": "2.5"}
        assert package_versions([module], without=frozenset({"A-Game"})) == {}


def test_what_other_packages_say_of_themselves_is_not_read(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("asked", "other"):
        metadata = f"Name: {name}\nVersion: 1.0\n".encode()
        _installs(installed, f"{name}-1.0", METADATA=metadata, top_level_txt=f"{name}_module\n".encode())
    read: list[str] = []
    read_text = importlib.metadata.PathDistribution.read_text

    def noted(distribution: importlib.metadata.PathDistribution, filename: str) -> str | None:
        text = read_text(distribution, filename)
        if filename == "METADATA" and text:
            read.append(text)
        return text

    monkeypatch.setattr(importlib.metadata.PathDistribution, "read_text", noted)
    assert package_versions(["asked_module.board"], without=frozenset()) == {"asked": "1.0"}
    assert read == ["Name: asked\nVersion: 1.0\n"]
