"""The clocks and the chance of a process that belongs to a trial: set ahead, or fixed.

What depends on the time of day shows where the clocks are ahead. Where clocks and all chance are the same in
two processes, what they still do differently hangs on neither, but on the order of a set, or on addresses.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import itertools
import os
import random
import secrets
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.random.bit_generator as numpy_bits

__all__ = ["fix_clocks_and_chance", "forget_real_clocks_and_chance", "shift_clocks"]

_LATER_S = 3_456_789.0
"""How far the clocks are ahead: 40 days and a bit, so that every digit differs."""

_FIXED_S = 1_750_000_000.0
_TICK_S = 1e-3

_CLOCKS = ("time", "monotonic", "perf_counter")

_OWN_DATETIME: Any = dt.datetime
_OWN_RANDOM = random.Random


def shift_clocks() -> None:
    """Let the clocks go ahead."""
    for name in _CLOCKS:
        clock = getattr(time, name)
        _set_clock(name, functools.partial(_ahead, clock))
    _set_dates()


def fix_clocks_and_chance() -> None:
    """Let the clocks begin at one moment and go on by being read; let what is drawn unseeded be the same.

    Once more, and all begins again.
    """
    for name in _CLOCKS:
        ticks = itertools.count()
        _set_clock(name, functools.partial(_read, ticks))
    _set_dates()
    blocks = itertools.count()

    def some_bytes(size: int) -> bytes:
        return hashlib.shake_128(str(next(blocks)).encode()).digest(size)

    class FixedRandom(_OWN_RANDOM):
        """Seeds itself by the fixed chance."""

        def seed(self, a: Any = None, version: int = 2) -> None:
            super().seed(int.from_bytes(some_bytes(8), "little") if a is None else a, version)

    os.urandom = some_bytes
    os.getpid = lambda: 1
    setattr(random, "_urandom", some_bytes)  # noqa: B010 what SystemRandom, and so `secrets`, draws from
    setattr(random, "Random", FixedRandom)  # noqa: B010 a class is replaced, which its type does not allow
    setattr(numpy_bits, "randbits", secrets.randbits)  # noqa: B010 it is no part of its types
    setattr(uuid, "_generate_time_safe", None)  # noqa: B010 it asks the system
    random.seed(1)
    np.random.seed(1)


def forget_real_clocks_and_chance() -> None:
    """Fix them, also for modules that have taken the real ones by name (``from time import time``)."""
    places: list[tuple[Any, str]] = [(time, name + end) for name in _CLOCKS for end in ("", "_ns")]
    places += [(dt, "datetime"), (random, "Random"), (os, "urandom"), (os, "getpid")]
    real = [getattr(module, name) for module, name in places]  # kept, so that nothing else gets their ids
    before = dict(zip(map(id, real), places, strict=True))
    fix_clocks_and_chance()
    for where, module in list(sys.modules.items()):
        if where.partition(".")[0] == __name__.partition(".")[0]:
            continue  # ours know which one they want
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if (place := before.get(id(value))) is not None and place != (module, name):
                setattr(module, name, getattr(*place))


def _ahead(clock: Callable[[], float]) -> float:
    return clock() + _LATER_S


def _read(ticks: Iterator[int]) -> float:
    return _FIXED_S + next(ticks) * _TICK_S


def _set_clock(name: str, clock: Callable[[], float]) -> None:
    setattr(time, name, clock)
    setattr(time, f"{name}_ns", lambda: int(clock() * 1e9))


def _set_dates() -> None:
    """Let dates follow the clock; it is C's own that they read otherwise."""
    plain = _OWN_DATETIME

    class _Plain(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, plain)

    def now(_cls: Any, tz: dt.tzinfo | None = None) -> Any:
        return plain.fromtimestamp(time.time(), tz)

    def utcnow(_cls: Any) -> Any:
        return plain.fromtimestamp(time.time(), dt.UTC).replace(tzinfo=None)

    readings = {"now": classmethod(now), "today": classmethod(now), "utcnow": classmethod(utcnow)}
    setattr(dt, "datetime", _Plain("datetime", (plain,), readings))  # noqa: B010 its type does not allow it
