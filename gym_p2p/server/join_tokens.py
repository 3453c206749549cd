"""Join tokens: who may take part in which experiment, until when; signed by whoever invites the players.

A token is two base64url parts, the claims as JSON and their HMAC-SHA256, so that the one who invites (a web
page's server, ``gym-p2p token``) needs nothing but the secret. It knows no socket.
"""

from __future__ import annotations

import hashlib
import hmac

import attrs
import msgspec

from gym_p2p.core.lobby import is_public_id
from gym_p2p.errors import ConfigurationError
from gym_p2p.server.tokens import seal, unseal

__all__ = ["JoinClaims", "JoinTokens"]

_PURPOSE = b"gym_p2p join token"
"""Keeps one secret's tokens of different kinds apart."""


@attrs.frozen(kw_only=True)
class JoinClaims:
    """What a join token says."""

    experiment: str
    subject_id: str
    expires_at: float
    """Unix seconds."""
    token_id: str
    """Makes two tokens of one subject differ, and one traceable to whom it was given."""


class JoinTokens:
    """Issues and verifies the join tokens of one experiment.

    Args:
        secret: shared by those who invite and the service.
        experiment: what a token has to be for.
    """

    def __init__(self, secret: str, experiment: str) -> None:
        self._key = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)
        self._experiment = experiment

    def issue(self, subject_id: str, *, expires_at: float, token_id: str) -> str:
        """Return a token.

        Raises:
            ConfigurationError: there can be no such subject.
        """
        if not is_public_id(subject_id):
            raise ConfigurationError(
                "subject", f"wanted 1 to 128 of A-Z a-z 0-9 . _ : @ + -, got {subject_id!r}"
            )
        claims = JoinClaims(
            experiment=self._experiment, subject_id=subject_id, expires_at=expires_at, token_id=token_id
        )
        return seal(self._key, msgspec.json.encode(claims))

    def verify(self, token: str, *, now: float) -> JoinClaims | None:
        """Return what a token says, or ``None`` when it does not let its bearer in.

        Args:
            token: what the client showed.
            now: Unix seconds.
        """
        body = unseal(self._key, token)
        if body is None:
            return None
        try:
            claims = msgspec.json.decode(body, type=JoinClaims)
        except ValueError:
            return None
        valid = claims.experiment == self._experiment and is_public_id(claims.subject_id)
        return claims if valid and now < claims.expires_at else None
