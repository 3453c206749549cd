"""What the tables' columns are: name, type, unit, meaning, and what null means. The one place that says so.

The Arrow schemas, the page of the documentation and ``gym-p2p exports codebook`` are made of it. It knows no
file and no document, and needs nothing that is not installed with the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from gym_p2p.study.codebook.columns import TYPE_WORDS, Column, TableText
from gym_p2p.study.codebook.matches import EPISODES, MATCHES, PLAYERS, PROBLEM_KINDS, PROBLEMS
from gym_p2p.study.codebook.play import EVENT_KINDS, EVENTS, FRAMES, LATENCY, OBSERVATION, PROBES

__all__ = ["TABLES", "codebook_data", "codebook_markdown", "schema"]

TABLES: Mapping[str, TableText] = MappingProxyType(
    {table.name: table for table in (MATCHES, PLAYERS, EPISODES, FRAMES, LATENCY, EVENTS, PROBES, PROBLEMS)}
)
"""Every table by its name."""

_KINDS_OF = {"EVENT_KINDS": EVENT_KINDS, "PROBLEM_KINDS": PROBLEM_KINDS}


def schema(name: str, *more: Column) -> Any:
    """Return a table's Arrow schema; every field's metadata holds its meaning, unit and meaning of null."""
    import pyarrow as pa  # noqa: PLC0415 - an optional extra

    types = {
        "string": pa.string(),
        "label": pa.dictionary(pa.int32(), pa.string()),
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "time": pa.timestamp("ms", tz="UTC"),
        "json": pa.string(),
        "floats": pa.list_(pa.float64()),
    }
    table = TABLES[name]
    fields = [
        pa.field(
            column.name,
            types[column.type],
            nullable=bool(column.null),
            metadata={"meaning": _meaning(column), "unit": column.unit, "null": column.null},
        )
        for column in (*table.columns, *more)
    ]
    return pa.schema(fields, metadata={"gym_p2p.table": name, "gym_p2p.row": table.row})


def codebook_data() -> dict[str, Any]:
    """Return the codebook as plain data."""
    return {
        table.name: {
            "row": table.row,
            "columns": [
                {
                    "name": column.name,
                    "type": TYPE_WORDS[column.type],
                    "unit": column.unit or None,
                    "meaning": _meaning(column),
                    "null": column.null or None,
                }
                for column in _columns(table)
            ],
        }
        for table in TABLES.values()
    }


def codebook_markdown() -> str:
    """Return the codebook as Markdown, a section a table."""
    return "\n".join(line for table in TABLES.values() for line in _markdown(table))


def _markdown(table: TableText) -> Iterator[str]:
    yield f"## `{table.name}`\n\n{table.row}\n"
    yield "| column | type | unit | meaning | null |\n|---|---|---|---|---|"
    for column in _columns(table):
        cells = (TYPE_WORDS[column.type], column.unit, _meaning(column), column.null or "never")
        yield f"| `{column.name}` | " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _columns(table: TableText) -> tuple[Column, ...]:
    return (*table.columns, OBSERVATION) if table is FRAMES else table.columns


def _meaning(column: Column) -> str:
    text = column.meaning
    for name, kinds in _KINDS_OF.items():
        listed = "; ".join(f"`{kind}`: {meaning}" for kind, meaning in kinds.items())
        text = text.replace(name, f"{listed}.")
    return text
