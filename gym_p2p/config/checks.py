"""Checks of options: what is wrong is said with the option's name, what was wanted and what came.

:func:`require_number` and :func:`require_whole` check a function's arguments, :func:`absolute_path` converts
one; the others return, or are, validators of attrs fields that say the same.
"""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Callable
from typing import Any

import attrs

from gym_p2p.config.secret import Secret
from gym_p2p.errors import ConfigurationError

__all__ = [
    "Validator",
    "absolute_path",
    "in_range",
    "is_a",
    "is_boolean",
    "is_function",
    "is_pair_of_functions",
    "is_path",
    "is_path_or_boolean",
    "is_text",
    "one_of",
    "optional",
    "require_no_password",
    "require_number",
    "require_whole",
    "secret_text",
    "whole_in_range",
]

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]
"""``validator(instance, attribute, value)``, as attrs calls it."""


def require_number(option: str, value: Any, low: float, high: float | None = None) -> None:
    """Pass a finite number within these bounds; ``None`` is no upper one.

    Raises:
        ConfigurationError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError(option, f"wanted a number, got {value!r}")
    _require_within(option, value, low, high)


def require_whole(option: str, value: Any, low: int, high: int | None = None) -> None:
    """Pass a whole number within these bounds; ``None`` is no upper one.

    >>> require_whole("frames", 0, 1)
    Traceback (most recent call last):
    gym_p2p.errors.ConfigurationError: frames: wanted at least 1, got 0

    Raises:
        ConfigurationError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(option, f"wanted a whole number, got {value!r}")
    _require_within(option, value, low, high)


def _require_within(option: str, value: float, low: float, high: float | None) -> None:
    if value < low or (high is not None and value > high):
        shown = [str(b) if isinstance(b, int) else f"{b:g}" for b in (low, high) if b is not None]
        wanted = f"at least {shown[0]}" if high is None else " to ".join(shown)
        raise ConfigurationError(option, f"wanted {wanted}, got {value!r}")


def in_range(low: float, high: float) -> Validator:
    """Return a validator: a finite number within these bounds."""
    return lambda _instance, attribute, value: require_number(attribute.name, value, low, high)


def whole_in_range(low: int, high: int, *, also: str | None = None) -> Validator:
    """Return a validator: a whole number within these bounds, or this text."""

    def check(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if also is None or not isinstance(value, str):
            require_whole(attribute.name, value, low, high)
        elif value != also:
            raise ConfigurationError(attribute.name, f"wanted a whole number or {also}, got {value!r}")

    return check


def optional(inner: Validator) -> Validator:
    """Return a validator: ``None``, or what the other one passes."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None:
            inner(instance, attribute, value)

    return check


def _passing(passes: Callable[[Any], bool], wanted: str, *, shown: bool = True) -> Validator:
    """Return a validator: what passes; anything else is refused with what was wanted, and shown."""

    def check(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not passes(value):
            came = f", got {value!r}" if shown else ""
            raise ConfigurationError(attribute.name, f"wanted {wanted}{came}")

    return check


def one_of(*allowed: str) -> Validator:
    """Return a validator: one of these texts."""
    return _passing(lambda value: isinstance(value, str) and value in allowed, f"one of {', '.join(allowed)}")


def is_a(wanted: type[Any]) -> Validator:
    """Return a validator: an object of this class."""
    return _passing(lambda value: isinstance(value, wanted), f"a {wanted.__name__}")


def secret_text(least_chars: int = 0) -> Validator:
    """Return a validator: a :class:`Secret` of so many characters; what came is not shown, even if wrong."""
    wanted = f"at least {least_chars} characters" if least_chars > 1 else "a text"
    return _passing(
        lambda value: isinstance(value, Secret) and len(value.reveal()) >= least_chars, wanted, shown=False
    )


is_function = _passing(lambda value: isinstance(value, str) or callable(value), "a function or its name")


def _is_pair_of_functions(value: Any) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and all(isinstance(v, str) or callable(v) for v in value)
    )


is_pair_of_functions = _passing(_is_pair_of_functions, "a pair of functions or names")


def require_no_password(option: str, url: str) -> None:
    """Pass an address that may stand in logs, specs and documents; another one is not shown.

    Raises:
        ConfigurationError: there is a name or a password in it.
    """
    if "@" in url.split("://", 1)[-1].split("/", 1)[0]:
        raise ConfigurationError(
            option,
            "wanted no name and password in it, for it is logged and exported; a token lets a player in",
        )


def absolute_path(option: str, value: Any) -> Any:
    """Return a path as an absolute one, a text: resolved when it is given, so that a ``chdir`` moves nothing.

    What is no path is left to a validator.

    Raises:
        ConfigurationError: it is relative to a working directory that was deleted.
    """
    if not isinstance(value, str | os.PathLike) or str(value) == "":
        return value
    try:
        return str(pathlib.Path(value).absolute())
    except FileNotFoundError:
        raise ConfigurationError(
            option, f"the working directory was deleted; name an absolute path, not {str(value)!r}"
        ) from None


is_boolean = _passing(lambda value: isinstance(value, bool), "true or false")
is_text = _passing(lambda value: isinstance(value, str) and value != "", "a non-empty text")
is_path_or_boolean = _passing(
    lambda value: isinstance(value, str | os.PathLike | bool) and str(value) != "", "a path, true or false"
)
is_path = _passing(lambda value: isinstance(value, str | os.PathLike) and str(value) != "", "a path")
