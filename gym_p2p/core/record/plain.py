"""Values of any library as JSON's. It knows numbers and arrays; it refuses to know who made them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

__all__ = ["plain"]

_MOST_BITS = 14_000
"""Of a whole number that Python, and with it most who read JSON, writes in decimal: below 4,300 digits."""


def plain(value: Any) -> Any:
    """Return a copy that is JSON-ready.

    Numbers and arrays of other libraries become JSON's, a number that is not finite ``None``, and what
    JSON has no notion of its text. In a text, what UTF-8 has no form for (a lone surrogate) is escaped.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return {_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, numbers.Real):
        return _number(value)
    to_list = getattr(value, "tolist", None)
    return plain(to_list()) if callable(to_list) else _text(value)


def _text(value: Any) -> str:
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _number(value: numbers.Real) -> int | float | str | None:
    if isinstance(value, numbers.Integral):
        whole = int(value)
        return whole if whole.bit_length() <= _MOST_BITS else hex(whole)
    number = float(value)
    return number if math.isfinite(number) else None
