"""Policies from files, where the files, or what reads them, are not there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from gymnasium import spaces

from gym_p2p.errors import UsageError
from gym_p2p.game.env.seats import make_game
from gym_p2p.policies.load import load_policy
from tests.game.environments import Echo


def load(name: str) -> None:
    load_policy(name, make_game(Echo(spaces.Tuple([spaces.Discrete(3)] * 2))), 0)


@pytest.mark.parametrize("kind", ["sb3", "onnx", "sb3:PPO"])
def test_a_file_that_cannot_be_read_is_named_with_why(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"policy {kind}:none.zip: cannot read .*none.zip: No such file"):
        load(f"{kind}:{tmp_path / 'none.zip'}")
    with pytest.raises(UsageError, match=r"cannot read .*: Is a directory"):
        load(f"{kind}:{tmp_path}")
    (tmp_path / "empty.zip").touch()
    with pytest.raises(UsageError, match=r"empty.zip is empty"):
        load(f"{kind}:{tmp_path / 'empty.zip'}")


@pytest.mark.parametrize(
    ("name", "module", "line"),
    [
        ("sb3:PPO", "stable_baselines3", r"pip install 'gym_p2p\[sb3\]'"),
        ("sb3:RecurrentPPO", "sb3_contrib", "pip install sb3.contrib"),
        ("onnx", "onnxruntime", r"pip install 'gym_p2p\[onnx\]'"),
    ],
)
def test_without_the_package_that_reads_it_the_line_that_installs_that_is_said(
    name: str, module: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, module, None)  # as importing finds one that is not there
    with pytest.raises(UsageError, match=f"policy {name}:model.bin needs the package '{module}': {line}"):
        load(f"{name}:{path}")
