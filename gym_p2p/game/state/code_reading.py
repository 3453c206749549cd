"""Where the code that an environment runs may keep state: found by reading it.

One walk from its classes and from the objects that it holds to their functions, and on to what these name.
Knows modules, classes, functions and what their code loads and stores; refuses to know what of it changes.
"""

from __future__ import annotations

import builtins
import dis
import enum
import functools
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from gym_p2p.game.drawing import module_of
from gym_p2p.game.state.handles import is_handle, is_leaf_type
from gym_p2p.game.state.kinds import ATTRIBUTE_PUTS, Entry

__all__ = ["REBINDABLE", "CodeReading", "can_change"]

_MAX_CODE = 5000
"""Functions that are read; a walk that runs into a framework ends here."""

_LIBRARIES = frozenset({"gymnasium", "pettingzoo", "numpy", "gym_p2p", "pygame"})
"""Their own globals are no environment's, except where the environment is one of theirs."""

REBINDABLE = (type(None), bool, int, float, complex, str, bytes, tuple, frozenset, np.generic, enum.Enum)
"""What cannot change, so that its name is given another value."""


class CodeReading:
    """One walk over code: from classes to their functions, and on to what these name."""

    def __init__(self, layers: Iterable[Any], entries: Iterable[Entry]) -> None:
        layers = list(layers)
        base = module_of(type(layers[-1]))
        self._home = base.rpartition(".")[0] or base
        kinds = {type(layer) for layer in layers}
        self._stack: list[Any] = []
        self._of_instances: dict[type, set[str]] = {}
        for put, found, content in entries:
            kinds.add(type(found))
            if put in ATTRIBUTE_PUTS:
                self._of_instances.setdefault(type(found), set()).update(content)
            if isinstance(content, dict):
                self._stack += [value for value in content.values() if isinstance(value, types.FunctionType)]
        self._packages = {module_of(kind).partition(".")[0] for kind in kinds} - _LIBRARIES
        self._stack += kinds
        self._seen: set[int] = set()
        self._globals: dict[int, tuple[str, dict[str, Any], set[str]]] = {}
        self._classes: list[type] = []
        self._stored: set[str] = set()

    def run(self) -> Iterator[tuple[str, Any, set[str]]]:
        """Yield where there is state, and by which names."""
        while self._stack and len(self._seen) < _MAX_CODE:
            found = self._stack.pop()
            if id(found) in self._seen:
                continue
            self._seen.add(id(found))
            if isinstance(found, type):
                self._read_class(found)
            elif isinstance(found, types.FunctionType):
                self._read_function(found)
        yield from self._globals.values()
        for kind in self._classes:
            own = [names for below, names in self._of_instances.items() if issubclass(below, kind)]
            defaults = set().union(*own)
            items = vars(kind).items()
            names = {name for name, value in items if self._is_state_of_class(name, value)} - defaults
            yield f"{module_of(kind)}.{kind.__qualname__}", kind, names

    def _is_own(self, module: Any) -> bool:
        """Whether a module is the environment's: by its package, or because it is not installed."""
        if not isinstance(module, str) or module not in sys.modules or module == builtins.__name__:
            return False
        package = module.partition(".")[0]
        if module.startswith(self._home) or package in self._packages:
            return package not in sys.stdlib_module_names or package == "__main__"
        if package in _LIBRARIES or package in sys.stdlib_module_names:
            return False
        path = getattr(sys.modules.get(module), "__file__", None) or ""
        return "site-packages" not in path and "dist-packages" not in path

    def _read_class(self, kind: type) -> None:
        for base in kind.__mro__:
            if not self._is_own(module_of(base)) or base in self._classes or issubclass(base, enum.Enum):
                continue
            self._classes.append(base)
            self._stack += [function for value in vars(base).values() for function in _functions_of(value)]

    def _read_function(self, function: types.FunctionType) -> None:
        own = function.__globals__
        module = own.get("__name__")
        if not self._is_own(module):
            return
        self._stack += _functions_of(getattr(function, "__wrapped__", None))
        self._note_function(f"{module}.{function.__qualname__}", function)
        self._globals.setdefault(id(own), (str(module), own, set()))
        loaded, stored, attributes, stored_attributes = _names_in(function.__code__)
        self._stored |= stored_attributes
        self._note(str(module), own, {name for name in stored if name in own})
        self._note_loaded(str(module), own, loaded, attributes, stored_attributes)

    def _note_function(self, where: str, function: types.FunctionType) -> None:
        """Note a function's own attributes, and the defaults of its arguments that can be changed."""
        own = function.__dict__
        changing = {n for n, value in own.items() if _is_rebindable(n, value) or can_change(value)}
        self._note(where, own, {name for name in changing if not name.startswith("__")})
        defaults = dict(enumerate(function.__defaults__ or ())) | (function.__kwdefaults__ or {})
        table = {f"default {key}": value for key, value in defaults.items() if can_change(value)}
        self._note(where, table, set(table))

    def _note_loaded(
        self,
        module: str,
        own: dict[str, Any],
        names: Iterable[str],
        attributes: frozenset[str] = frozenset(),
        stored: frozenset[str] = frozenset(),
    ) -> None:
        """Go on with what is named: code, or something that can be changed."""
        for name in names:
            value = own.get(name)
            if isinstance(value, types.ModuleType):
                inner = vars(value)
                if self._is_own(value.__name__) and inner is not own:
                    self._globals.setdefault(id(inner), (value.__name__, inner, set()))
                    rebound = {n for n in stored & inner.keys() if _is_rebindable(n, inner[n])}
                    self._note(value.__name__, inner, rebound)
                    self._note_loaded(value.__name__, inner, attributes & inner.keys())
            elif isinstance(value, type | types.FunctionType):
                self._stack.append(value)
            elif name in own and can_change(value):
                self._note(module, own, {name})

    def _note(self, module: str, own: dict[str, Any], names: set[str]) -> None:
        if names:
            self._globals.setdefault(id(own), (module, own, set()))[2].update(names)

    def _is_state_of_class(self, name: str, value: Any) -> bool:
        if name.startswith("__") or hasattr(type(value), "__get__"):
            return False
        return can_change(value) or (name in self._stored and _is_rebindable(name, value))


