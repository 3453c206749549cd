"""State that an environment keeps outside of its objects: globals of its modules, attributes of its classes.

Where to look is found by reading the code that the environment runs: the methods of its classes and of the
objects that it holds, and the functions and classes which these name in turn. What this code rebinds is
state, and whatever else in these modules and classes is seen to change while the environment is tried, also
under a name that is made at run time (``globals()[name]``, ``setattr(cls, name, ...)``). What does not change
while nothing but the game runs (a list of results in the user's own script) is none of ours.

It cannot see what is kept in other modules, in a library or in the operating system, tables larger than
:data:`_MAX_BYTES`, and what changes for the first time after it has been tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import numpy as np

from gym_p2p.game.state import graph, iterators
from gym_p2p.game.state.code_reading import REBINDABLE, CodeReading, can_change
from gym_p2p.game.state.digest import canonical_state, state_digest
from gym_p2p.game.state.handles import LEAVES
from gym_p2p.game.state.kinds import ATTRIBUTE_PUTS, VISITS, Entry, Unreachable

__all__ = ["Namespace", "Outside"]

_MAX_BYTES = 1 << 20
_MAX_OBJECTS = 1000
"""Of one global. More is a table: to copy it at every frame would be dear, and it hardly holds state."""

Marks = dict[tuple[int, str], str | None]
"""Digests by namespace, as its index, and name."""


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
    own = _content(found.owner)
    content = {name: own[name] for name in found.names if name in own}
    stack += [v for v in content.values() if type(v) not in LEAVES and not iterators.is_native(v)]
    for name, value in content.items():
        if iterators.is_native(value):
            content[name] = _Iterated(iterators.again(value))
    entries.append((_put_namespace, found, content))


@attrs.frozen
class _Iterated:
    """An iterator as it was; it is copied once more to be put back, for that one goes on."""

    iterator: Any


def _put_namespace(found: Namespace, content: dict[str, Any]) -> None:
    for name in found.names:
        if name not in content:
            if name in _content(found.owner):
                _remove(found.owner, name)
            continue
        value = content[name]
        if isinstance(value, _Iterated):
            value = iterators.again(value.iterator)
        if not isinstance(found.owner, type):
            found.owner[name] = value
        elif vars(found.owner).get(name) is not value:
            setattr(found.owner, name, value)


def _remove(owner: Any, name: str) -> None:
    if isinstance(owner, type):
        delattr(owner, name)
    else:
        del owner[name]


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
        """What the code names that may be state, and what has been seen to change."""
        names = [(s, tuple(sorted({*s.names, *may_change}))) for s, may_change in self._found]
        return [Namespace(space.where, space.owner, every) for space, every in names if every]

    @property
    def everything(self) -> list[Namespace]:
        """What is watched, whether the code names it or not."""
        found = [
            (s, tuple(n for n, v in _content(s.owner).items() if _is_watched(n, v))) for s, _ in self._found
        ]
        return [Namespace(s.where, s.owner, tuple({*s.names, *names})) for s, names in found]

    def marks(self) -> Marks:
        """Return digests of what may change, as it is now."""
        found: Marks = {}
        for index, (space, _) in enumerate(self._found):
            for name, value in list(_content(space.owner).items()):
                if name not in space.names and _may_move(name, value):
                    found[index, name] = _digest(value)
        return found

    def keep_moved(self, moments: Sequence[Marks]) -> str | None:
        """Take for state what is not the same in all of these moments, between which only the game ran.

        Returns:
            What has moved and cannot be put back, in words; ``None``: there is nothing of the kind.
        """
        stuck: str | None = None
        for index, (space, may_change) in enumerate(self._found):
            seen = {name for marks in moments for at, name in marks if at == index}
            moved = {name for name in seen if len({marks.get((index, name)) for marks in moments}) > 1}
            now = _content(space.owner)
            kept = {name for name in moved if name not in now or _is_kept(now[name])}
            for name in sorted(moved - kept):
                if _is_iterated(now[name]):
                    kind = type(now[name]).__name__
                    stuck = f"{space.where}.{name} ({kind}) goes on with the game, and cannot be put back"
            space.names = tuple(sorted({*space.names, *kept}))
            self._found[index] = space, tuple(name for name in may_change if name not in kept)
        self.roots = [space for space, _ in self._found if space.names]
        return stuck


def _is_watched(name: Any, value: Any) -> bool:
    return _may_move(name, value) and _is_kept(value)


def _may_move(name: Any, value: Any) -> bool:
    if not isinstance(name, str) or name.startswith("__") or hasattr(type(value), "__get__"):
        return False
    return isinstance(value, REBINDABLE) or can_change(value)


def _digest(value: Any) -> str | None:
    if iterators.is_native(value):
        return iterators.position(value)
    entries, unreachable = _recorded(value)
    if entries is None:
        return iterators.position(unreachable) if iterators.is_native(unreachable) else None
    if not _is_small(entries):
        return None
    try:
        return state_digest(canonical_state({"value": value}, entries))
    except TypeError:  # it cannot be compared
        return None


def _is_iterated(value: Any) -> bool:
    """Whether it is or holds an iterator that nobody can make again."""
    return iterators.is_native(_recorded(value)[1])


def _recorded(value: Any) -> tuple[list[Entry] | None, Any]:
    """Return what can be recorded of a value; ``None`` and what it is that cannot be, if that is known."""
    try:
        return graph.record([value]), None
    except Unreachable as problem:  # of another language, most often a library's
        return None, problem.found
    except Exception:  # noqa: BLE001 what a library's object may do that only looks like an ordinary one
        return None, None


def _namespaces_of(
    layers: Iterable[Any], entries: Iterable[Entry]
) -> list[tuple[Namespace, tuple[str, ...]]]:
    """Return namespaces with what is rebound in them, and beside each the names of what else may change."""
    found: list[tuple[Namespace, tuple[str, ...]]] = []
    for where, owner, names in CodeReading(layers, entries).run():
        content = _content(owner)
        kept = sorted(name for name in names if _is_kept(content[name]))
        rebound = tuple(name for name in kept if isinstance(content[name], REBINDABLE))
        may_change = tuple(name for name in kept if not isinstance(content[name], REBINDABLE))
        found.append((Namespace(where, owner, rebound), may_change))
    return sorted(found, key=lambda pair: pair[0].where)


def _is_kept(value: Any) -> bool:
    if iterators.is_native(value):
        return iterators.may_be_made_again(value)
    entries, _ = _recorded(value)
    return entries is not None and _is_small(entries)


def _is_small(entries: Sequence[Entry]) -> bool:
    size = sum(found.nbytes for _, found, _ in entries if isinstance(found, np.ndarray))
    return len(entries) <= _MAX_OBJECTS and size <= _MAX_BYTES


def _content(owner: Any) -> Any:
    return vars(owner) if isinstance(owner, type) else owner
