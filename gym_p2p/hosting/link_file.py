"""The file of links: codes and addresses, for whoever invites people; read again by the next start.

A link that somebody was sent holds though the host was stopped in between.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

from gym_p2p.config.public_ids import public_id_problem
from gym_p2p.errors import ConfigurationError
from gym_p2p.files.problems import disk_problem
from gym_p2p.files.whole import write_bytes
from gym_p2p.hosting.links import Link

__all__ = ["read_links", "write_links"]

_COLUMNS = ("code", "expires", "link")

_LEAST_TOKEN = 20
"""Characters: with 120 bits nobody finds a link by trying."""


def read_links(path: Path) -> list[Link]:
    """Return the links of a file; none where there is no such file.

    Raises:
        ConfigurationError: it cannot be read, or is no file of links.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_link(row) for row in csv.DictReader(file)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        said = disk_problem(error) if isinstance(error, OSError) else str(error)
        raise ConfigurationError("links_file", f"cannot read {path}: {said}") from error


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


def write_links(path: Path, links: Sequence[Link], address: Callable[[Link], str]) -> None:
    """Write them, in a file that only its owner can read.

    Raises:
        ConfigurationError: it cannot be written.
    """
    lines = [",".join(_COLUMNS)]
    for link in links:
        until = ""
        if link.expires_at is not None:
            at = dt.datetime.fromtimestamp(link.expires_at, dt.UTC)
            until = at.isoformat(timespec="seconds")
        lines.append(f"{link.code},{until},{address(link)}")
    try:
        write_bytes(path, [f"{line}\n".encode() for line in lines])
    except OSError as error:
        raise ConfigurationError("links_file", f"cannot write {path}: {disk_problem(error)}") from error
