"""The decision log: one JSON line for every decision of the queues, made and rejected.

It knows a file. What stands in a record is for :mod:`gym_p2p.core.matchmaking.decision_log` to decide;
``gym-p2p matchmaking replay`` reads it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from gym_p2p.exports.files import disk_problem

__all__ = ["DecisionLog"]

_LOG = logging.getLogger(__name__)


class DecisionLog:
    """A file to which records are appended; made at the first one, in a folder that exists.

    A disk that is full or gone is reported once, and does not stop the queues.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._failed = False

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record."""
        if self._failed:
            return
        try:
            if self._file is None:
                self._file = self._path.open("a", encoding="utf-8")
            self._file.write(json.dumps(record, separators=(",", ":")) + "\n")
            self._file.flush()
        except OSError as error:
            self._failed = True
            _LOG.error("decisions are no longer logged to %s: %s", self._path, disk_problem(error))

    def close(self) -> None:
        """Close the file. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
