"""What ``gym-p2p bench faults`` prints, and writes into the documentation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gym_p2p.cli.tables import Column, FittingTable, figure, output_console
from gym_p2p.errors import UsageError

if TYPE_CHECKING:
    from gym_p2p.bench.faults import FaultReport, FaultRow

__all__ = ["marked_page", "print_faults", "print_kinds", "write_faults"]

_BEGIN, _END = "<!-- bench faults -->\n", "<!-- end of bench faults -->"
"""What stands between these two is written by the bench."""

_COUNTS = ("frames_lost", "frames_doubled", "exports_lost", "left_over", "unnamed", "wrong")


def print_kinds(*, as_json: bool) -> int:
    """Print every kind of fault; return the exit code."""
    from gym_p2p.bench.faults import fault_kinds  # noqa: PLC0415 - what --help does not need

    kinds = fault_kinds()
    if as_json:
        print(json.dumps(dict(kinds)))
        return 0
    table = FittingTable([Column("kind"), Column("what happens", words=True)])
    for name, about in kinds.items():
        table.add_row(name, about)
    output_console().print(table)
    return 0


def print_faults(report: FaultReport) -> None:
    """Print the table, and what was wrong."""
    table = FittingTable(
        [
            Column("fault", words=True),
            Column("injected"),
            Column("survived"),
            Column("noticed s", rank=3),
            Column("at most", rank=4),
            Column("resumed s", rank=2),
            Column("at most", rank=5),
            Column("frames lost"),
            Column("doubled"),
            Column("exports lost"),
            Column("left over"),
            Column("unnamed", rank=1),
            Column("wrong", rank=1),
        ],
        tells=True,
    )
    for row in report.rows:
        if row.runs:
            table.add_row(*_cells(row))
    console = output_console()
    console.print(table)
    first, runs = report.seed, max((len(row.runs) for row in report.rows), default=0)
    console.print(f"seeds {first} to {first + runs - 1} of every kind", style="dim")
    for row in report.rows:
        if not row.runs:
            console.print(f"{row.kind}: {row.about}", style="dim", soft_wrap=True)
        for run in row.runs:
            for finding in run.findings:
                console.print(f"{run.kind}, seed {run.seed}: {finding}", soft_wrap=True, markup=False)
    if report.folder is not None:
        console.print(f"what these left is in {report.folder}", style="dim", soft_wrap=True)


def _cells(row: FaultRow) -> list[str]:
    return [
        row.kind,
        str(row.total("injected")),
        str(row.total("survived")),
        *_times(row, "noticed_s"),
        *_times(row, "resumed_s"),
        *(str(row.total(field)) for field in _COUNTS),
    ]


def _times(row: FaultRow, field: str) -> list[str]:
    times = (row.median_s(field), row.longest_s(field))
    return ["" if time is None else figure(time, ".2f") for time in times]


def marked_page(path: str) -> str:
    """Return the text of a page that the table is to be written into.

    Raises:
        UsageError: it cannot be read, or has no place for it.
    """
    try:
        page = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--table {path}: {error.strerror}") from error
    if _BEGIN not in page or _END not in page.partition(_BEGIN)[2]:
        raise UsageError(
            f"--table {path} wants the lines {_BEGIN.strip()} and {_END} around the table's place"
        )
    return page


def write_faults(report: FaultReport, path: str) -> None:
    """Write the table into a page, in the place of the one before.

    Raises:
        UsageError: as :func:`marked_page`.
    """
    before, _, rest = marked_page(path).partition(_BEGIN)
    after = rest.partition(_END)[2]
    told = "\n".join(_in_markdown(report))
    Path(path).write_text(f"{before}{_BEGIN}{told}\n{_END}{after}", encoding="utf-8")


def _in_markdown(report: FaultReport) -> Iterator[str]:
    rows = [row for row in report.rows if row.runs]
    injected, runs = sum(row.total("injected") for row in rows), sum(len(row.runs) for row in rows)
    most = max((len(row.runs) for row in rows), default=0)
    seeds = f"{report.seed} to {report.seed + most - 1}"
    yield f"{injected} faults in {runs} runs of {len(rows)} kinds, of the seeds {seeds} of each:"
    yield ""
    heads = ["fault", "injected", "survived", "noticed, s", "resumed, s"]
    yield _line([*heads, *(field.replace("_", " ") for field in _COUNTS)])
    yield _line(["---"] * (len(heads) + len(_COUNTS)))
    for row in rows:
        times = [_median_and_longest(row, field) for field in ("noticed_s", "resumed_s")]
        totals = [str(row.total(field)) for field in ("injected", "survived", *_COUNTS)]
        yield _line([f"{row.kind}: {row.about}", *totals[:2], *times, *totals[2:]])
    sums = [str(sum(row.total(field) for row in rows)) for field in ("injected", "survived", *_COUNTS)]
    yield _line(["all", *sums[:2], "", "", *sums[2:]])
    for row in report.rows:
        if not row.runs:
            yield f"\n{row.kind}: {row.about}."


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _median_and_longest(row: FaultRow, field: str) -> str:
    median, longest = row.median_s(field), row.longest_s(field)
    return "" if median is None or longest is None else f"{median:.2f} ({longest:.2f})"
