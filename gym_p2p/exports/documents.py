"""Documents as files: where they lie, and how they are written."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gym_p2p.core.record.documents import KINDS, Kind
from gym_p2p.errors import ConfigurationError
from gym_p2p.exports.encoding import encode
from gym_p2p.files.names import path_component
from gym_p2p.files.whole import write_bytes

__all__ = ["KINDS", "Kind", "document_path", "schema", "write_document"]


def document_path(directory: str | Path, game_id: str, player_id: str | int, kind: str) -> Path:
    """Return ``<directory>/<gameId>/<playerId>.<kind>.json``, whatever the ids are.

    Raises:
        ConfigurationError: there is no such kind of document.
    """
    return Path(directory) / path_component(game_id) / f"{path_component(player_id)}.{_kind(kind)}.json"


def schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a kind of document.

    Raises:
        ConfigurationError: there is no such kind of document.
    """
    resource = importlib.resources.files("gym_p2p").joinpath("schemas", f"{_kind(kind)}.schema.json")
    loaded: dict[str, Any] = json.loads(resource.read_text(encoding="utf-8"))
    return loaded


def write_document(path: Path, document: Mapping[str, Any] | msgspec.Struct) -> None:
    """Write a document as JSON, as :func:`write_bytes` does.

    Raises:
        OSError: the file could not be written; the old one is untouched.
    """
    write_bytes(path, encode(document))


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise ConfigurationError("kind", f"wanted one of {', '.join(KINDS)}, got {kind!r}")
    return kind
