"""How a person gets to their seat: what it is called, the link that is printed, the browser that opens."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
import webbrowser
from typing import Any
from urllib.parse import urlsplit

from gym_p2p.errors import ConfigurationError
from gym_p2p.human.words import require_words

__all__ = ["name_of", "open_browser", "print_link", "require_next_url"]

_VERSION = re.compile(r"[-_]v\d+$")
"""Of an environment; nobody who plays needs to know."""


def name_of(env: Any) -> str:
    """Return what an environment is called, for a person."""
    spec = getattr(env, "spec", None)
    told = getattr(spec, "id", None) or (getattr(env, "metadata", None) or {}).get("name")
    name = str(told or type(env).__name__)
    return _VERSION.sub("", name.rpartition("/")[2].rpartition(":")[2])


def require_next_url(url: str | None) -> None:
    """Pass where a page can lead there, from wherever it is itself; ``None`` leads nowhere.

    Raises:
        ConfigurationError: it cannot.
    """
    try:
        parts = None if url is None else urlsplit(require_words("next_url", url))
    except ValueError as error:  # brackets that are no address
        raise ConfigurationError("next_url", f"wanted http(s)://HOST[/PATH], got {url!r}") from error
    if parts is not None and (parts.scheme not in {"http", "https"} or not parts.netloc):
        raise ConfigurationError("next_url", f"wanted http(s)://HOST[/PATH], got {url!r}")


def print_link(url: str) -> None:
    """Print the link to a seat, to standard error."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"take the seat: {url}\n")
        sys.stderr.flush()


def open_browser(url: str) -> None:
    """Open the link in a browser, where somebody would see it."""
    if _has_screen():
        webbrowser.open(url)


def _has_screen() -> bool:
    """Whether a browser that is opened would be seen by somebody."""
    needs_display = platform.system() == "Linux"
    return not needs_display or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
