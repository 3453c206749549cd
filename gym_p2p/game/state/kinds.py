"""How each kind of object is recorded, and put back in place.

One function for each kind copies what is in an object and names what to look at next; another one writes
the copy back into the same object. Knows plain data, numpy arrays and generators, Python objects with
attributes or slots, closures, and the emulators of ``ale-py`` and ``multi-agent-ale-py``. Refuses what is
written in another language and unknown, such as a Box2D world.
"""

from __future__ import annotations

import array
import collections
import ctypes
import functools
import random
import threading
import types
from collections.abc import Callable, Iterable
from operator import attrgetter, methodcaller
from typing import Any

import gymnasium
import numpy as np

from gym_p2p.game.drawing import module_of
from gym_p2p.game.state.emulators import put_emulator, repeat_probability, save_emulator
from gym_p2p.game.state.handles import LEAVES, OUTSIDE, is_leaf_type, is_left_alone

__all__ = ["ATTRIBUTE_PUTS", "VISITS", "Entry", "Unreachable", "slots_of", "visit_of"]

Put = Callable[[Any, Any], None]

Entry = tuple[Put, Any, Any]
"""How to put back, the object, and a copy of what was in it."""

Visit = Callable[[Any, list[Entry], list[Any]], None]
"""``visit(found, entries, stack)``: append what was in an object, and what else to visit."""

VISITS: dict[type, Visit] = {}
"""How to visit the types met so far."""

ATTRIBUTE_PUTS: set[Put] = set()
"""Those whose content is a dict of attributes."""

_only_leaves = LEAVES.issuperset  # at C's speed, where much of a walk is spent

_FEW = 12
"""Up to about so many items a plain loop is quicker than that, most of all when the caches are cold."""


_FIGURES = frozenset({"Rect", "FRect", "Vector2", "Vector3", "Color"})

_NUMBERS_IN_C = (
    *(ctypes.c_bool, ctypes.c_char, ctypes.c_byte, ctypes.c_ubyte, ctypes.c_short, ctypes.c_ushort),
    *(ctypes.c_int, ctypes.c_uint, ctypes.c_long, ctypes.c_ulong, ctypes.c_longlong, ctypes.c_ulonglong),
    *(ctypes.c_float, ctypes.c_double),
)


class Unreachable(Exception):
    """Something has state that cannot be saved from here.

    Attributes:
        found: the object, part of what was to be recorded; None if there is no single one.
    """

    def __init__(self, problem: str, found: Any = None) -> None:
        super().__init__(problem)
        self.found = found


def slots_of(kind: type) -> tuple[tuple[str, Any], ...]:
    """Return the names and descriptors of a class's slots."""
    return tuple(
        (name, member)
        for base in kind.__mro__
        for name, member in vars(base).items()
        if isinstance(member, types.MemberDescriptorType) and name != "__dict__"
    )


def visit_of(found: Any) -> Visit:
    """Find out how to visit a kind of object that has not been met, and remember it."""
    kind = type(found)
    if is_leaf_type(kind):
        visit: Visit = _visit_nothing
    elif issubclass(kind, gymnasium.Space):
        visit = _visit_space
    elif _is_plain_memory(kind):
        memory = _visit_value(bytes, _put_memory)
        visit = _both(memory, _visit_object) if kind.__dictoffset__ else memory
    elif hasattr(kind, "cloneSystemState") and hasattr(kind, "restoreSystemState"):
        visit = _visit_emulator
    else:
        visit = _visit_by_base(found)
    VISITS[kind] = visit
    return visit


def _visit_by_base(found: Any) -> Visit:
    kind = type(found)
    for base, visit in _BASES:
        if isinstance(found, base):
            extra = kind is not base and (kind.__dictoffset__ != 0 or bool(slots_of(kind)))
            return _both(visit, _visit_attributes(kind)) if extra else visit
    figure = next((base for base in kind.__mro__ if _is_figure(base)), None)
    if figure is not None:
        visit = _visit_value(list, _put_slice)
        return visit if kind is figure else _both(visit, _visit_attributes(kind))
    if _keeps_more_than_attributes(kind):
        name = f"{module_of(kind)}.{kind.__qualname__}"
        raise Unreachable(f"a {name} keeps its state out of Python's reach", found)
    return _visit_attributes(kind)


def _is_figure(kind: type) -> bool:
    """Whether it is one of pygame's sequences of numbers, told without importing pygame."""
    return module_of(kind).partition(".")[0] == "pygame" and kind.__name__ in _FIGURES


