"""What a process of ours is called where processes are listed."""

from __future__ import annotations

import contextlib
from pathlib import Path

__all__ = ["call_this_process"]


def call_this_process(name: str) -> None:
    """Have ``ps`` and ``top`` show what it is, where they can; 15 characters of it (proc(5), comm)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name)
