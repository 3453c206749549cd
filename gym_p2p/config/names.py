"""Functions and classes by name, as people write them: ``module:function``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from gym_p2p.errors import ConfigurationError

__all__ = ["load_callable", "load_named", "name_of"]


def load_named(option: str, name: str) -> Callable[..., Any]:
    """Return what is called ``module:function`` (or ``module:Class``, ``module:Class.method``).

    Args:
        option: what the name was given for, for the error's text.
        name: the name.

    Raises:
        ConfigurationError: it names nothing that can be called.
    """
    module, colon, path = name.partition(":")
    if not (module and colon and path) or module.startswith("."):
        raise ConfigurationError(option, f"wanted 'module:function', got {name!r}")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(option, f"cannot import {name!r}: {error}") from None
    if not callable(found):
        raise ConfigurationError(option, f"{name!r} cannot be called")
    return found  # type: ignore[no-any-return]  # whatever a module holds can be anything


def load_callable(option: str, configured: Any) -> Any:
    """Return what can be called: ``configured`` itself, or what ``"module:function"`` names.

    Raises:
        ConfigurationError: it is neither, or cannot be imported.
    """
    found = load_named(option, configured) if isinstance(configured, str) else configured
    if not callable(found):
        raise ConfigurationError(option, f"wanted a callable or 'module:function', got {configured!r}")
    return found


def name_of(function: Any) -> str:
    """Return the name by which documents call a function."""
    module, name = getattr(function, "__module__", "?"), getattr(function, "__qualname__", repr(function))
    return f"{module}:{name}"
