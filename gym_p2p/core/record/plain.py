"""Values of any library as JSON's. It knows numbers and arrays; it refuses to know who made them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Return a copy that is JSON-ready.

    Numbers and arrays of other libraries become JSON's, a number that is not finite ``None``, and what
    JSON has no notion of its text.
    """
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, numbers.Real):
        return _number(value)
    to_list = getattr(value, "tolist", None)
    return plain(to_list()) if callable(to_list) else str(value)


def _number(value: numbers.Real) -> int | float | None:
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if math.isfinite(value) else None
