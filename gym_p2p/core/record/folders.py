"""What the folder of a match is called: the same for all its players, and for the service.

It knows names; it refuses to know the file system.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re

__all__ = ["match_folder", "short_id"]

_MAX_PLACE_CHARS = 40
_SHORT_CHARS = 8
"""Of 32 bits: two matches of a room in the same second are no more likely to have the same one."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_ENDS_AT_RANDOM = re.compile(r"[0-9a-f]{32}$")


def match_folder(match_id: str, *, made_at_ms: int, place: str) -> str:
    """Return the name of a match's folder: one part of a path, whatever the ids are.

    Args:
        match_id: the match.
        made_at_ms: when it was made, in Unix milliseconds, by the service's clock.
        place: the queue or the room that it comes from.

    >>> match_folder("match-" + 24 * "0" + "c0ffee00", made_at_ms=1_800_000_000_000, place="lab:1")
    '2027-01-15T080000Z-lab-1-c0ffee00'
    """
    safe = _UNSAFE.sub("-", place)[:_MAX_PLACE_CHARS]
    return f"{_written(made_at_ms)}-{safe}-{short_id(match_id)}"


def short_id(match_id: str) -> str:
    """Return the eight characters that tell a match from others: its id's own end, or a hash of it.

    >>> short_id("7"), short_id("match-" + 24 * "0" + "c0ffee00")
    ('7902699b', 'c0ffee00')
    """
    if _ENDS_AT_RANDOM.search(match_id):
        return match_id[-_SHORT_CHARS:]
    return hashlib.sha256(match_id.encode("utf-8", "surrogatepass")).hexdigest()[:_SHORT_CHARS]


def _written(at_ms: int) -> str:
    try:
        at = dt.datetime.fromtimestamp(at_ms // 1000, dt.UTC)
    except (ValueError, OverflowError, OSError):  # whoever said so has no calendar
        return "undated"
    return at.strftime("%Y-%m-%dT%H%M%SZ")
