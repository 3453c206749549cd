"""Text that somebody else has written, as it may stand in a terminal, a log or an error."""

from __future__ import annotations

__all__ = ["MAX_SHOWN", "printable"]

MAX_SHOWN = 300


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