def _is_plain_memory(kind: Any) -> bool:
    """Whether it is a number, structure or array of C's without a pointer: its bytes are all of it."""
    if issubclass(kind, ctypes.Array):
        return _is_plain_memory(kind._type_)
    if issubclass(kind, ctypes.Structure | ctypes.Union):
        own = [base for base in kind.__mro__ if base not in {ctypes.Structure, ctypes.Union}]
        return all(_is_plain_memory(field[1]) for base in own for field in vars(base).get("_fields_", ()))
    return issubclass(kind, _NUMBERS_IN_C) and kind in _NUMBERS_IN_C


def _keeps_more_than_attributes(kind: type) -> bool:
    """Whether instances have memory beside attributes and slots: a class of another language."""
    if kind is types.SimpleNamespace:
        return False
    names = [f"s{n}" for n, _ in enumerate(slots_of(kind))]
    names += ["__dict__"] * (kind.__dictoffset__ != 0) + ["__weakref__"] * (kind.__weakrefoffset__ != 0)
    plain = type("Plain", (), {"__slots__": tuple(names)})
    return kind.__basicsize__ != plain.__basicsize__ or kind.__itemsize__ != 0


def _both(first: Visit, second: Visit) -> Visit:
    def visit(found: Any, entries: list[Entry], stack: list[Any]) -> None:
        first(found, entries, stack)
        second(found, entries, stack)

    return visit


def _visit_value(get: Callable[[Any], Any], put: Put) -> Visit:
    """Return how to visit what has one value that nothing else is in."""

    def visit(found: Any, entries: list[Entry], _stack: list[Any]) -> None:
        entries.append((put, found, get(found)))

    return visit


def _visit_parts(parts: Callable[[Any], Iterable[Any]]) -> Visit:
    """Return how to visit what cannot change itself, and has parts that may."""

    def visit(found: Any, _entries: list[Entry], stack: list[Any]) -> None:
        stack += [part for part in parts(found) if type(part) not in LEAVES]

    return visit


def _visit_emulator(found: Any, entries: list[Entry], _stack: list[Any]) -> None:
    probability = repeat_probability(found)
    if probability:
        raise Unreachable(
            f"its emulator repeats actions by chance (repeat_action_probability={probability:g}), and does "
            "not save which action that is; made with repeat_action_probability=0 it can be saved",
            found,
        )
    entries.append((put_emulator, found, save_emulator(found)))


def _visit_nothing(_found: Any, _entries: list[Entry], _stack: list[Any]) -> None:
    pass


def _visit_attributes(kind: type) -> Visit:
    slots = slots_of(kind)
    if not slots:
        return _visit_object if kind.__dictoffset__ else _visit_nothing
    if kind.__dictoffset__ == 0:
        return _visit_slots(slots)
    return _both(_visit_object, _visit_slots(slots))


def _visit_object(found: Any, entries: list[Entry], stack: list[Any]) -> None:
    content = found.__dict__.copy()
    entries.append((_put_object, found, content))
    if OUTSIDE.isdisjoint(content):
        stack += [value for value in content.values() if type(value) not in LEAVES]
        return
    for name, value in content.items():
        if type(value) not in LEAVES and not (name in OUTSIDE and is_left_alone(name, value)):
            stack.append(value)


def _put_object(found: Any, content: dict[str, Any]) -> None:
    own = found.__dict__
    kept = {} if OUTSIDE.isdisjoint(own) else _kept_of(own, content)
    own.update(content)
    if kept or len(own) != len(content):
        for name in own.keys() - content.keys() - kept.keys():
            del own[name]
        own.update(kept)


