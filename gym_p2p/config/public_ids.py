"""Names of people, rooms and queues: what may stand in one, and why no more."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import attrs

from gym_p2p.errors import ConfigurationError

__all__ = ["PUBLIC_ID", "is_public_id", "public_id", "public_id_problem"]

PUBLIC_ID = "1 to 128 characters of A-Z a-z 0-9 . _ : @ + - (and not '.' or '..')"
"""What a subject's, a room's or a queue's id is, in words."""

_MAX_CHARS = 128
_PUBLIC_ID = re.compile(rf"[A-Za-z0-9._:@+-]{{1,{_MAX_CHARS}}}")
_MAX_SHOWN = 60


def is_public_id(value: object) -> bool:
    """Return whether this can be a subject's, a room's or a queue's id."""
    return isinstance(value, str) and value not in {".", ".."} and _PUBLIC_ID.fullmatch(value) is not None


def public_id_problem(value: object) -> str | None:
    """Return why this can be no such id, with one that could be where that is easy; ``None`` if it can.

    Letters of other scripts are refused, for in them two names can look the same and be different: ``é`` as
    one character or two, a Cyrillic letter that looks like a Latin one, marks that nobody sees.

    >>> public_id_problem("Zoë")
    "wanted 1 to 128 characters of A-Z a-z 0-9 . _ : @ + - (and not '.' or '..'), and 'ë' in 'Zoë' \
is none of them: names have to look different wherever they are shown; 'Zoe' would do"
    """
    if is_public_id(value):
        return None
    if not isinstance(value, str):
        return f"wanted {PUBLIC_ID}, got {value!r}"
    shown = value if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]}..."
    strange = next((character for character in value if not _PUBLIC_ID.fullmatch(character)), None)
    if strange is None:
        return f"wanted {PUBLIC_ID}, got {shown!r} of {len(value)} characters"
    near = _near(value)
    advice = f"; {near!r} would do" if is_public_id(near) else ""
    return (
        f"wanted {PUBLIC_ID}, and {strange!r} in {shown!r} is none of them: "
        f"names have to look different wherever they are shown{advice}"
    )


def _near(value: str) -> str:
    """Return a name without accents and spaces; what has no plain letters stays as it is."""
    decomposed = unicodedata.normalize("NFKD", value)
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return "-".join(plain.split())


def public_id(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Validate a field: such an id."""
    problem = public_id_problem(value)
    if problem is not None:
        raise ConfigurationError(attribute.name, problem)
