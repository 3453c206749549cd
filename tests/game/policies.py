"""Policies and makers for the tests of loading by name."""

from __future__ import annotations

from typing import Any

from tests.game.environments import LastOneStanding

__all__ = ["always_two", "arena", "lazy_import"]


def always_two(observation: Any, frame: int) -> int:
    del observation, frame
    return 2


def arena(limit: int = 5) -> LastOneStanding:
    return LastOneStanding(limit=limit)


def lazy_import() -> None:
    import no_such_dependency  # type: ignore[import-not-found]  # noqa: F401, PLC0415 it is what is tested