def _kept_of(own: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """Return what is outside the state now, and was so then or was not there: it stays."""
    return {
        name: own[name]
        for name in OUTSIDE & own.keys()
        if is_left_alone(name, own[name])
        and (is_left_alone(name, content[name]) if name in content else own[name] is not None)
    }


def _visit_slots(slots: tuple[tuple[str, Any], ...]) -> Visit:
    def visit(found: Any, entries: list[Entry], stack: list[Any]) -> None:
        content = {name: getattr(found, name) for name, _ in slots if hasattr(found, name)}
        entries.append((put, found, content))
        stack += [value for value in content.values() if type(value) not in LEAVES]

    def put(found: Any, content: dict[str, Any]) -> None:
        for name, member in slots:
            if name in content:
                member.__set__(found, content[name])
            elif hasattr(found, name):
                member.__delete__(found)

    ATTRIBUTE_PUTS.add(put)
    return visit


def _visit_dict(found: dict[Any, Any], entries: list[Entry], stack: list[Any]) -> None:
    entries.append((_put_dict, found, found.copy() if type(found) is dict else dict(found.items())))
    if len(found) > _FEW and _only_leaves(map(type, found.values())) and _only_leaves(map(type, found)):
        return
    for key, value in found.items():
        if type(value) not in LEAVES:
            stack.append(value)
        if type(key) not in LEAVES:
            stack.append(key)


def _put_dict(found: dict[Any, Any], content: dict[Any, Any]) -> None:
    if type(found) is dict:
        found.clear()
        found.update(content)
        return
    base = collections.OrderedDict if isinstance(found, collections.OrderedDict) else dict
    base.clear(found)
    base.update(found, content)


def _visit_list(found: list[Any], entries: list[Entry], stack: list[Any]) -> None:
    entries.append((_put_slice, found, found[:]))
    if len(found) > _FEW and _only_leaves(map(type, found)):
        return
    stack += [item for item in found if type(item) not in LEAVES]


def _put_slice(found: Any, content: Any) -> None:
    found[:] = content


def _put_memory(found: Any, content: bytes) -> None:
    ctypes.memmove(ctypes.addressof(found), content, len(content))


def _put_deque(found: Any, content: Any) -> None:
    found.clear()
    found.extend(content)


def _put_set(found: Any, content: Any) -> None:
    set.clear(found)
    set.update(found, content)


def _visit_items(found: Iterable[Any], _entries: list[Entry], stack: list[Any]) -> None:
    stack += [item for item in found if type(item) not in LEAVES]


def _visit_array(found: np.ndarray[Any, Any], entries: list[Entry], stack: list[Any]) -> None:
    if not found.flags.writeable:
        if found.base is not None:  # somebody else may still write into it
            stack.append(found.base)
        return
    entries.append((_put_array, found, found.copy()))
    if found.dtype.hasobject:
        stack += [item for item in found.ravel().tolist() if type(item) not in LEAVES]


def _put_array(found: np.ndarray[Any, Any], content: np.ndarray[Any, Any]) -> None:
    if found.shape != content.shape:
        found.resize(content.shape, refcheck=False)
    found[...] = content


def _visit_function(found: Any, entries: list[Entry], stack: list[Any]) -> None:
    for cell in found.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        entries.append((_put_cell, cell, content))
        if type(content) not in LEAVES:
            stack.append(content)


def _put_cell(cell: Any, content: Any) -> None:
    cell.cell_contents = content


def _put_generator(found: np.random.Generator, content: Any) -> None:
    found.bit_generator.state = content


def _put_bits(found: np.random.BitGenerator, content: Any) -> None:
    found.state = content


def _put_random_state(found: np.random.RandomState, content: Any) -> None:
    found.set_state(content)


def _put_random(found: random.Random, content: Any) -> None:
    found.setstate(content)


_BASES: tuple[tuple[type, Visit], ...] = (
    (dict, _visit_dict),
    (list, _visit_list),
    (tuple, _visit_items),
    (set, _both(_visit_value(set, _put_set), _visit_items)),
    (frozenset, _visit_items),
    (collections.deque, _both(_visit_value(list, _put_deque), _visit_items)),
    (np.ndarray, _visit_array),
    (bytearray, _visit_value(lambda found: found[:], _put_slice)),
    (array.array, _visit_value(lambda found: found[:], _put_slice)),
    (types.MappingProxyType, _visit_parts(methodcaller("values"))),
    (types.FunctionType, _visit_function),
    (types.MethodType, _visit_parts(attrgetter("__self__", "__func__"))),
    (types.BuiltinMethodType, _visit_parts(lambda found: (found.__self__,))),
    (functools.partial, _visit_parts(lambda found: (found.func, *found.args, *found.keywords.values()))),
    (np.random.Generator, _visit_value(attrgetter("bit_generator.state"), _put_generator)),
    (np.random.RandomState, _visit_value(methodcaller("get_state", legacy=False), _put_random_state)),
    (np.random.BitGenerator, _visit_value(attrgetter("state"), _put_bits)),
    (random.Random, _visit_value(methodcaller("getstate"), _put_random)),
    (threading.local, _visit_object),  # what this thread sees of it, which is the one that plays
)

ATTRIBUTE_PUTS.add(_put_object)


def _visit_space(found: gymnasium.Space[Any], entries: list[Entry], stack: list[Any]) -> None:
    """Record where a space's own generator stands: nothing else of it changes."""
    own = found.__dict__
    generator = own.get("_np_random")
    entries.append((_put_space, found, generator))
    if generator is not None:
        stack.append(generator)
    for part in own.values():
        if isinstance(part, gymnasium.Space):
            stack.append(part)
        elif isinstance(part, dict | tuple | list):
            inner = part.values() if isinstance(part, dict) else part
            stack += [space for space in inner if isinstance(space, gymnasium.Space)]


def _put_space(found: gymnasium.Space[Any], content: Any) -> None:
    found.__dict__["_np_random"] = content
