"""Everything that hangs on some objects: recorded, and put back in place.

A record is a list of objects with shallow copies of what was in them. Putting it back writes the contents
into the *same* objects again, so that whatever refers to them (another wrapper layer, a closure, a dict
that has them as keys) still does: nothing is constructed, nothing is pickled, and shared references stay
shared.

What holds state that Python cannot see is refused: to restore only a part of such an environment can crash
the process. A set comes back with equal members, not always in the same order.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Iterable, Mapping
from typing import Any

from gym_p2p.game.state.emulators import emulator_bytes, put_emulator
from gym_p2p.game.state.handles import LEAVES, is_handle, is_left_alone
from gym_p2p.game.state.kinds import ATTRIBUTE_PUTS, VISITS, Entry, Unreachable, slots_of, visit_of

__all__ = ["MAX_OBJECTS", "contents_of", "has_emulator", "path_to", "put_back", "record"]

MAX_OBJECTS = 50_000
"""More than any environment met has by two orders; a walk that runs into the interpreter itself ends here."""


# Why a list of shallow copies is a whole state. The walk's invariant: every object that was popped and may
# change has an entry with what was in it, one level deep, and what is in it has been popped, is on the
# stack, or cannot change. So at the end each object's own level is in exactly one place, and putting back
# means writing every level into its own object; the references between them were never touched.
#
# The entries may be put back in any order, because no entry writes into another one's object. Two arrays
# over the same memory do, and write the same bytes, for all copies are of one moment: nothing plays during
# the walk. A dict's keys are hashed when they are put in, which is right because a key's hash may not
# change (Python's own rule).
#
# It ends: an object is entered once, by its id. An id names an object only as long as the object lives; all
# of these do, for the walk makes none: each is held by a root, or by the copy of what it was found in. The
# stack is a list, so that a long chain of objects is no deep recursion. The order is of no consequence.


def record(roots: Iterable[Any], *, apart_from: Iterable[Any] = ()) -> list[Entry]:
    """Copy the contents of everything that can be reached from some objects.

    Args:
        roots: where to begin.
        apart_from: objects that are not entered.

    Raises:
        Unreachable: something has state that cannot be copied, or there are more than :data:`MAX_OBJECTS`.
    """
    entries: list[Entry] = []
    seen = set(map(id, apart_from))
    stack = [root for root in roots if type(root) not in LEAVES]
    known = VISITS.get
    while stack:
        found = stack.pop()
        key = id(found)
        if key in seen:
            continue
        seen.add(key)
        visit = known(type(found)) or visit_of(found)
        visit(found, entries, stack)
        if len(entries) > MAX_OBJECTS:
            raise Unreachable(f"more than {MAX_OBJECTS} objects belong to it")
    return entries


def put_back(entries: Iterable[Entry]) -> None:
    """Write recorded contents back into their objects. May be done any number of times."""
    for put, found, content in entries:
        put(found, content)


def contents_of(entries: Iterable[Entry]) -> tuple[dict[int, Any], dict[int, dict[str, Any]]]:
    """Return, by the ids of the recorded objects, what was in them as plain data, and their attributes.

    Generators of random numbers are their state, emulators an array of bytes.
    """
    contents: dict[int, Any] = {}
    attributes: dict[int, dict[str, Any]] = {}
    for put, found, content in entries:
        if put in ATTRIBUTE_PUTS:
            before = attributes.get(id(found))
            attributes[id(found)] = content if before is None else before | content
        else:
            contents[id(found)] = emulator_bytes(found, content) if put is put_emulator else content
    return contents, attributes


def has_emulator(entries: Iterable[Entry]) -> bool:
    """Whether an emulator's own saving is among what was recorded."""
    return any(put is put_emulator for put, _, _ in entries)


# Breadth first: the first path that is found is a shortest one, which is also the easiest to read.


def path_to(wanted: Any, roots: Mapping[str, Any]) -> str | None:
    """Return the shortest path to an object, such as ``unwrapped.world.bodies[3]``, or None."""
    queue = collections.deque(roots.items())
    seen: set[int] = set()
    while queue and len(seen) <= MAX_OBJECTS:
        path, value = queue.popleft()
        if value is wanted:
            return path
        if id(value) in seen or type(value) in LEAVES:
            continue
        seen.add(id(value))
        queue.extend((path + step, inner) for step, inner in _inside(value))
    return None


def _inside(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"[{key!r}]" if isinstance(key, str | int) else "[...]", i) for key, i in value.items())
    elif isinstance(value, list | tuple | set | frozenset | collections.deque):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, types.MethodType):
        yield ".__self__", value.__self__
    elif isinstance(value, types.FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            yield f".{name}", getattr(cell, "cell_contents", None)
    if not is_handle(value):
        yield from (
            (f".{n}", i) for n, i in getattr(value, "__dict__", {}).items() if not is_left_alone(n, i)
        )
        yield from ((f".{n}", getattr(value, n, None)) for n, _ in slots_of(type(value)))