def _is_rebindable(name: str, value: Any) -> bool:
    return not name.startswith("__") and isinstance(value, REBINDABLE)


def can_change(value: Any) -> bool:
    """Whether something has an inside that may be another one later."""
    if isinstance(value, type | types.FunctionType | types.ModuleType | enum.Enum):
        return False
    if module_of(type(value)) == "typing":
        return False
    if isinstance(value, tuple | frozenset):
        return any(map(can_change, value))
    return not (is_leaf_type(type(value)) or is_handle(value))


def _functions_of(value: Any) -> list[Any]:
    """Return the functions that something in a class's body runs."""
    if isinstance(value, property):
        return [part for part in (value.fget, value.fset, value.fdel) if part is not None]
    if isinstance(value, staticmethod | classmethod):
        return [value.__func__]
    if isinstance(value, functools.cached_property | functools.partial):
        return [value.func]
    return [value] if isinstance(value, types.FunctionType | type) else []


_Names = tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]


@functools.lru_cache(maxsize=4096)
def _names_in(code: types.CodeType) -> _Names:
    """Return the globals that code loads and stores, then its attributes; with the functions in it."""
    found: tuple[set[str], ...] = (set(), set(), set(), set())
    loaded, stored, attributes, stored_attributes = found
    for instruction in dis.get_instructions(code):
        name = instruction.argval
        match instruction.opname:
            case "LOAD_GLOBAL" | "LOAD_NAME":
                loaded.add(name)
            case "STORE_GLOBAL" | "DELETE_GLOBAL":
                stored.add(name)
            case "STORE_ATTR" | "DELETE_ATTR":
                stored_attributes.add(name)
            case "LOAD_ATTR" | "LOAD_METHOD":
                attributes.add(name)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            for names, more in zip(found, _names_in(inner), strict=True):
                names.update(more)
    return frozenset(loaded), frozenset(stored), frozenset(attributes), frozenset(stored_attributes)
