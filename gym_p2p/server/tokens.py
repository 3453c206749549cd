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

__all__ = ["Claims", "TokenSigner", "load_secret"]

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
        body = _encode(msgspec.json.encode(claims))
        return f"{body}.{_encode(self._sign(body))}"

    def verify(self, token: str, *, now: float) -> Claims | None:
        """Return what a token says, or ``None`` when it is not ours, was changed, or has expired.

        Args:
            token: what the client showed.
            now: Unix seconds.
        """
        if len(token) > _MAX_TOKEN_CHARS or not token.isascii():
            return None
        body, _, signature = token.partition(".")
        if not hmac.compare_digest(_encode(self._sign(body)), signature):
            return None
        try:
            claims = msgspec.json.decode(_decode(body), type=Claims)
        except (ValueError, binascii.Error):
            return None
        return claims if now < claims.expires_at else None

    def _sign(self, body: str) -> bytes:
        return hmac.digest(self._secret, body.encode("ascii"), hashlib.sha256)


def load_secret(directory: Path) -> bytes:
    """Return the directory's secret, made at the first call and readable by its owner alone.

    Several processes may call this at once: all get the same secret.

    Raises:
        OSError: the directory cannot be read or written, or its secret is damaged.
    """
    path = directory / _SECRET_NAME
    if not path.exists():
        _publish(path, secrets.token_bytes(_SECRET_BYTES))
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
