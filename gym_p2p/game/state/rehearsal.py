"""What a short play of a game came to; and what that shows to be local in the state.

Every player plays the same before a match, each on their own copy. Where the outcomes are equal, what is
unlike in the states afterwards (a time of day, an unseeded generator, a number of a process) belongs to one
copy, and no outcome hung on it. It says nothing about a match in which the outcomes are the same as well, so
that all players leave it out of what they compare. All see the same rehearsals, and so come to the same.

A *path* names one field; a *pattern* is a path without its indices, so that what is found of one of many
objects holds for them all, and for those that come later.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from gym_p2p.game.checksum import checksum
from gym_p2p.game.state.fields import Fields

__all__ = ["Rehearsal", "leaves", "listed", "pattern_of", "unlike", "without"]

_MAX_PATTERNS = 400
_MAX_TEXT = 16_384
"""A quarter of what a message of the handshake may hold; each pattern takes some bytes beside its text."""

_COUNT = "['items']"
"""Under which the fields of a list have its length."""

_INDEX = re.compile(r"\[\d+\]|\(\d+\)")
_STEP = re.compile(r"\.?[^.\[(]+|\[[^\]]*\]?|\([^)]*\)?|\.")


@attrs.frozen
class Rehearsal:
    """What a play came to.

    Attributes:
        outcomes: a digest of all that was given out.
        steps: how many steps the patterns have at most; what is deeper is summed up in them.
        digests: one for each pattern.
    """

    outcomes: str
    steps: int
    digests: Mapping[str, int]

    @classmethod
    def of(cls, outcomes: Sequence[Any], fields: Fields | None) -> Rehearsal | None:
        """Return a play as its outcomes and its last state; ``None`` where that has no canonical form."""
        if fields is None:
            return None
        digests: dict[str, int] = {}
        try:
            for path, value in leaves(fields):
                pattern = pattern_of(path)
                digests[pattern] = digests.get(pattern, 0) ^ _number([path, value])
        except TypeError:
            return None
        steps = max((len(_steps_of(pattern)) for pattern in digests), default=0)
        return cls(checksum(list(outcomes)).hex(), steps, digests)

    def small(self) -> Rehearsal | None:
        """Return it with patterns so short that it may travel; ``None`` if they cannot be."""
        cuts = map(self.cut, range(self.steps, 0, -1))
        return next((one for one in cuts if _is_small(one.digests)), None)

    def cut(self, steps: int) -> Rehearsal:
        """Return it with shorter patterns. Digests are summed up so that it is all one who cuts, and when."""
        if steps >= self.steps:
            return self
        digests: dict[str, int] = {}
        for pattern, digest in self.digests.items():
            short = "".join(_steps_of(pattern)[:steps])
            digests[short] = digests.get(short, 0) ^ digest
        return Rehearsal(self.outcomes, steps, digests)

    def as_sent(self) -> dict[str, Any]:
        """Return it as JSON data."""
        digests = {pattern: f"{digest:x}" for pattern, digest in self.digests.items()}
        return {"outcomes": self.outcomes, "steps": self.steps, "digests": digests}

    @classmethod
    def received(cls, data: object) -> Rehearsal | None:
        """Read what another player sent; ``None`` if it is none."""
        if not isinstance(data, Mapping):
            return None
        outcomes, steps, digests = (data.get(key) for key in ("outcomes", "steps", "digests"))
        if not isinstance(outcomes, str) or type(steps) is not int or not isinstance(digests, Mapping):
            return None
        try:
            numbers = {str(pattern): int(digest, 16) for pattern, digest in digests.items()}
        except (TypeError, ValueError):
            return None
        return cls(outcomes, steps, numbers)


def unlike(rehearsals: Iterable[Rehearsal | None]) -> tuple[str, ...]:
    """Return the patterns, sorted, in which the states of plays with equal outcomes differ.

    Nothing is known, and so nothing returned, where one is missing or the outcomes differ.
    """
    known = [one for one in rehearsals if one is not None]
    missing = any(one is None for one in rehearsals)
    if missing or len({one.outcomes for one in known}) != 1:
        return ()
    steps = min(one.steps for one in known)
    tables = [one.cut(steps).digests for one in known]
    every = {pattern for table in tables for pattern in table}
    differing = [p for p in every if len({table.get(p) for table in tables}) > 1]
    present = [set(itertools.chain.from_iterable(map(_beginnings, table))) for table in tables]
    found = {_whole(pattern, present) for pattern in differing}
    return tuple(sorted(one for one in found if not _lies_in(one, tuple(found - {one}))))


def _beginnings(pattern: str) -> Iterator[str]:
    return itertools.accumulate(_steps_of(pattern))


def _whole(pattern: str, present: Sequence[Collection[str]]) -> str:
    """Return what a pattern is an item of, where players differ in which items there are, or in how many.

    The next play has other ones (names made at random), and so other patterns.
    """
    before = ""
    for beginning in _beginnings(pattern):
        step = beginning[len(before) :]
        if step == _COUNT or (step[0] == "[" and any(beginning not in table for table in present)):
            return before
        before = beginning
    return pattern


def leaves(fields: Fields) -> Iterator[tuple[str, Any]]:
    """Yield a state's fields with those of objects and dicts one by one."""
    for path, value in fields.items():
        if type(value) is dict:
            yield from ((_inner(path, value, key), item) for key, item in value.items())
        else:
            yield path, value


def without(fields: Fields, left_out: Sequence[str]) -> Fields:
    """Return a state's fields without what lies at or below some patterns."""
    if not left_out:
        return fields
    kept: Fields = {}
    for path, value in fields.items():
        if _lies_in(path, left_out):
            continue
        if type(value) is dict:
            inside = value.items()
            kept[path] = {k: v for k, v in inside if not _lies_in(_inner(path, value, k), left_out)}
        else:
            kept[path] = value
    return kept


def _is_small(digests: Mapping[str, int]) -> bool:
    return len(digests) <= _MAX_PATTERNS and sum(map(len, digests)) <= _MAX_TEXT


def listed(patterns: Sequence[str], *, most: int = 5) -> str:
    """Return patterns as text, the first few of them."""
    shown = ", ".join(patterns[:most])
    return shown if len(patterns) <= most else f"{shown} and {len(patterns) - most} more"


def _inner(path: str, value: Mapping[Any, Any], key: Any) -> str:
    return f"{path}.{key}" if "class" in value else f"{path}[{key!r}]"


def _lies_in(path: str, patterns: Sequence[str]) -> bool:
    found = pattern_of(path)
    return any(found.startswith(p) and found[len(p) :][:1] in {"", ".", "[", "("} for p in patterns)


@functools.lru_cache(maxsize=4096)
def pattern_of(path: str) -> str:
    """Return a path without its indices.

    >>> pattern_of("unwrapped.sparks[3].x")
    'unwrapped.sparks[*].x'
    """
    return _INDEX.sub(lambda index: "[*]" if index[0][0] == "[" else "(*)", path)


def _steps_of(pattern: str) -> list[str]:
    return _STEP.findall(pattern)


def _number(value: Any) -> int:
    return int.from_bytes(checksum(value, size_bytes=6), "little")
