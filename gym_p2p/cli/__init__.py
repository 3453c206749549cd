"""The ``gym-p2p`` command."""

import sys

try:
    from gym_p2p.cli.commands import main
except KeyboardInterrupt:  # while all of that is imported, before anybody could answer it
    print("interrupted", file=sys.stderr)
    sys.exit(130)

__all__ = ["main"]
