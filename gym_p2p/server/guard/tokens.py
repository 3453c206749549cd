"""Signed, self-contained tokens of three kinds: to store documents, to take part, to look into the service.

* Upload tokens say who may store which player's documents. Their secret lives in the data directory, so that
  a document which a player's machine kept while the service was away is still accepted after the service's
  restart.
* Join tokens say who may take part in which experiment, until when; signed by whoever invites the players. A
  token is two base64url parts, the claims as JSON and their HMAC-SHA256, so that the one who invites (a web
  page's server, ``gym-p2p token``) needs nothing but the secret.
* Operator tokens say who may look into a running service. They are sealed with the secret of the data
  directory, so that whoever can read that may look, and nobody else; short-lived, for they travel in a
  header.

This module knows no HTTP, no socket and no match, and not what there is to see.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path

import attrs
import msgspec

from gym_p2p.core.api.replies import is_public_id
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError

__all__ = [
    "Claims",
    "JoinClaims",
    "JoinTokens",
    "OperatorTokens",
    "TokenSigner",
    "load_secret",
    "read_secret",
    "seal",
    "unseal",
]

_SECRET_BYTES = 32  # as long as the hash, RFC 2104 section 3
_SECRET_NAME = ".token-secret"  # noqa: S105  # a file's name
_MAX_TOKEN_CHARS = 16 * 1024
"""64 seat ids of 128 characters fit; a header line beyond it is refused unread."""


@attrs.frozen(kw_only=True)
class Claims:
    """What a token says."""

    match_id: str
    player_id: SeatId
    player_ids: tuple[SeatId, ...]
    """Every player of the match, in seat order."""
    expires_at: float
    """Unix seconds."""


class TokenSigner:
    """Issues and verifies tokens with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, claims: Claims) -> str:
        """Return the token that says this."""
        return seal(self._secret, msgspec.json.encode(claims))

    def verify(self, token: str, *, now: float) -> Claims | None:
        """Return what a token says, or ``None`` when it is not ours, was changed, or has expired.

        Args:
            token: what the client showed.
            now: Unix seconds.
        """
        body = unseal(self._secret, token)
        if body is None:
            return None
        try:
            claims = msgspec.json.decode(body, type=Claims)
        except ValueError:
            return None
        return claims if now < claims.expires_at else None


def seal(key: bytes, body: bytes) -> str:
    """Return a body with its signature, as text that fits into a header."""
    text = _encode(body)
    return f"{text}.{_encode(_sign(key, text))}"


def unseal(key: bytes, token: str) -> bytes | None:
    """Return the body of what :func:`seal` made with this key, else ``None``; takes the same time anyway."""
    if len(token) > _MAX_TOKEN_CHARS or not token.isascii():
        return None
    text, _, signature = token.partition(".")
    if not hmac.compare_digest(_encode(_sign(key, text)), signature):
        return None
    try:
        return _decode(text)
    except (ValueError, binascii.Error):
        return None


def _sign(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("ascii"), hashlib.sha256)


def load_secret(directory: Path) -> bytes:
    """Return the directory's secret, made at the first call and readable by its owner alone.

    Several processes may call this at once: all get the same secret.

    Raises:
        OSError: the directory cannot be read or written, or its secret is damaged.
    """
    path = directory / _SECRET_NAME
    if not path.exists():
        _publish(path, secrets.token_bytes(_SECRET_BYTES))
    return read_secret(directory)


def read_secret(directory: Path) -> bytes:
    """Return the directory's secret, where a service has made one.

    Raises:
        OSError: there is none, it cannot be read, or it is damaged.
    """
    path = directory / _SECRET_NAME
    secret = path.read_bytes()
    if len(secret) != _SECRET_BYTES:
        raise OSError(f"{path} is damaged: {len(secret)} bytes instead of {_SECRET_BYTES}")
    return secret


def _publish(path: Path, secret: bytes) -> None:
    """Make the file appear whole or not at all, unless another process was first."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


_OPERATOR_PURPOSE = b"gym_p2p operator token"
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
        self._key = hmac.digest(secret, _OPERATOR_PURPOSE, hashlib.sha256)

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


_JOIN_PURPOSE = b"gym_p2p join token"
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
        self._key = hmac.digest(secret.encode(), _JOIN_PURPOSE, hashlib.sha256)
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
