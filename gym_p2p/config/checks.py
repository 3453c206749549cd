"""Validators of options: what is wrong is said with the option's name, what was wanted and what came."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs

from gym_p2p.errors import ConfigurationError

__all__ = ["either", "in_range", "is_boolean", "is_text", "one_of", "optional", "whole_in_range"]


def in_range(low: float, high: float) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """Return a validator: a finite number within these bounds."""

    def check(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigurationError(attribute.name, f"wanted a number, got {value!r}")
        if not low <= value <= high:
            raise ConfigurationError(attribute.name, f"wanted {low:g} to {high:g}, got {value!r}")

    return check


def whole_in_range(low: int, high: int) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """Return a validator: a whole number within these bounds."""

    def check(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigurationError(attribute.name, f"wanted a whole number, got {value!r}")
        if not low <= value <= high:
            raise ConfigurationError(attribute.name, f"wanted {low} to {high}, got {value!r}")

    return check


def one_of(*allowed: str) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """Return a validator: one of these texts."""

    def check(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value not in allowed:
            raise ConfigurationError(attribute.name, f"wanted one of {', '.join(allowed)}, got {value!r}")

    return check


def optional(
    inner: Callable[[Any, attrs.Attribute[Any], Any], None],
) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """Return a validator: ``None``, or what the other one passes."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None:
            inner(instance, attribute, value)

    return check


def either(
    *checks: Callable[[Any, attrs.Attribute[Any], Any], None],
) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """Pass what one of the checks passes; the first one's complaint is raised."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        problems: list[ConfigurationError] = []
        for one in checks:
            try:
                one(instance, attribute, value)
            except ConfigurationError as problem:
                problems.append(problem)
            else:
                return
        raise problems[0]

    return check


def is_boolean(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Pass True and False."""
    if not isinstance(value, bool):
        raise ConfigurationError(attribute.name, f"wanted true or false, got {value!r}")


def is_text(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Pass a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ConfigurationError(attribute.name, f"wanted a non-empty text, got {value!r}")
