"""Names as people write them: functions as ``module:function``, and what a wrong name may have meant."""

from __future__ import annotations

import difflib
import pkgutil
import re
from collections.abc import Callable, Iterable
from typing import Any

from gym_p2p.errors import ConfigurationError

__all__ = ["did_you_mean", "load_callable", "load_named", "name_of", "without_addresses"]

_ADDRESS = re.compile(r"(?: at)? 0x[0-9a-fA-F]+")


def did_you_mean(name: str, known: Iterable[str], *, most: int = 1, list_all: bool = True) -> str:
    """Return the end of a message about an unknown name: the nearest known ones, else all.

    >>> did_you_mean("lockstpe", ["lockstep", "rollback"])
    "; did you mean 'lockstep'?"
    >>> did_you_mean("best", ["rollback", "lockstep"])
    '; known are lockstep, rollback'
    >>> did_you_mean("best", ["rollback", "lockstep"], list_all=False)
    ''

    Args:
        name: the unknown one.
        known: the known ones.
        most: how many are proposed at most.
        list_all: whether all are listed where none is near.
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=most)
    if near:
        return f"; did you mean {' or '.join(map(repr, near))}?"
    return f"; known are {', '.join(sorted(known))}" if list_all else ""


def load_named(option: str, name: str) -> Callable[..., Any]:
    """Return what is called ``module:function`` (or ``module:Class``, ``module:Class.method``).

    >>> load_named("pre_match", "json:JSONDecoder.decode").__qualname__
    'JSONDecoder.decode'

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
        found = pkgutil.resolve_name(name)
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
    """Return the name by which documents call a function; :func:`load_named` takes it back.

    >>> import json
    >>> name_of(json.JSONDecoder.decode)
    'json.decoder:JSONDecoder.decode'

    What has no name of its own, an object that is called, is shown as its ``repr``, without addresses.
    """
    module, name = getattr(function, "__module__", "?"), getattr(function, "__qualname__", None)
    return f"{module}:{without_addresses(repr(function)) if name is None else name}"


def without_addresses(shown: str) -> str:
    """Return what ``repr`` shows without addresses, which are others in every process.

    >>> without_addresses("<my_lab.Greedy object at 0x7f5c3a2b1d90>")
    '<my_lab.Greedy object>'
    """
    return _ADDRESS.sub("", shown)
