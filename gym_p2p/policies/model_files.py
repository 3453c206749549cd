"""What the loaders of models from files have in common: the file, and what of an observation is seen."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from gymnasium import Space, spaces

from gym_p2p.config.extras import how_to_install, install_extra
from gym_p2p.errors import UsageError

__all__ = ["file_digest", "import_library", "inner_observation", "inner_space", "require_file"]

_EXTRAS = {"stable_baselines3": "sb3", "onnxruntime": "onnx"}
"""Which extra brings what, also where this package runs without being installed."""


def require_file(path: Path, *, name: str) -> None:
    """Pass where there is a file that can be read, and is not empty.

    Args:
        path: the file.
        name: of the policy, for the error's text.

    Raises:
        UsageError: there is none.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(1)
    except OSError as error:
        raise UsageError(f"policy {name}: cannot read {path}: {error.strerror or error}") from error
    if not begin:
        raise UsageError(f"policy {name}: {path} is empty")


def import_library(module: str, *, name: str) -> ModuleType:
    """Return the module that reads a policy's file.

    Raises:
        UsageError: it is not installed, or something is not that it needs, with the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        line = install_extra(_EXTRAS[missing]) if missing in _EXTRAS else how_to_install(missing)
        raise UsageError(f"policy {name} needs the package {missing!r}: {line}") from error


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inner_space(space: Space[Any]) -> Space[Any]:
    """Return what of an observation is there beside a mask, where PettingZoo's games put one.

    >>> masked = {"observation": spaces.Discrete(4), "action_mask": spaces.MultiBinary(2)}
    >>> inner_space(spaces.Dict(masked)), inner_space(spaces.Discrete(3))
    (Discrete(4), Discrete(3))
    """
    if isinstance(space, spaces.Dict) and space.spaces.keys() == {"observation", "action_mask"}:
        return space.spaces["observation"]
    return space


def inner_observation(observation: Any) -> Any:
    """Return the same of an observation."""
    return observation["observation"] if isinstance(observation, Mapping) else observation
