"""What arrives as JSON, read strictly: every field that is missing or of another kind is a ``ProtocolError``.

Knows seats, seeds and plain types. It refuses to know which message a field belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gym_p2p.core.wire.seats import MAX_SEATS, SeatId, is_seat_id
from gym_p2p.errors import ProtocolError

__all__ = [
    "read_flag",
    "read_list",
    "read_number",
    "read_object",
    "read_optional_number",
    "read_optional_text",
    "read_seat",
    "read_seats",
    "read_seed",
    "read_text",
]

_UINT32 = 2**32


def read_object(data: object, what: str) -> Mapping[str, Any]:
    """Return an object."""
    if not isinstance(data, Mapping):
        raise ProtocolError(f"malformed {what}")
    return data


def read_list(fields: Mapping[str, Any], name: str) -> list[Any]:
    """Return a field's list."""
    value = fields.get(name)
    if not isinstance(value, list):
        raise ProtocolError(f"malformed {name}")
    return value


def read_text(fields: Mapping[str, Any], name: str) -> str:
    """Return a field's text, which is not empty."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ProtocolError(f"malformed {name}")
    return value


def read_optional_text(fields: Mapping[str, Any], name: str) -> str | None:
    """Return a field's text, ``None`` where it is null or missing."""
    return None if fields.get(name) is None else read_text(fields, name)


def read_flag(fields: Mapping[str, Any], name: str) -> bool:
    """Return a field's boolean."""
    value = fields.get(name)
    if not isinstance(value, bool):
        raise ProtocolError(f"malformed {name}")
    return value


def read_seed(fields: Mapping[str, Any], name: str) -> int:
    """Return a field's unsigned 32-bit number."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _UINT32:
        raise ProtocolError(f"malformed {name}")
    return value


def read_seat(fields: Mapping[str, Any], name: str) -> SeatId:
    """Return a field's seat."""
    value = fields.get(name)
    if not isinstance(value, int | str) or not is_seat_id(value):
        raise ProtocolError(f"malformed {name}")
    return value


def read_seats(fields: Mapping[str, Any], name: str) -> tuple[SeatId, ...]:
    """Return a field's list of seats."""
    value = fields.get(name)
    if not isinstance(value, list) or len(value) > MAX_SEATS or not all(map(is_seat_id, value)):
        raise ProtocolError(f"malformed {name}")
    return tuple(value)


def read_number(fields: Mapping[str, Any], name: str) -> float:
    """Return a field's number, 0 or above."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ProtocolError(f"malformed {name}")
    return value


def read_optional_number(fields: Mapping[str, Any], name: str) -> float | None:
    """Return a field's number, 0 or above; ``None`` where it is null or missing."""
    return None if fields.get(name) is None else read_number(fields, name)
