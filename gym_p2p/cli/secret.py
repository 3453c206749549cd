"""Secrets for the commands: from the environment or a file, never from arguments, which ``ps`` shows."""

from __future__ import annotations

import os
from pathlib import Path

from gym_p2p.errors import ConfigurationError

__all__ = ["JOIN_SECRET", "TURN_SECRET", "secret"]

JOIN_SECRET = "GYM_P2P_JOIN_SECRET"  # noqa: S105  # the name of a variable
TURN_SECRET = "GYM_P2P_TURN_SECRET"  # noqa: S105  # the name of a variable


def secret(variable: str) -> str | None:
    """Return the secret in this variable, or in the file that ``<variable>_FILE`` names; ``None``: no such.

    Raises:
        ConfigurationError: both are set, or the file cannot be read.
    """
    value, name = os.environ.get(variable), os.environ.get(f"{variable}_FILE")
    if value and name:
        raise ConfigurationError(variable, f"set it or {variable}_FILE, not both")
    if not name:
        return value or None
    try:
        return Path(name).read_text().strip() or None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise ConfigurationError(f"{variable}_FILE", f"cannot read {name}: {reason}") from None
