"""The decision log: one JSON line for every decision of the queues, made and rejected.

It knows a file. What stands in a record is for :mod:`gym_p2p.core.matchmaking.decision_log` to decide;
``gym-p2p matchmaking replay`` reads it.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from gym_p2p.files.private import private
from gym_p2p.files.problems import disk_problem
from gym_p2p.server.guard.client_log import client_log

__all__ = ["DecisionLog"]

_LOG = client_log(__name__)


class DecisionLog:
    """A file to which records are appended; made at the first one, in a folder that exists.

    A disk that is full or gone is reported once, and does not stop the queues. Once it is back, so is the
    log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()  # wherever the host goes meanwhile
        self._file: FileIO | None = None
        self._failing = False

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record, whole or not at all."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        try:
            if self._file is None:
                self._file = FileIO(self._path, "a", opener=private)
            self._write(self._file, line)
        except OSError as error:
            self.close()
            if not self._failing:
                _LOG.error("decisions are no longer logged to %s: %s", self._path, disk_problem(error))
            self._failing = True
            return
        if self._failing:
            _LOG.warning("decisions are logged to %s again; some are missing", self._path)
        self._failing = False

    def close(self) -> None:
        """Close the file; a later record opens it again. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    @staticmethod
    def _write(file: FileIO, line: bytes) -> None:
        whole_bytes = file.seek(0, os.SEEK_END)
        if file.write(line) != len(line):
            file.truncate(whole_bytes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
