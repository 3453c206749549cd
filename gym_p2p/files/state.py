"""Where a user's programs keep what should outlast them and belongs to no project."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["state_folder"]


def state_folder() -> Path | None:
    """Return this package's folder below the user's state folder; it need not be there. ``None``: no home.

    ``$XDG_STATE_HOME/gym_p2p``, or ``~/.local/state/gym_p2p`` (XDG Base Directory Specification 0.8).
    """
    named = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(named):  # noqa: PTH117 - of a name; one that is relative is to be ignored, by the same
        return Path(named) / "gym_p2p"
    try:
        return Path.home() / ".local" / "state" / "gym_p2p"
    except RuntimeError:
        return None
