"""The table of limits in ``docs/security.md``, held against the code that it names."""

from __future__ import annotations

import importlib
import re
from functools import reduce
from pathlib import Path
from typing import Any

import attrs
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "security.md").read_text()
ROOT = Path(__file__).parents[1] / "gym_p2p"
_CODE = re.compile(r"`([^`]+)`")


def rows() -> list[tuple[str, str, str]]:
    table = PAGE.partition("## Limits")[2].partition("\n## ")[0]
    cells = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")]
    return [(what.strip(), limit.strip(), where.strip()) for what, limit, where in cells[1:]]


def named(where: str) -> list[tuple[str, str | None]]:
    """Return the files that a cell names, each with the constants that follow; ``None`` where none does."""
    found: list[tuple[str, str | None]] = []
    for word in _CODE.findall(where):
        if "/" in word:
            found.append((word, None))
        else:
            found.append((found[-1][0], word))
    with_names = {path for path, name in found if name is not None}
    return [(path, name) for path, name in found if name is not None or path not in with_names]


def value_of(path: str, name: str) -> Any:
    """Return a constant of a module, an attribute of one, or the default of a field of a configuration."""
    module = importlib.import_module(f"gym_p2p.{path.removesuffix('.py').replace('/', '.')}")
    first, *rest = name.split(".")
    owner = getattr(module, first)
    if isinstance(owner, type):
        return attrs.fields_dict(owner)[rest[0]].default
    return reduce(getattr, rest, owner)


def forms(value: float) -> set[str]:
    """Return how people write a number."""
    written = {f"{value:,.10g}", f"{value:,.0f}"} if value == round(value) else {f"{value:g}"}
    for power, unit in ((10, "KiB"), (20, "MiB"), (30, "GiB")):
        if value >= 2**power and value % 2**power == 0:
            written.add(f"{value / 2**power:g} {unit}")
    return written


CONSTANTS = [
    (what, limit, path, name)
    for what, limit, where in rows()
    for path, name in named(where)
    if name is not None
]


@pytest.mark.parametrize(("what", "limit", "path", "name"), CONSTANTS, ids=[c[3] for c in CONSTANTS])
def test_a_limit_is_what_the_code_says(what: str, limit: str, path: str, name: str) -> None:
    value = value_of(path, name)
    wanted = forms(value)
    assert any(
        re.search(rf"(?<![\d.,]){re.escape(form)}(?![\d]|,\d)", f"{what} {limit}") for form in wanted
    ), f"{path}: {name} is {value}, and the page says of {what!r}: {limit}"


def test_every_place_is_there_and_the_table_names_most_limits() -> None:
    for _, _, where in rows():
        for path, _ in named(where):
            assert (ROOT / path).exists(), path
    assert len(CONSTANTS) >= 40


def test_every_limit_has_one_row() -> None:
    limits = [what for what, _, _ in rows()]
    assert len(limits) == len(set(limits))


def test_the_table_of_the_test_is_not_blind() -> None:
    assert forms(65_536) >= {"65,536", "64 KiB"}
    assert forms(10.0) == {"10"}
    assert "64 MiB" in forms(2**26)
