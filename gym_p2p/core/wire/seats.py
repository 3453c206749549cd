"""A seat of an environment: the one type of its id, and its limits. It knows no environment and no wire."""

from __future__ import annotations

__all__ = ["MAX_ID_CHARS", "MAX_SEATS", "SeatId", "is_seat_id"]

SeatId = int | str
"""A seat as its environment names it. ``1`` and ``"1"`` are different seats; a bool is none."""

MAX_ID_CHARS = 128
MAX_SEATS = 64
_MAX_SAFE_INTEGER = 2**53 - 1
"""Beyond it a browser (ECMAScript ``Number.MAX_SAFE_INTEGER``) would read another number."""


def is_seat_id(value: object) -> bool:
    """Tell whether this can be a seat's id: a safe whole number, or 1 to 128 printable characters."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return abs(value) <= _MAX_SAFE_INTEGER
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable()
