"""What of a recorded state is compared, and under which words.

The rules that both forms of a state have in common: its fields by path
(:mod:`gym_p2p.game.state.fields`), and its digest (:mod:`gym_p2p.game.state.digest`). What belongs to one
machine or one player (paths of files, how it renders) is left out. Refuses to know how a state is walked.
"""

from __future__ import annotations

import array
import datetime as dt
import decimal
import enum
import fractions
import functools
import pathlib
import random
import types
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gym_p2p.game.drawing import module_of
from gym_p2p.game.state.handles import VIEWERS, is_handle, is_left_alone

__all__ = [
    "CALLABLES",
    "NO_ADDRESS",
    "PLAIN",
    "SELF_CONTAINED",
    "Word",
    "class_name",
    "hangs_on_value",
    "is_compared",
    "is_plain",
    "parts_of",
    "word_for",
    "word_of_version_1",
]

NO_ADDRESS = 1 << 16
"""No object lies there: systems leave the first pages empty, so that null pointers are found out."""

PLAIN = frozenset({type(None), bool, int, float, str, bytes})

SELF_CONTAINED: tuple[type, ...] = (dict, list, tuple, set, frozenset, deque, np.ndarray, bytearray)
SELF_CONTAINED += (np.random.Generator, np.random.RandomState, np.random.BitGenerator, random.Random)
SELF_CONTAINED += (array.array,)
"""What has something in it beside its attributes."""

CALLABLES = (types.MethodType, types.BuiltinMethodType, types.FunctionType, functools.partial)

Word = Callable[[Any], str]
""":func:`word_for`, or what was in its place once."""

_TEXTS = (dt.date, dt.time, dt.timedelta, decimal.Decimal, fractions.Fraction, range, slice)

_LOCAL = frozenset(
    {
        *("render_mode", "metadata", "spec", "rom_path"),
        *("_saved_kwargs", "_ezpickle_args", "_ezpickle_kwargs", "_cached_spec", "_kwargs"),
    }
)
_PLACES = ("_path", "_dir", "_file")

_MOVED = {"pathlib._local": "pathlib"}
"""Where some versions of Python keep what the others have elsewhere."""


def is_plain(value: Any) -> bool:
    """Whether it has nothing in it, and is no other thing than an equal one."""
    return type(value) in PLAIN or isinstance(value, np.generic)


def is_compared(name: str, value: Any) -> bool:
    """Whether an attribute is compared between players."""
    return not (name in _LOCAL or _is_place(name, value) or is_left_alone(name, value))


def hangs_on_value(name: str, value: Any) -> bool:
    """Whether other values of this one's type, under this name, may be compared where this is not."""
    if name in _LOCAL or is_handle(value):
        return False
    return (type(value) is str and name.endswith(_PLACES)) or (name in VIEWERS and value is not None)


def _is_place(name: str, value: Any) -> bool:
    """Whether an attribute is where a thing lies on this machine: an absolute path. A direction is none."""
    return type(value) is str and name.endswith(_PLACES) and _is_absolute(value)


def _is_absolute(text: str) -> bool:
    return pathlib.PurePosixPath(text).is_absolute() or pathlib.PureWindowsPath(text).is_absolute()


def class_name(kind: type) -> str:
    """Return a class's name with its module, the same in every version of Python."""
    module = module_of(kind)
    return f"{_MOVED.get(module, module)}.{kind.__qualname__}"


def word_for(value: Any) -> str:
    """Return the text that stands for an object of which nothing else is compared."""
    if isinstance(value, enum.Enum):
        # Flags without a single named bit have no name.
        return f"{class_name(type(value))}.{value.value if value.name is None else value.name}"
    if isinstance(value, type):
        return class_name(value)
    if isinstance(value, int | float | str | bytes):
        return f"{class_name(type(value))}: {_plain_text(value)}"
    return str(value) if isinstance(value, _TEXTS) else class_name(type(value))


def word_of_version_1(value: Any) -> str:
    """Return what stood for the same object when recordings of version 1 were made: less was compared."""
    kind = value if isinstance(value, type) else type(value)
    name = f"{module_of(kind)}.{kind.__qualname__}"
    if isinstance(value, enum.Enum):
        return f"{name}.{value.name}"
    return str(value) if isinstance(value, _TEXTS) else name


def _plain_text(value: float | str | bytes) -> str:
    """Return what is in an object whose class was made of a plain one, whatever it says of itself."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, bytes):
        return bytes.hex(value)
    return int.__repr__(value) if isinstance(value, int) else float.__repr__(value)


def parts_of(value: Any, contents: Mapping[int, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return what a function or the like goes by: its name, if that counts, and what it is bound to.

    Args:
        value: one of :data:`CALLABLES`.
        contents: what was recorded, by id: a closure's cells among it.
    """
    if isinstance(value, types.MethodType):
        return None, {"__self__": value.__self__, "__func__": value.__func__}
    if isinstance(value, types.BuiltinMethodType):
        bound = not isinstance(value.__self__, types.ModuleType)
        return value.__qualname__, {"__self__": value.__self__} if bound else {}
    if isinstance(value, functools.partial):
        return None, {"func": value.func, "args": value.args, "keywords": value.keywords}
    cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
    name = f"{value.__module__}.{value.__qualname__}"
    return name, {name: contents[id(cell)] for name, cell in cells if id(cell) in contents}
