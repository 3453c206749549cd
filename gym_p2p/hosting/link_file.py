"""The links of a host from one start to the next: made, written for whoever invites people, read again.

A link that somebody was sent holds though the host was stopped in between, and is spent though it was. Beside
the file of links stands one of those that are spent, ``NAME.spent.jsonl``: a line for each, which is appended
when its match is over, with what its page was told last.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import logging
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gym_p2p.config.public_ids import public_id_problem
from gym_p2p.errors import ConfigurationError
from gym_p2p.files.lines import append_line, read_lines
from gym_p2p.files.problems import disk_problem
from gym_p2p.files.whole import write_bytes
from gym_p2p.hosting.links import Link

__all__ = [
    "link_for_visitor",
    "new_door",
    "new_links",
    "note_spent",
    "read_links",
    "read_spent",
    "write_links",
]

_log = logging.getLogger(__name__)

_TOKEN_BYTES = 24

_COLUMNS = ("code", "expires", "link")
_ENVIRONMENT = "environment"
"""One column more; files from before it had one are of any."""

_LEAST_TOKEN = 20
"""Characters: with 120 bits nobody finds a link by trying."""


class _Spent(msgspec.Struct, frozen=True):
    """A line of the file of links that are spent."""

    code: str
    state: dict[str, Any]


def new_links(before: Collection[Link], count: int, *, expires_at: float) -> list[Link]:
    """Return as many new links as are missing of so many, each for one person.

    Args:
        before: those that are there.
        count: of all together.
        expires_at: the new ones, in Unix seconds.
    """
    taken = {link.code for link in before}
    codes = (code for number in itertools.count(1) if (code := f"p{number:03}") not in taken)
    return [
        Link(code=code, token=secrets.token_urlsafe(_TOKEN_BYTES), expires_at=expires_at)
        for code in itertools.islice(codes, max(0, count - len(before)))
    ]


def new_door() -> Link:
    """Return a link for everybody."""
    return Link(code="open", token=secrets.token_urlsafe(_TOKEN_BYTES), door=True)


def link_for_visitor() -> Link:
    """Return a link for somebody who comes through a door."""
    return Link(code=f"v-{secrets.token_hex(5)}", token=secrets.token_urlsafe(_TOKEN_BYTES))


def read_links(path: Path, env: str) -> list[Link]:
    """Return the links of a file; none where there is no such file.

    Args:
        path: of the file.
        env: the name of the environment that they are for.

    Raises:
        ConfigurationError: it cannot be read, or is no file of links, or one of another environment.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        links = [_link(row) for row in rows]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        said = disk_problem(error) if isinstance(error, OSError) else str(error)
        raise ConfigurationError("links_file", f"cannot read {path}: {said}") from error
    others = sorted({other for row in rows if (other := row.get(_ENVIRONMENT)) and not _is_same(other, env)})
    if others:
        raise ConfigurationError(
            "links_file", f"the links in {path} are for {', '.join(others)}; name another file or folder"
        )
    return links


def _is_same(one: str, other: str) -> bool:
    """Return whether two names are one environment's; either may lack the package that registers it."""
    if ":" in one and ":" in other:
        return one == other
    return one.rpartition(":")[2] == other.rpartition(":")[2]


def _link(row: dict[str, str | None]) -> Link:
    code, expires, address = (row.get(name) for name in _COLUMNS)
    if code is None or expires is None or address is None:
        raise ValueError(f"wanted the columns {', '.join(_COLUMNS)}")
    problem = public_id_problem(code)
    token = address.rstrip("/").rpartition("/")[2]
    if problem is not None or len(token) < _LEAST_TOKEN:
        raise ValueError(f"{code!r} has no link that this host has made: {problem or address}")
    until = dt.datetime.fromisoformat(expires).timestamp() if expires else None
    return Link(code=code, token=token, expires_at=until)


def write_links(path: Path, links: Sequence[Link], address: Callable[[Link], str], env: str) -> None:
    """Write them, in a file that only its owner can read.

    Args:
        path: of the file.
        links: they.
        address: returns a link's address.
        env: the name of the environment that they are for.

    Raises:
        ConfigurationError: it cannot be written.
    """
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow([*_COLUMNS, _ENVIRONMENT])
    for link in links:
        until = ""
        if link.expires_at is not None:
            at = dt.datetime.fromtimestamp(link.expires_at, dt.UTC)
            until = at.isoformat(timespec="seconds")
        rows.writerow([link.code, until, address(link), env])
    try:
        write_bytes(path, [table.getvalue().encode()])
    except OSError as error:
        raise ConfigurationError("links_file", f"cannot write {path}: {disk_problem(error)}") from error


def read_spent(path: Path) -> dict[str, dict[str, Any]]:
    """Return what the pages of those links were told last that are spent, by their codes.

    Args:
        path: of the file of links.

    Raises:
        ConfigurationError: it is there and cannot be read.
    """
    spent = _spent_file(path)
    try:
        return {line.code: line.state for line in read_lines(spent, _Spent)}
    except NotADirectoryError:
        return {}
    except OSError as error:
        raise ConfigurationError("links_file", f"cannot read {spent}: {disk_problem(error)}") from error


def note_spent(path: Path, code: str, state: Mapping[str, Any]) -> None:
    """Note that a link is spent; where that cannot be written the log says so, and the host goes on.

    Args:
        path: of the file of links.
        code: of the link.
        state: what its page was told last.
    """
    spent = _spent_file(path)
    try:
        append_line(spent, msgspec.json.encode(_Spent(code, dict(state))))
    except OSError as error:
        _log.error("%s: the next start will not know that %s is spent: %s", spent, code, disk_problem(error))


def _spent_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}.spent.jsonl")
