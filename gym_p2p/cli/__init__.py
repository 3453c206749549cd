"""The ``gym-p2p`` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    try:
        # Here, not above: it takes a second, and a Ctrl-C meanwhile is no reason for a traceback.
        from gym_p2p.cli import commands  # noqa: PLC0415  # see above

        return commands.run(argv)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
