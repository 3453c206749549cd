"""Who of two players offers: the browsers' rule, and ours for when both have.

Knows ids and how JavaScript compares them. Refuses to know what an offer is.
"""

from __future__ import annotations

import re
import string

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError

__all__ = ["SeatId", "initiates", "keeps"]


_DECIMAL = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_RADIX = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")

_COLLATION = "\t\n\v\f\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$" + string.digits + string.ascii_lowercase
"""ASCII in the order of Unicode's root collation (CLDR), which browsers' ``localeCompare`` follows."""

_RANK = {character: rank for rank, character in enumerate(_COLLATION)}


def initiates(local: SeatId, remote: SeatId) -> bool | None:
    """Return whether ``local`` offers by the browsers' rule; ``None`` when the two ids tie.

    Both numeric to JavaScript's ``Number()``: the smaller one. Else the first in ``localeCompare`` order:
    punctuation, digits, letters without regard to case, then lower case first. Exact for ASCII; characters
    beyond it come after it by code point, which real locales may see otherwise.
    """
    numbers = _js_number(local), _js_number(remote)
    if numbers[0] is not None and numbers[1] is not None:
        return None if numbers[0] == numbers[1] else numbers[0] < numbers[1]
    keys = _collation_key(str(local)), _collation_key(str(remote))
    return None if keys[0] == keys[1] else keys[0] < keys[1]


def _js_number(value: SeatId) -> float | None:
    """Return ``Number(value)`` as JavaScript has it, ``None`` for NaN."""
    text = str(value).strip()
    if not text:
        return 0.0
    try:
        if _RADIX.fullmatch(text):
            return float(int(text, 0))
        return float(text) if _DECIMAL.fullmatch(text) else None
    except OverflowError:
        return float("inf")


def _collation_key(text: str) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    primary = tuple(_RANK.get(c.lower(), len(_RANK) + ord(c.lower()[0])) for c in text)
    return primary, tuple(c.isupper() for c in text)


def keeps(local: SeatId, remote: SeatId) -> bool:
    """Return whether ``local``'s offer stands when both have offered: of two ids, exactly one's does."""
    rule = initiates(local, remote)
    if rule is not None:
        return rule
    ours, theirs = (str(local), isinstance(local, str)), (str(remote), isinstance(remote, str))
    if ours == theirs:
        raise ConfigurationError("remote_id", f"wanted another player than {local!r} itself")
    return ours < theirs
