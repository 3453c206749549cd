"""What is wrong with a file or between two documents: collected, never raised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from gym_p2p.study.codebook.matches import PROBLEM_KINDS

__all__ = ["Problems", "plural"]

MAX_OF_A_KIND = 200
"""Of one match, or of the files of no match: a thousand broken files need no thousand rows."""


@attrs.define(eq=False)
class Problems:
    """Collects the rows of ``problems``; beyond so many of a kind, only how many there are."""

    match: str | None = None
    _rows: list[dict[str, Any]] = attrs.field(factory=list, init=False)
    _counts: dict[str, int] = attrs.field(factory=dict, init=False)

    def add(self, kind: str, problem: str, *, path: str | None = None, player: str | None = None) -> None:
        """Add one; the kind is one of the codebook's."""
        assert kind in PROBLEM_KINDS  # noqa: S101 - our own
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if self._counts[kind] <= MAX_OF_A_KIND:
            self._rows.append(self._row(kind, problem, path, player))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows."""
        yield from self._rows
        for kind, count in self._counts.items():
            if count > MAX_OF_A_KIND:
                yield self._row(kind, f"and {count - MAX_OF_A_KIND} more of this kind", None, None)

    def __len__(self) -> int:
        """How many rows there are."""
        return sum(1 for _ in self)

    def _row(self, kind: str, problem: str, path: str | None, player: str | None) -> dict[str, Any]:
        return {"match": self.match, "player": player, "path": path, "kind": kind, "problem": problem}


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun.

    >>> plural(1, "match", "matches"), plural(1200, "frame")
    ('1 match', '1,200 frames')
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
