"""What ``gym-p2p bench faults`` prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gym_p2p.cli.tables import Column, FittingTable, figure, output_console

if TYPE_CHECKING:
    from gym_p2p.bench.faults import FaultReport, FaultRow

__all__ = ["print_faults", "print_kinds"]


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
    counts = ("frames_lost", "frames_doubled", "exports_lost", "left_over", "unnamed", "wrong")
    return [
        row.kind,
        str(row.total("injected")),
        str(row.total("survived")),
        *_times(row, "noticed_s"),
        *_times(row, "resumed_s"),
        *(str(row.total(field)) for field in counts),
    ]


def _times(row: FaultRow, field: str) -> list[str]:
    times = (row.median_s(field), row.longest_s(field))
    return ["" if time is None else figure(time, ".2f") for time in times]
