"""Rows of plain values as Arrow tables. A value that has no place in its column is null, whatever it was."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from gym_p2p.study.codebook.codebook import schema

__all__ = ["json_text", "label_column", "table_of", "tables_joined", "whole_ms"]

_MAX_MS = 7_258_118_400_000
"""The year 2200: what counts nanoseconds from 1970 in 64 bits ends in 2262."""


def table_of(name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return rows as a table of the codebook; keys that are missing are null."""
    listed, wanted = list(rows), schema(name)
    columns = [_column([row.get(field.name) for row in listed], field.type) for field in wanted]
    return pa.Table.from_arrays(columns, schema=wanted)


def tables_joined(name: str, tables: Sequence[pa.Table]) -> pa.Table:
    """Return tables of one name as one."""
    if not tables:
        return schema(name).empty_table()
    return pa.concat_tables(tables).unify_dictionaries()


def whole_ms(value: float | None) -> int | None:
    """Return a Unix time in whole milliseconds; ``None`` of what no clock of today can have said."""
    if value is None or not 0 <= value < _MAX_MS:
        return None
    return round(value)


def json_text(value: Any) -> str | None:
    """Return a plain value as JSON; ``None`` stays."""
    return None if value is None else msgspec.json.encode(value).decode()


def label_column(indices: Any, labels: Sequence[str | None]) -> pa.Array:
    """Return a dictionary column; ``indices`` point into ``labels``, of which a ``None`` is null."""
    known = [label for label in labels if label is not None]
    places = {label: place for place, label in enumerate(known)}
    moved = [-1 if label is None else places[label] for label in labels]
    mapped = np.asarray(moved, np.int32)[np.asarray(indices, np.int64)]
    codes = pa.array(mapped, pa.int32(), mask=mapped < 0)
    return pa.DictionaryArray.from_arrays(codes, _column(known, pa.string()))


def _column(values: list[Any], wanted: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, wanted)
    except (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError):
        return pa.array([_fitting(value, wanted) for value in values], wanted)


def _fitting(value: Any, wanted: pa.DataType) -> Any:
    if isinstance(value, str):  # half a surrogate pair is no text
        value = value.encode("utf-8", "replace").decode()
    if isinstance(value, float) and pa.types.is_integer(wanted):
        value = int(value) if math.isfinite(value) and value.is_integer() else None
    try:
        pa.array([value], wanted)
    except (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError):
        return None
    return value
