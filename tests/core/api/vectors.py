"""The test vectors of the service's wire, which others hold their clients against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["VECTORS", "cases"]

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "docs" / "vectors" / "service.json").read_text()
)


def cases(side: str, kind: str) -> list[Any]:
    """Return the payloads of one kind that one side sends, with their events."""
    return [(event, payload) for event, table in VECTORS[side].items() for payload in table[kind]]
