"""The digest of a recorded state, in one pass over what was saved.

Two states have one digest if and only if their fields (:mod:`gym_p2p.game.state.fields`) are the same,
whatever the platform, the version of Python, the hash seed, and the order in which attributes, keys and
members came in. What is compared is said in :mod:`gym_p2p.game.state.compared`; paths are made when a
difference is to be told, not here. By kind:

* Plain values, numpy's scalars and arrays count as :mod:`gym_p2p.game.canonical` has it: by type, bits, dtype
  and shape. Every NaN equals every other.
* A list, a tuple and a deque with equal items are equal, and so are a ``bytearray`` and an array of its
  bytes.
* A dict of plain values is the set of its items. Of one that holds more, the class counts too, and the order
  of those keys that are no texts: nothing else orders what may be objects.
* A set of data is the set of its members; one of objects the classes of its members.
* An object is its class and those of its attributes that are compared. What stays outside the state (what
  draws, spaces, loggers) is no part of it, and stands for its class where a container holds it.
* What is referred to twice is another thing than two equal ones, unless the environment itself handed the
  data over: a return may or may not have shared it. A state may contain itself.
* A generator of random numbers, and an emulator, is the state that it gives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from gym_p2p.game.checksum import DIGEST_BYTES
from gym_p2p.game.state.graph import contents_of, record
from gym_p2p.game.state.kinds import Entry
from gym_p2p.game.state.outlines import encoded, form_by_outline, leave_outline, may_have_nan
from gym_p2p.game.state.rows import NeedsRecord, Rows

__all__ = ["canonical_data", "canonical_state", "state_digest"]

# The form of a state. Everything that is no plain value is a *node*, numbered as it is met, breadth first.
# A node is one row, or two (what a container holds, then what its attributes hold). Most rows are
#
#     [kind, what it is, values, others]
#
# as MessagePack. ``values`` are in an order that is the same everywhere. Plain ones stand there themselves,
# of others ``None``, and ``others`` are pairs of a position and what belongs there: the number of a node, or
# an array of a kind and the canonical form of a plain value that MessagePack has no form for, or the number
# of the node whose address it is. What is shared is one node with one number. Large contents are no part of
# the rows: a row has the length, and the contents follow behind all rows.
#
# Rows are told apart by their kinds; arrays and texts have their lengths, numbers their types, and attributes
# beside a container's content another kind of row than those of a mere object, so that it is known where a
# node ends. So two states have the same bytes only if they have the same rows.
#
# *Quick and careful.* A walk assumes that no plain value needs anything special, and lets C write all rows at
# once. That is wrong of a NaN, whose bits differ between machines; of a whole number beyond 64 bits and of a
# text with surrogates, which MessagePack has no form for; and of a number that is the address of a node. The
# first shows in the bytes, the next two raise, the last is among the addresses of the nodes. Then the walk is
# done once more, and looks at every value. Of values that need nothing special it writes the same, so that it
# does not matter if it was called for nothing (by an infinity, say): a state has one form.


def state_digest(form: Iterable[bytes]) -> str:
    """Return 16 hex digits over a state's canonical form."""
    return hashlib.blake2b(b"".join(form), digest_size=DIGEST_BYTES).hexdigest()


def canonical_state(
    roots: Mapping[str, Any], entries: Iterable[Entry], *, sharing: bool = True
) -> list[bytes]:
    """Return the canonical form of a recorded state, in pieces.

    Args:
        roots: by name.
        entries: what :func:`~gym_p2p.game.state.graph.record` copied.
        sharing: whether what is shared counts; if not, it is as if everybody had their own.

    Raises:
        TypeError: something in it has no canonical form.
    """
    contents, attributes = contents_of(entries)
    return _form(roots, contents, attributes, sharing=sharing)


def canonical_data(name: str, value: Any) -> list[bytes]:
    """Return the canonical form of what an environment handed over: that of its record, nothing in it shared.

    Raises:
        TypeError: something in it has no canonical form.
        Unreachable: something in it cannot be recorded.
    """
    try:
        if (written := form_by_outline(name, value)) is not None:
            return [written]
    except (OverflowError, UnicodeEncodeError):
        pass
    try:
        return _form({name: value}, None, {}, sharing=False, outlined=name)
    except NeedsRecord:
        return canonical_state({name: value}, record([value]), sharing=False)


def _form(
    roots: Mapping[str, Any],
    contents: Mapping[int, Any] | None,
    attributes: Mapping[int, dict[str, Any]],
    *,
    sharing: bool,
    outlined: str | None = None,
) -> list[bytes]:
    rows = Rows(contents, attributes, sharing=sharing)
    rows.walk(roots)
    written = _written(rows.rows)
    if not written or rows.have_addresses():
        rows = Rows(contents, attributes, sharing=sharing, addresses=rows.numbers)
        rows.walk(roots)
        try:
            written = encoded(rows.rows)
        except UnicodeEncodeError as error:
            raise TypeError(f"a name in it is no text: {error}") from None
    elif outlined is not None and not rows.contents:
        leave_outline(outlined, roots[outlined], rows.rows)
    return [written, *rows.contents]


def _written(rows: list[Any]) -> bytes:
    """Return the rows of a quick walk as bytes; empty where something in them needs a careful one."""
    try:
        written = encoded(rows)
    except (OverflowError, UnicodeEncodeError):
        return b""
    return b"" if may_have_nan(written) else written
