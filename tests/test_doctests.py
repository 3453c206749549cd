"""Every example in a docstring of the package is true."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import gym_p2p

ROOT = Path(gym_p2p.__file__).parent


def _modules_with_examples() -> list[str]:
    found = [path for path in ROOT.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8")]
    return sorted(".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in found)


@pytest.mark.parametrize("name", _modules_with_examples())
def test_the_examples_of_a_module_are_true(name: str) -> None:
    module = importlib.import_module(name.removesuffix(".__init__"))
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted
    assert not results.failed


def test_there_are_examples() -> None:
    assert {"gym_p2p.config.names", "gym_p2p.config.options"} <= set(_modules_with_examples())
