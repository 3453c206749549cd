"""What a change is worth: an earlier commit's package and this checkout's, measured by turns in one run.

``python -m benchmarks.before_after --before REV [--rounds 5] [--only step ...] [--json FILE]``. Makes a
checkout of the commit and an environment for either version, holds the processes of both open, and lets them
take turns, with floors and anchors among them. Prints one table: each row's median over the rounds, and its
ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.before_after_rows import GROUPS, ROWS, Collected, Row
from benchmarks.sides import sides

__all__ = ["main", "table"]

NONE = "\N{EN DASH}"
"""In the place of what was not measured: there is no such row, or that version cannot do it."""


def table(found: Collected, names: Sequence[str]) -> list[dict[str, object]]:
    """Return every row of which there is something, with its ratios; ``names`` are the two sides'."""
    before, after = names
    lines = (_line(row, found, before, after) for row in ROWS)
    return [line for line in lines if (line[before], line[after]) != (None, None)]


def _line(row: Row, found: Collected, before: str, after: str) -> dict[str, object]:
    old, new = (_median(found, side, row.key) for side in (before, after))
    floor, anchor = (None if key is None else _median(found, "", key) for key in (row.floor, row.anchor))
    return {
        "what": row.what,
        "unit": row.unit,
        before: old,
        after: new,
        "after / before": _ratio(new, old),
        "floor": floor,
        "after / floor": _ratio(new, floor),
        "anchor": anchor,
        "after / anchor": _ratio(new, anchor),
        "target": row.target,
    }


def _median(found: Collected, side: str, key: str) -> float | None:
    samples = found.get((side, key))
    return statistics.median(samples) if samples else None


def _ratio(value: float | None, other: float | None) -> float | None:
    return None if value is None or not other else value / other


def _print(lines: Sequence[dict[str, object]]) -> None:
    if not lines:
        return
    cells = [[str(name) for name in lines[0]]]
    cells += [[_cell(value) for value in line.values()] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        fitted = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        sys.stdout.write(f"| {' | '.join(fitted)} |\n")
        if not number:
            sys.stdout.write(f"|{'|'.join('-' * (width + 2) for width in widths)}|\n")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return NONE if value is None else str(value)


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", required=True, metavar="REV", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: fewer of what takes longer")
    parser.add_argument("--only", nargs="+", choices=tuple(GROUPS), help="default: all of them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every sample, too")
    args = parser.parse_args()
    with sides(args.before) as both:
        found: Collected = {}
        for name in args.only or GROUPS:
            group = GROUPS[name]
            rounds = args.rounds or group.rounds
            sys.stderr.write(f"{name}, {rounds} rounds\n")
            group.measure(both, found, rounds)
        lines = table(found, [side.name for side in both])
    _print(lines)
    if args.json is not None:
        samples = [{"side": side, "what": key, "samples": values} for (side, key), values in found.items()]
        args.json.write_text(json.dumps({"rows": lines, "samples": samples}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
