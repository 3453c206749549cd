"""Text that somebody else has written, as it may stand in a terminal, a log or an error."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

__all__ = ["MAX_SHOWN", "printable", "screened"]

MAX_SHOWN = 300

MAX_SCREENED = 4096
"""More than a token or an address has."""


def printable(text: str, most: int = MAX_SHOWN) -> str:
    r"""Return a text in which every character that is not printable is escaped, cut to so many characters.

    Escape sequences of terminals, line breaks, marks that turn the direction of writing, and lone surrogates
    are not printable; letters of any script are.

    >>> printable("Zoë\x1b[2J\n")
    'Zoë\\x1b[2J\\n'
    >>> printable("a" * 100, 10)
    'aaaaaaa...'
    """
    cut = text[:most]  # escaping makes it longer, and whoever wrote it chose how long it is
    shown = cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
    return shown if len(shown) <= most and len(text) <= most else f"{shown[: most - 3]}..."


def screened(data: Any, *, apart_from: Container[str] = ()) -> Any:
    """Return what somebody else has said with every text in it printable, and cut, its keys among them.

    So whatever becomes of one, in a log, an error, or a table, it can do no harm there.

    Args:
        data: plain data, within bounds (:mod:`gym_p2p.core.wire.bounded_json`).
        apart_from: the keys of the outermost mapping whose values stay as they are: what is for programs, and
            has lines.
    """
    if isinstance(data, str):
        return printable(data, MAX_SCREENED)
    if isinstance(data, dict):
        return {
            printable(key, MAX_SCREENED): item if key in apart_from else screened(item)
            for key, item in data.items()
        }
    return [screened(item) for item in data] if isinstance(data, list) else data
