"""A table: Arrow inside, and the ways out of it."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from gym_p2p.config.extras import how_to_install
from gym_p2p.errors import UsageError
from gym_p2p.files.private import make_folder
from gym_p2p.files.problems import telling_the_disk
from gym_p2p.files.whole import replacing

__all__ = ["Table"]

_BATCH_ROWS = 2**16


class Table:
    """A table; whatever an Arrow table can do, it can: ``table["column"]``, ``num_rows``, ``filter``.

    Attributes:
        name: of the codebook.
        arrow: the ``pyarrow.Table``; every field's metadata holds its meaning and unit.
    """

    def __init__(self, name: str, arrow: pa.Table) -> None:
        self.name = name
        self.arrow = arrow

    def __getattr__(self, name: str) -> Any:
        """Return what the Arrow table has."""
        if name == "arrow" or name.startswith("__"):  # while it is unpickled or copied
            raise AttributeError(name)
        return getattr(self.arrow, name)

    def __getitem__(self, column: str | int) -> pa.ChunkedArray:
        """Return a column."""
        return self.arrow[column]

    def __len__(self) -> int:
        """How many rows there are."""
        return int(self.arrow.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield every row as a dict."""
        for batch in self.arrow.to_batches(max_chunksize=_BATCH_ROWS):
            yield from batch.to_pylist()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Hand the table to whoever speaks Arrow's C interface: polars, DuckDB, pandas."""
        return self.arrow.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        """Say what it is."""
        return f"<{self.name}: {self.num_rows:,} rows of {', '.join(self.arrow.column_names)}>"

    def pandas(self) -> Any:
        """Return a ``pandas.DataFrame``.

        Raises:
            UsageError: pandas is not installed.
        """
        _import("pandas")
        return self.arrow.to_pandas()

    def polars(self) -> Any:
        """Return a ``polars.DataFrame``.

        Raises:
            UsageError: polars is not installed.
        """
        return _import("polars").from_arrow(self.arrow)

    def to_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Write a Parquet file that appears whole or not at all; return its path.

        Raises:
            NotWritten: it could not be written.
        """
        target = Path(path).absolute()
        with telling_the_disk(target):
            make_folder(target.parent)
            with replacing(target) as file:
                pq.write_table(self.arrow, file)
        return target

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write a CSV file (UTF-8, a line of names, null an empty cell, text quoted); return its path.

        Texts of others (ids, reasons) stand there as they are, so that they still join and compare; to a
        spreadsheet a cell that begins with ``=``, ``+``, ``-`` or ``@`` may be a formula: import as text.

        Raises:
            NotWritten: it could not be written.
        """
        target = Path(path).absolute()
        with telling_the_disk(target):
            make_folder(target.parent)
            with replacing(target) as file:
                pacsv.write_csv(_plain(self.arrow), file)
        return target


def _plain(table: pa.Table) -> pa.Table:
    """Return a table without what CSV has no cells for."""
    columns, fields = [], []
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_dictionary(field.type):
            column = column.cast(pa.string())  # noqa: PLW2901 - the same column
        elif pa.types.is_list(field.type):
            texts = [None if value is None else json.dumps(value) for value in column.to_pylist()]
            column = pa.chunked_array([pa.array(texts, pa.string())])  # noqa: PLW2901 - the same column
        columns.append(column)
        fields.append(field.name)
    return pa.Table.from_arrays(columns, names=fields)


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(f"{module} is not installed: {how_to_install(module)}") from error
