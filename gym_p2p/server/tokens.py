"""Upload tokens: who may store which player's documents, signed and self-contained.

The secret lives in the data directory, so that a document which a player's machine kept while the service
was away is still accepted after the service's restart. This module knows no HTTP and no match.
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

from gym_p2p.core.announce import SeatId

__all__ = ["Claims", "TokenSigner", "load_secret", "read_secret", "seal", "unseal"]

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
