"""Secrets as values of their own type, which no text shows by accident."""

from __future__ import annotations

import hmac

__all__ = ["Secret", "as_secret", "secret"]


class Secret:
    """A token, a credential or a shared key: it prints as ``***``, and only :meth:`reveal` gives it away.

    It equals another one, or a text, in constant time. No JSON encoder takes it. It can be pickled, for it
    has to reach the network process and a vector environment's workers: a pickle of a configuration is as
    secret as what is in it.

    >>> print(Secret("hush"), [Secret("hush")])
    *** [***]
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, for whom it is meant."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        text = other.reveal() if isinstance(other, Secret) else other
        if not isinstance(text, str):
            return NotImplemented
        return hmac.compare_digest(
            self._text.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass")
        )

    def __hash__(self) -> int:
        return hash(self._text)


def secret(value: str | Secret) -> Secret:
    """Return a text as a secret; one that is a secret already stays what it is."""
    return Secret(value) if isinstance(value, str) else value


def as_secret(value: str | Secret | None) -> Secret | None:
    """Convert a text, leave anything else to the validator."""
    return Secret(value) if isinstance(value, str) else value
