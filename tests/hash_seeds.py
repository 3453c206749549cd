"""The same program in processes whose hashes of strings differ, as those of other players' do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable

from tests.waiting import PATIENCE_S

__all__ = ["said_with"]


def said_with(seeds: Iterable[int], program: str) -> set[str]:
    """Run a program once with each of these hash seeds; return what it printed, whatever of it differs."""
    return {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=2 * PATIENCE_S,
            check=True,
        ).stdout
        for seed in seeds
    }
