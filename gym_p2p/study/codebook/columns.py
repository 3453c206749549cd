"""Columns of tables, and what several of them share: the words of the codebook."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import attrs

__all__ = ["MATCH", "NOT_SAID", "NO_DOCUMENT", "NO_SESSION", "TYPE_WORDS", "Column", "TableText"]

Type = Literal["string", "label", "int", "float", "bool", "time", "json", "floats"]

TYPE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "string": "string",
        "label": "string (dictionary)",
        "int": "int64",
        "float": "float64",
        "bool": "bool",
        "time": "timestamp (ms, UTC)",
        "json": "string (JSON)",
        "floats": "list of float64",
    }
)


@attrs.frozen
class Column:
    """A column of a table.

    Attributes:
        name: as it stands in the table.
        type: see ``TYPE_WORDS``.
        meaning: what a value says.
        null: what it means that there is none; empty where there always is one.
        unit: of a number.
    """

    name: str
    type: Type
    meaning: str
    null: str = ""
    unit: str = ""


@attrs.frozen
class TableText:
    """A table: what one row stands for, and its columns."""

    name: str
    row: str
    columns: tuple[Column, ...]


MATCH = Column("match", "string", "The match's id (gameId).")
NO_DOCUMENT = "No document of this player was read, or it does not say."
NOT_SAID = "The documents do not say (those of version 1 do not)."
NO_SESSION = "No session document of this player was read."
