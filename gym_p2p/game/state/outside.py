"""State that an environment keeps outside of its objects: globals of its modules, attributes of its classes.

It is found by reading the code that the environment runs: the methods of its classes and of the objects that
it holds, and the functions and classes which these name in turn. What this code rebinds, and what it names
and is seen to change while it is tried, is state; what it does not name (a list of results in the user's own
script) is none of ours.

It cannot see what is reached by a name made at run time (``globals()[name]``, ``setattr(cls, name, ...)``),
what a library keeps for itself, how far an iterator has come, tables larger than :data:`_MAX_BYTES`, and what
changes for the first time after it has been tried.
"""

from __future__ import annotations

import builtins
import dis
import enum
import functools
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gym_p2p.game.drawing import module_of
from gym_p2p.game.state import graph
from gym_p2p.game.state.fields import fields_checksum, fields_of
from gym_p2p.game.state.handles import LEAVES, is_handle, is_leaf_type
from gym_p2p.game.state.kinds import ATTRIBUTE_PUTS, VISITS, Entry, Unreachable

__all__ = ["Namespace", "Outside"]

_MAX_BYTES = 1 << 20
_MAX_OBJECTS = 1000
"""Of one global. More is a table: to copy it at every frame would be dear, and it hardly holds state."""

_MAX_CODE = 5000
"""Functions that are read; a walk that runs into a framework ends here."""

_LIBRARIES = frozenset({"gymnasium", "pettingzoo", "numpy", "gym_p2p", "pygame"})
"""Their own globals are no environment's, except where the environment is one of theirs."""

_REBINDABLE = (type(None), bool, int, float, complex, str, bytes, tuple, frozenset, np.generic, enum.Enum)


class Namespace:
    """Some names of a module or a class, taken as the attributes of one object.

    Attributes:
        where: the module's name, with the class's if it is one.
        owner: the module's dict, or the class.
        names: those that are state.
    """

    __slots__ = ("names", "owner", "where")

    def __init__(self, where: str, owner: Any, names: tuple[str, ...]) -> None:
        self.where = where
        self.owner = owner
        self.names = names


def _visit_namespace(found: Namespace, entries: list[Entry], stack: list[Any]) -> None:
    own = vars(found.owner) if isinstance(found.owner, type) else found.owner
    content = {name: own[name] for name in found.names if name in own}
    entries.append((_put_namespace, found, content))
    stack += [value for value in content.values() if type(value) not in LEAVES]


def _put_namespace(found: Namespace, content: dict[str, Any]) -> None:
    if not isinstance(found.owner, type):
        found.owner.update(content)
        return
    for name, value in content.items():
        if vars(found.owner).get(name) is not value:
            setattr(found.owner, name, value)


VISITS[Namespace] = _visit_namespace
ATTRIBUTE_PUTS.add(_put_namespace)


class Outside:
    """What one environment keeps outside of its objects; grows by what is seen to change.

    Args:
        layers: the environment and its wrappers.
        entries: what hangs on them, as recorded.
    """

    def __init__(self, layers: Iterable[Any], entries: Iterable[Entry]) -> None:
        self._found = _namespaces_of(layers, entries)
        self.roots = [space for space, _ in self._found if space.names]

    @property
    def all(self) -> list[Namespace]:
        """Everything that may be state, whether it has been seen to change or not."""
        return [
            Namespace(s.where, s.owner, tuple(sorted(s.names + may_change))) for s, may_change in self._found
        ]

    def marks(self) -> dict[tuple[int, str], str | None]:
        """Return digests of what may change, as it is now."""
        return {
            (index, name): _digest(_content(space.owner).get(name))
            for index, (space, may_change) in enumerate(self._found)
            for name in may_change
        }

    def keep_moved(self, moments: Sequence[Mapping[tuple[int, str], str | None]]) -> None:
        """Take for state what is not the same in all of these moments, between which only the game ran."""
        for index, (space, may_change) in enumerate(self._found):
            moved = {name for name in may_change if len({marks[index, name] for marks in moments}) > 1}
            if moved:
                space.names = tuple(sorted([*space.names, *moved]))
                self._found[index] = space, tuple(name for name in may_change if name not in moved)
        self.roots = [space for space, _ in self._found if space.names]


def _digest(value: Any) -> str | None:
    try:
        return fields_checksum(fields_of({"value": value}, graph.record([value])))
    except Unreachable:
        return None


def _namespaces_of(
    layers: Iterable[Any], entries: Iterable[Entry]
) -> list[tuple[Namespace, tuple[str, ...]]]:
    """Return namespaces with what is rebound in them, and beside each the names of what else may change."""
    found: list[tuple[Namespace, tuple[str, ...]]] = []
    for where, owner, names in _Reading(layers, entries).run():
        content = _content(owner)
        kept = sorted(name for name in names if _is_kept(content[name]))
        rebound = tuple(name for name in kept if isinstance(content[name], _REBINDABLE))
        may_change = tuple(name for name in kept if not isinstance(content[name], _REBINDABLE))
        if kept:
            found.append((Namespace(where, owner, rebound), may_change))
    return sorted(found, key=lambda pair: pair[0].where)


def _is_kept(value: Any) -> bool:
    try:
        entries = graph.record([value])
    except Unreachable:  # of another language, most often a library's; or an iterator, most often of names
        return False
    size = sum(found.nbytes for _, found, _ in entries if isinstance(found, np.ndarray))
    return len(entries) <= _MAX_OBJECTS and size <= _MAX_BYTES


def _content(owner: Any) -> Any:
    return vars(owner) if isinstance(owner, type) else owner


class _Reading:
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
        loaded, stored, attributes, stored_attributes = _names_in(function.__code__)
        self._stored |= stored_attributes
        self._note(str(module), own, {name for name in stored if name in own})
        self._note_loaded(str(module), own, loaded, attributes, stored_attributes)

    def _note_function(self, where: str, function: types.FunctionType) -> None:
        """Note a function's own attributes, and the defaults of its arguments that can be changed."""
        own = function.__dict__
        changing = {n for n, value in own.items() if _is_rebindable(n, value) or _can_change(value)}
        self._note(where, own, {name for name in changing if not name.startswith("__")})
        defaults = dict(enumerate(function.__defaults__ or ())) | (function.__kwdefaults__ or {})
        table = {f"default {key}": value for key, value in defaults.items() if _can_change(value)}
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
                    rebound = {n for n in stored & inner.keys() if _is_rebindable(n, inner[n])}
                    self._note(value.__name__, inner, rebound)
                    self._note_loaded(value.__name__, inner, attributes & inner.keys())
            elif isinstance(value, type | types.FunctionType):
                self._stack.append(value)
            elif name in own and _can_change(value):
                self._note(module, own, {name})

    def _note(self, module: str, own: dict[str, Any], names: set[str]) -> None:
        if names:
            self._globals.setdefault(id(own), (module, own, set()))[2].update(names)

    def _is_state_of_class(self, name: str, value: Any) -> bool:
        if name.startswith("__") or hasattr(type(value), "__get__"):
            return False
        return _can_change(value) or (name in self._stored and _is_rebindable(name, value))


def _is_rebindable(name: str, value: Any) -> bool:
    return not name.startswith("__") and isinstance(value, _REBINDABLE)


def _can_change(value: Any) -> bool:
    if isinstance(value, type | types.FunctionType | types.ModuleType | enum.Enum):
        return False
    if module_of(type(value)) == "typing":
        return False
    if isinstance(value, tuple | frozenset):
        return any(map(_can_change, value))
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
