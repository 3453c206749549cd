"""How many examples a test asks of Hypothesis that needs another number than its profile's."""

from __future__ import annotations

from hypothesis import settings

__all__ = ["examples"]


def examples(number: int) -> int:
    """Return this number, and at every save no more than that profile's."""
    if settings.get_current_profile_name() == "save":
        return min(number, settings.get_profile("save").max_examples)
    return number
