"""``python -m gym_p2p`` is the ``gym-p2p`` command."""

from __future__ import annotations

import sys

from gym_p2p.cli import main

if __name__ == "__main__":
    sys.exit(main())
