"""Tables of keys in files: JSON, or TOML where the name ends so. Refuses to know what a table says."""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gym_p2p.errors import ConfigurationError

__all__ = ["FORM", "read_keys", "told_of"]

FORM = 'wanted {"ArrowLeft": 1, …}, or a list with a table for every part of the action'
"""What a table looks like, for whoever gave another thing."""

_MOST_BYTES = 1 << 20


@contextlib.contextmanager
def told_of(place: object) -> Iterator[None]:
    """Let what is said of a table within the block begin with where it stands."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError("keys", f"{place}: {error.problem}") from error


def read_keys(path: str | Path) -> Mapping[Any, Any] | Sequence[Any]:
    """Read a table from a JSON or TOML file: the table itself, or what stands there under ``keys``.

    Raises:
        ConfigurationError: the file cannot be read, or holds no table.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError("keys", f"cannot read {path}: {error.strerror}") from error
    with told_of(path):
        if len(data) > _MOST_BYTES:
            raise ConfigurationError("keys", f"it has more than {_MOST_BYTES >> 20} MiB")
        found = _toml(data) if path.suffix.lower() == ".toml" else _json(data)
        table = _under_keys(found) if isinstance(found, dict) else found
        if not isinstance(table, dict | list):
            raise ConfigurationError("keys", f"it holds no table of keys: {FORM}")
    return table


def _under_keys(found: dict[str, Any]) -> Any:
    """Return what stands under ``keys``; all of it where nothing does.

    Raises:
        ConfigurationError: something else stands beside it, of which nobody would take note.
    """
    if "keys" not in found:
        return found
    if beside := sorted(found.keys() - {"keys"}):
        names = ", ".join(map(repr, beside))
        problem = f"beside 'keys' stands {names}, which would do nothing: put it in there, or take it out"
        raise ConfigurationError("keys", problem)
    return found["keys"]


def _toml(data: bytes) -> Any:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError("keys", f"it is no TOML: {error}") from error


def _json(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_each_once)
    except ConfigurationError:
        raise
    except (ValueError, RecursionError) as error:
        advice = " (TOML wants a name that ends in .toml)"
        raise ConfigurationError("keys", f"it is no JSON: {error}{advice}") from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a table none of whose names stands twice: JSON would take the last one, and say nothing."""
    table: dict[str, Any] = {}
    for name, said in pairs:
        if name in table:
            raise ConfigurationError("keys", f"{name!r} stands twice in one table: keep one of them")
        table[name] = said
    return table
