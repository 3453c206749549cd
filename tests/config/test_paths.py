from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from gym_p2p import ConfigurationError
from gym_p2p.config import ExportConfig, P2PConfig, ServiceConfig, config_from_options
from gym_p2p.play.exported import exported_config

PATHS: dict[str, Callable[[Any], str | None]] = {
    "exports": lambda path: config_from_options({"exports": path}).exports.directory,
    "record": lambda path: str(config_from_options({"record": path, "exports": None}).record),
    "data_dir": lambda path: ServiceConfig(data_dir=path).data_dir,
}


@pytest.mark.parametrize("option", PATHS)
@pytest.mark.parametrize("path", ["folder", Path("folder"), Path("down") / ".." / "folder", "ä folder: new"])
def test_a_path_is_resolved_when_it_is_given(
    option: str, path: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert PATHS[option](path) == str(tmp_path / path)
    assert PATHS[option](tmp_path / path) == str(tmp_path / path)


@pytest.mark.parametrize("option", PATHS)
@pytest.mark.parametrize("wrong", ["", 3, b"bytes"])
def test_what_is_no_path_is_refused_by_its_option(option: str, wrong: object) -> None:
    with pytest.raises(ConfigurationError, match=f"{option}: wanted a path"):
        PATHS[option](wrong)


@pytest.mark.parametrize("option", PATHS)
def test_a_relative_path_in_a_deleted_folder_is_refused_in_words(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    config = P2PConfig()
    gone.rmdir()
    with pytest.raises(ConfigurationError, match="working directory was deleted; name an absolute path"):
        PATHS[option]("folder")
    assert PATHS[option]("/folder") == "/folder"
    assert attrs.evolve(config, room="other").exports == config.exports


def test_the_exported_configuration_does_not_tell_where_folders_lie(tmp_path: Path) -> None:
    config = P2PConfig(exports=ExportConfig(directory=str(tmp_path / "out")), record=str(tmp_path / "games"))
    exported = exported_config(config)
    assert (exported["exports"]["directory"], exported["record"]) == ("out", "games")
    nowhere = exported_config(P2PConfig(exports=ExportConfig(directory=None)))
    assert (nowhere["exports"]["directory"], nowhere["record"]) == (None, True)
