"""What a test tries at every save, and what it tries besides."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings

__all__ = ["examples", "rarely"]


def examples(number: int) -> int:
    """Return how many examples to ask of Hypothesis: so many, and at every save no more than usual then."""
    if settings.get_current_profile_name() == "save":
        return min(number, settings.get_profile("save").max_examples)
    return number


def rarely(*values: Any) -> list[Any]:
    """Return these for ``parametrize``, marked slow: at every save one of their kind is enough."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]
