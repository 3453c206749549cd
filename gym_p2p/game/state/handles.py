"""What is no state: things that cannot change, and things that stay where they are.

Knows spaces, loggers, locks, and what draws (surfaces, fonts, windows, viewers). Whoever saves an environment
leaves these alone: they are the same objects before and after.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import fractions
import functools
import importlib.machinery
import logging
import pathlib
import re
import sys
import threading
import types
import uuid
import weakref
from collections.abc import Collection
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from gym_p2p.game.drawing import is_drawing_type, module_of

__all__ = ["LEAVES", "OUTSIDE", "VIEWERS", "is_handle", "is_leaf_type", "is_left_alone"]

VIEWERS = frozenset(
    {*("viewer", "_viewer", "renderer", "_renderer", "mujoco_renderer", "visualizer", "window", "_window")}
)
"""Attributes of these names may hold a class of the environment's own that draws. It is left alone if what it
holds draws, or is of another language."""

_LAZY = frozenset({"screen", "_screen", "clock", "_clock", "canvas", "surface", "surf", "font", "game_font"})
"""Attributes that are often ``None`` until something is drawn for the first time. What is made then has to
survive a return to before that."""

_CONSTANTS = frozenset({"_saved_kwargs", "_ezpickle_args", "_ezpickle_kwargs", "_cached_spec"})
"""What Gymnasium and PettingZoo keep of how an environment was made."""

OUTSIDE = VIEWERS | _LAZY | _CONSTANTS
"""The names of attributes that may be outside the state; :func:`is_left_alone` decides."""

LEAVES: set[type] = set()
"""The types met so far in which a walk need not look."""

_HANDLES: set[type] = set()

_KNOWN: set[type] = set()
"""The types that :func:`is_leaf_type` has classified."""

# What has nothing in it that could change.
_ATOMS = (
    *(type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, enum.Enum, type, range, slice),
    *(types.ModuleType, types.MethodWrapperType, types.EllipsisType),
    *(types.WrapperDescriptorType, types.MethodDescriptorType, types.GetSetDescriptorType, property),
    *(types.MemberDescriptorType, types.CodeType, types.GenericAlias, types.UnionType, staticmethod),
    *(type(NotImplemented), re.Pattern, dt.date, dt.time, dt.timedelta, dt.tzinfo),
    *(decimal.Decimal, fractions.Fraction, pathlib.PurePath, uuid.UUID, BaseException, weakref.ref),
    *(np.ufunc, np.random.SeedSequence, type(functools.lru_cache(len))),
)

# What may change, and is none of the state.
_HANDLE_TYPES: tuple[type, ...] = (gymnasium.Space, EnvSpec, logging.Logger, logging.Handler, threading.Event)
_HANDLE_TYPES += (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Thread)

# Packages whose classes of another language can be recorded.
_READABLE = frozenset(
    {"builtins", "collections", "random", "numpy", "array", "functools", "pygame", "ctypes"}
)


def is_leaf_type(kind: type) -> bool:
    """Whether a walk need not look into objects of a type; it is then in :data:`LEAVES`."""
    if kind in _KNOWN:
        return kind in LEAVES
    if issubclass(kind, _ATOMS):
        LEAVES.add(kind)
    elif _is_handle_type(kind):
        _HANDLES.add(kind)
        if not issubclass(kind, gymnasium.Space):  # which stays where it is, and may draw by chance
            LEAVES.add(kind)
    _KNOWN.add(kind)  # last, for other threads look here too
    return kind in LEAVES


def is_handle(value: Any) -> bool:
    """Whether it is a thing that stays where it is: a space, a logger, something that draws."""
    kind = type(value)
    return kind in _HANDLES or (is_leaf_type(kind) and kind in _HANDLES)


def is_left_alone(name: str, value: Any) -> bool:
    """Whether an attribute is outside the state."""
    if name in _CONSTANTS or (name in _LAZY and value is None):
        return True
    return is_handle(value) or (name in VIEWERS and (value is None or _draws(value)))


def _draws(value: Any) -> bool:
    """Whether an object is there for drawing: it is or holds what draws, or is of another language."""
    kind = type(value)
    if kind in LEAVES or isinstance(value, Collection):
        return False
    parts = getattr(value, "__dict__", {}).values()
    kinds: set[Any] = {kind, *map(type, parts)}
    return any(is_drawing_type(kind) or (_is_foreign(kind) and not is_leaf_type(kind)) for kind in kinds)


@functools.cache
def _is_foreign(kind: Any) -> bool:
    """Whether a class, or one that it is made from, is of another language and cannot be recorded."""
    return any(
        base is not object
        and module_of(base).partition(".")[0] not in _READABLE
        and not _is_made_in_python(base)
        for base in kind.__mro__
    )


def _is_made_in_python(kind: type) -> bool:
    """Whether a ``class`` statement made it: it then knows the module's file that it is from."""
    path = getattr(sys.modules.get(module_of(kind)), "__file__", None)
    return path is None or not path.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))


def _is_handle_type(kind: type) -> bool:
    return is_drawing_type(kind) or issubclass(kind, _HANDLE_TYPES)
