"""Iterators of Python's own, which say neither where they stand nor let themselves be set back.

Most of those that an environment keeps can be made anew where they stand: a count, and whatever goes through
a list, a tuple, a range, a text. One that draws from another iterator, and a generator, cannot: of these it
can only be told that they have moved.
"""

from __future__ import annotations

import ast
import copy
import itertools
import types
from collections.abc import Iterator
from typing import Any

from gym_p2p.game.checksum import checksum
from gym_p2p.game.drawing import module_of

__all__ = ["again", "is_native", "may_be_made_again", "position"]

_MAX_DEPTH = 10
"""Iterators over iterators over iterators; more are none that anybody keeps."""


def is_native(value: Any) -> bool:
    """Whether it is an iterator that no walk over attributes sees into."""
    return isinstance(value, Iterator) and module_of(type(value)) in {"builtins", "itertools"}


def may_be_made_again(value: Any) -> bool:
    """Whether :func:`again` makes an equal one, that goes on by itself."""
    if type(value) is itertools.count:
        return _arguments(value) is not None
    reduced = _reduced(value) if is_native(value) else None
    return reduced is not None and reduced[0] in {iter, reversed}


def again(value: Any) -> Any:
    """Return an iterator that stands where this one does, over the same things."""
    arguments = _arguments(value) if type(value) is itertools.count else None
    return copy.copy(value) if arguments is None else itertools.count(*arguments)


def position(value: Any, depth: int = 0) -> str:
    """Return a text that is another one where an iterator has moved; as far as it can be told."""
    if isinstance(value, types.GeneratorType):
        frame = value.gi_frame
        return "over" if frame is None else f"at {frame.f_lasti}: {_text(frame.f_locals, depth)}"
    if type(value) is itertools.count:
        return repr(value)
    reduced = _reduced(value)
    return type(value).__name__ if reduced is None else _text(reduced[1:], depth)


def _text(value: Any, depth: int) -> str:
    """Return a text for what an iterator goes by: iterators, plain data, and what contains them."""
    if depth < _MAX_DEPTH and is_native(value):
        return position(value, depth + 1)
    if depth < _MAX_DEPTH and isinstance(value, tuple):
        return ", ".join(_text(item, depth + 1) for item in value)
    if depth < _MAX_DEPTH and isinstance(value, dict):
        return ", ".join(f"{key}: {_text(item, depth + 1)}" for key, item in value.items())
    try:
        return checksum(value).hex()
    except TypeError:
        return f"{len(value)} items" if isinstance(value, list) else type(value).__name__


def _reduced(value: Any) -> tuple[Any, ...] | None:
    try:
        reduced = value.__reduce__()
    except TypeError:  # a generator; from Python 3.14 on what is in itertools
        return None
    return reduced if isinstance(reduced, tuple) else None


def _arguments(counter: itertools.count[Any]) -> list[Any] | None:
    """Return how a count is made anew; ``None`` for numbers of other kinds."""
    try:
        return list(ast.literal_eval(f"[{repr(counter)[len('count(') : -1]}]"))
    except (ValueError, SyntaxError):
        return None
