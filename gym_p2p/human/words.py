"""Texts of the caller's for a page: a title, a message, what a key does."""

from __future__ import annotations

from typing import Any

from gym_p2p.errors import ConfigurationError

__all__ = ["MOST_CHARACTERS", "require_words"]

MOST_CHARACTERS = 10_000
"""Of one text: more than anybody reads beside a game; it is sent again with whatever changes."""


def require_words(option: str, text: Any) -> str:
    """Return a text that a page can show.

    Raises:
        ConfigurationError: it is none, too long, or has a lone surrogate, which no encoding has.
    """
    if not isinstance(text, str):
        raise ConfigurationError(option, f"wanted a text, got {text!r}")
    if len(text) > MOST_CHARACTERS:
        raise ConfigurationError(option, f"wanted at most {MOST_CHARACTERS} characters, got {len(text)}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(option, f"{error.object[error.start]!r} is no character") from None
    return text
