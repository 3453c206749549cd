from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gym_p2p
from gym_p2p.net.worker.backends import open_bridge
from gym_p2p.net.worker.thread_bridge import ThreadBridge
from gym_p2p.processes.python import can_start_python, python_command, search_path

PACKAGE = Path(gym_p2p.__file__).parent


def _run(*arguments: str, **changes: Any) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        python_command(*arguments), capture_output=True, text=True, timeout=60, check=False, **changes
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that can be found because this process has put its folder on the search path."""
    folder = tmp_path / "a folder: ünusual"
    folder.mkdir()
    (folder / "tells_its_path.py").write_text(
        "import json, sys, gym_p2p\nprint(json.dumps([__name__, sys.argv[1:], sys.path, gym_p2p.__file__]))\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_a_child_finds_what_its_parent_finds_wherever_it_runs(module: Path, tmp_path: Path) -> None:
    name, arguments, path, package = json.loads(_run("tells_its_path", "1", "two words", cwd=tmp_path))
    assert (name, arguments) == ("__main__", ["1", "two words"])
    assert path == search_path()
    assert path[0] == str(module)
    assert package == gym_p2p.__file__


def test_nothing_in_the_childs_working_directory_is_taken_for_a_module(module: Path, tmp_path: Path) -> None:
    assert module.exists()
    for name in ("json", "socket", "gym_p2p", "runpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the working directory')")
    assert _run("tells_its_path", cwd=tmp_path)


def test_relative_folders_are_taken_from_where_the_parent_stands(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(module.parent)
    monkeypatch.setattr(sys, "path", ["", module.name, Path("a path that is no text"), *sys.path])
    assert search_path()[:2] == [str(module.parent), str(module)]
    assert _run("tells_its_path", cwd=tmp_path)


def test_a_package_that_is_found_no_more_is_put_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert search_path() == [str(PACKAGE.parent), str(tmp_path)]
    (tmp_path / "gym_p2p").mkdir()
    (tmp_path / "gym_p2p" / "__init__.py").write_text("")  # another one of this name
    assert search_path() == [str(PACKAGE.parent), str(tmp_path)]


def test_in_a_deleted_folder_the_rest_of_the_path_is_left(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert search_path()[0] == str(module)
    assert _run("tells_its_path")


@pytest.mark.parametrize(("name", "value"), [("executable", ""), ("executable", None), ("frozen", True)])
def test_without_an_interpreter_the_network_runs_as_a_thread(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert can_start_python()
    monkeypatch.setattr(sys, name, value, raising=False)
    assert not can_start_python()
    opened: list[object] = []
    monkeypatch.setattr(ThreadBridge, "__init__", lambda _self, plan: opened.append(plan))
    plan = type("Plan", (), {"config": type("Config", (), {"network": "process"})})
    open_bridge(plan)  # type: ignore[arg-type]  # all that is looked at
    assert opened == [plan]
    assert "runs as a thread" in caplog.text


def _libraries_alone(folder: Path) -> list[str]:
    """Return a search path on which everything is but this package and what says that it is installed."""
    path = []
    for number, entry in enumerate(sys.path):
        if Path(entry).name == "site-packages":
            linked = folder / str(number)
            linked.mkdir(parents=True)
            for found in Path(entry).iterdir():
                if "gym_p2p" not in found.name:
                    (linked / found.name).symlink_to(found)
            path.append(str(linked))
        elif entry and Path(entry).resolve() != PACKAGE.parent.resolve():
            path.append(entry)
    return path


def test_a_checkout_that_is_not_installed_plays_from_another_folder(tmp_path: Path) -> None:
    source = tmp_path / "src"
    shutil.copytree(PACKAGE, source / "gym_p2p", ignore=shutil.ignore_patterns("__pycache__"))
    path = [str(source), *_libraries_alone(tmp_path / "libraries")]
    program = f"""
import importlib.metadata, sys
sys.path[:] = {path!r}
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
assert not list(importlib.metadata.distributions(name="gym_p2p"))
import gym_p2p
assert gym_p2p.__file__.startswith({str(source)!r}), gym_p2p.__file__
from gym_p2p.cli import main
sys.exit(main(["demo", "--frames", "20", "--json"]))
"""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["aggregate"]["fullySynced"] is True
