"""Names as people write them: functions as ``module:function``, and what a wrong name may have meant."""

from __future__ import annotations

import difflib
import functools
import pkgutil
import re
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from gym_p2p.errors import ConfigurationError

__all__ = ["compared_name", "did_you_mean", "load_callable", "load_named", "name_of", "without_addresses"]

_ADDRESS = re.compile(r"( at)? 0x[0-9a-fA-F]+")

_FUNCTION = re.compile(r"(<(?:built-in )?function [\w.<>]+) at 0x[0-9a-fA-F]+>")
"""As it is shown within something else."""


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

    def kept(found: re.Match[str]) -> str:
        within = shown.count("<", 0, found.start()) > shown.count(">", 0, found.start())
        return "" if within or found[1] else found[0]  # elsewhere it is a number, or part of a text

    return _ADDRESS.sub(kept, shown)


def compared_name(option: str, function: Any) -> str:
    """Return the name by which players compare a function; of what does something else it is another one.

    A function's is that of :func:`name_of`. An object, and what a ``functools.partial`` holds, are told by
    their ``repr``, with all that stands in it. So is the object of a method, where it has one of its own;
    else the method's name is all that is compared.

    >>> import json
    >>> compared_name("stand_in", functools.partial(json.dumps, indent=2))
    'functools:partial(json:dumps, indent=2)'

    Args:
        option: what the function was given for, for the error's text.
        function: it.

    Raises:
        ConfigurationError: the ``repr`` of one of these objects is the default one, which says nothing of it.
    """
    kind = type(function)
    if isinstance(function, functools.partial):
        held = [_shown(option, argument) for argument in function.args]
        held += [f"{name}={_shown(option, value)}" for name, value in sorted(function.keywords.items())]
        inner = ", ".join([compared_name(option, function.func), *held])
        return f"{kind.__module__}:{kind.__qualname__}({inner})"
    if not hasattr(function, "__qualname__"):
        return f"{kind.__module__}:{_shown(option, function)}"
    owner: Any = getattr(function, "__self__", None)
    if owner is None or isinstance(owner, type | ModuleType) or _says_nothing(owner):
        return name_of(function)
    return f"{name_of(function)} of {_shown(option, owner)}"


def _shown(option: str, value: Any) -> str:
    """Return what an object says of itself; of functions their names.

    Raises:
        ConfigurationError: it says nothing.
    """
    if isinstance(value, functools.partial) or hasattr(value, "__qualname__"):
        return compared_name(option, value)
    if _says_nothing(value):
        kind = type(value)
        silent = f"players compare it, and a {kind.__module__}:{kind.__qualname__} does not say what it does"
        advice = "give it a __repr__ that does, or pass the name of a function, 'module:function'"
        raise ConfigurationError(option, f"{silent}: {advice}")
    return _FUNCTION.sub(r"\1>", repr(value))


def _says_nothing(value: Any) -> bool:
    """Whether an object's ``repr`` is the default one."""
    kind: Any = type(value)
    return kind.__repr__ is object.__repr__
