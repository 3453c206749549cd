"""Demos for a person, each a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

__all__ = ["demo_of"]


def demo_of(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    """Start one; return it and the link that it prints."""
    command = [sys.executable, "-m", "gym_p2p", "demo", "--human", "--no-browser", "--json", *arguments]
    demo = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert demo.stderr is not None
    for line in demo.stderr:
        found = re.search(r"http://\S+", line)
        if found:
            return demo, found[0]
    raise AssertionError("no link was printed")
