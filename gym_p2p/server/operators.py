"""Operator tokens: who may look into a running service.

Sealed with the secret of the service's data directory, so that whoever can read that may look, and nobody
else. Short-lived, for they travel in a header. It knows no HTTP, and not what there is to see.
"""

from __future__ import annotations

import hashlib
import hmac

import attrs
import msgspec

from gym_p2p.server.tokens import seal, unseal

__all__ = ["OperatorTokens"]

_PURPOSE = b"gym_p2p operator token"
"""Keeps one secret's tokens of different kinds apart: a player's upload token opens nothing here."""


@attrs.frozen(kw_only=True)
class _Claims:
    expires_at: float
    """Unix seconds."""


class OperatorTokens:
    """Issues and verifies the operator tokens of one service.

    Args:
        secret: of its data directory.
    """

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, _PURPOSE, hashlib.sha256)

    def issue(self, *, expires_at: float) -> str:
        """Return a token that is good until then (Unix seconds)."""
        return seal(self._key, msgspec.json.encode(_Claims(expires_at=expires_at)))

    def verify(self, token: str, *, now: float) -> bool:
        """Tell whether a token lets its bearer look.

        Args:
            token: what the client showed.
            now: Unix seconds.
        """
        body = unseal(self._key, token)
        if body is None:
            return False
        try:
            return now < msgspec.json.decode(body, type=_Claims).expires_at
        except ValueError:
            return False
