"""Signed, self-contained tokens: what somebody may do, said in claims that only the service can have signed.

A token is two base64url parts, the claims as JSON and their HMAC-SHA256, so that whoever invites players (a
web page's server, ``gym-p2p token``) needs nothing but the secret. What a token is for is part of its key:
one secret's tokens for different purposes open nothing of each other's.

This module knows no HTTP, no socket and no room, and not what there is to see.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

import attrs
import msgspec

from gym_p2p.config.public_ids import public_id_problem
from gym_p2p.core.service.match_claims import MatchClaims
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError
from gym_p2p.files.whole import write_bytes

__all__ = [
    "JoinClaims",
    "OperatorClaims",
    "PlayerClaims",
    "SignedMatchTokens",
    "TokenSigner",
    "UploadClaims",
    "load_secret",
    "read_secret",
]

_SECRET_BYTES = 32  # as long as the hash, RFC 2104 section 3
_SECRET_NAME = ".token-secret"  # noqa: S105  # a file's name
_MAX_TOKEN_CHARS = 16 * 1024
"""64 seat ids of 128 characters fit; a header line beyond it is refused unread."""


@attrs.frozen(kw_only=True)
class UploadClaims:
    """Who may store which player's documents.

    Signed with the secret of the data directory, so that a document which a player's machine kept while the
    service was away is still accepted after the service's restart.
    """

    PURPOSE: ClassVar = b"gym_p2p upload token"

    match_id: str
    player_id: SeatId
    player_ids: tuple[SeatId, ...]
    """Every player of the match, in seat order."""
    subject_ids: tuple[str, ...] = ()
    """Who these are to the service, for the aggregate; empty in a token of an earlier release."""
    expires_at: float
    """Unix seconds."""
    folder: str | None = None
    """What the match's folder is called; ``None`` in tokens of older services: as the match."""
    made_at: float | None = None
    """When the match was made, in Unix seconds; ``None`` in tokens of older services."""


@attrs.frozen(kw_only=True)
class PlayerClaims:
    """Who plays which match, to be taken back into it by a service that knows it no more.

    Signed with the secret of the data directory, which a restarted service has, too.
    """

    PURPOSE: ClassVar = b"gym_p2p match token"

    place: MatchClaims
    expires_at: float
    """Unix seconds."""


@attrs.frozen(kw_only=True)
class OperatorClaims:
    """Whoever holds it may look into a running service; short-lived, for it travels in a header.

    Signed with the secret of the data directory, so that whoever can read that may look, and nobody else.
    """

    PURPOSE: ClassVar = b"gym_p2p operator token"

    expires_at: float
    """Unix seconds."""


@attrs.frozen(kw_only=True)
class JoinClaims:
    """Who may take part in which experiment; signed with the secret of whoever invites the players.

    Raises:
        ConfigurationError: there can be no such subject.
    """

    PURPOSE: ClassVar = b"gym_p2p join token"

    experiment: str
    subject_id: str
    expires_at: float
    """Unix seconds."""
    token_id: str
    """Makes two tokens of one subject differ, and one traceable to whom it was given."""

    def __attrs_post_init__(self) -> None:
        problem = public_id_problem(self.subject_id)
        if problem is not None:
            raise ConfigurationError("subject", problem)


class _Claims(Protocol):
    PURPOSE: ClassVar[bytes]

    @property
    def expires_at(self) -> float: ...


_C = TypeVar("_C", bound=_Claims)


class TokenSigner(Generic[_C]):
    """Issues and verifies the tokens of one kind with one secret.

    Args:
        secret: whoever has it can make tokens.
        kind: the class of their claims.
    """

    def __init__(self, secret: bytes, kind: type[_C]) -> None:
        self._key = hmac.digest(secret, kind.PURPOSE, hashlib.sha256)
        # Made here, for tokens are verified by threads: see :func:`gym_p2p.core.api.payloads.prepare`.
        self._decoder = msgspec.json.Decoder(kind)

    def issue(self, claims: _C) -> str:
        """Return the token that says this, as text that fits into a header."""
        body = _encode(msgspec.json.encode(claims))
        return f"{body}.{self._signature(body)}"

    def verify(self, token: str, *, now: float) -> _C | None:
        """Return what a token says, or ``None`` when it is not ours, was changed, or has expired.

        Takes the same time whatever is wrong with a signature.

        Args:
            token: what the client showed.
            now: Unix seconds.
        """
        if len(token) > _MAX_TOKEN_CHARS or not token.isascii():
            return None
        body, _, signature = token.partition(".")
        if not hmac.compare_digest(self._signature(body), signature):
            return None
        try:
            claims = self._decoder.decode(_decode(body))
        except (ValueError, RecursionError):  # of base64 (``binascii.Error`` is a ValueError), or of JSON
            return None
        return claims if now < claims.expires_at else None

    def _signature(self, body: str) -> str:
        return _encode(hmac.digest(self._key, body.encode("ascii"), hashlib.sha256))


class SignedMatchTokens:
    """Players' claims of their matches, signed with a data directory's secret.

    Args:
        secret: of that directory.
        lifetime_s: for how long they count.
        now: Unix seconds.
    """

    def __init__(self, secret: bytes, lifetime_s: float, *, now: Callable[[], float] = time.time) -> None:
        self._signer = TokenSigner(secret, PlayerClaims)
        self._lifetime_s = lifetime_s
        self._now = now

    def issue(self, claims: MatchClaims) -> str | None:
        """Return them signed; ``None`` where they are too long to be shown."""
        token = self._signer.issue(PlayerClaims(place=claims, expires_at=self._now() + self._lifetime_s))
        return token if len(token) <= _MAX_TOKEN_CHARS else None

    def read(self, token: str) -> MatchClaims | None:
        """Return what a token says; ``None`` if it is not one of ours, or has expired."""
        claims = self._signer.verify(token, now=self._now())
        return None if claims is None else claims.place


def load_secret(directory: Path, name: str = _SECRET_NAME) -> bytes:
    """Return a secret of the directory, made at the first call and readable by its owner alone.

    Several processes may call this at once: all get the same secret.

    Args:
        directory: exists.
        name: of the secret's file; that of the tokens by default.

    Raises:
        OSError: the directory cannot be read or written, or its secret is damaged.
    """
    path = directory / name
    if not path.exists():
        _publish(path, secrets.token_bytes(_SECRET_BYTES))
    return read_secret(directory, name)


def read_secret(directory: Path, name: str = _SECRET_NAME) -> bytes:
    """Return a secret of the directory, where a service has made one.

    Raises:
        OSError: there is none, it cannot be read, or it is damaged.
    """
    path = directory / name
    secret = path.read_bytes()
    if len(secret) != _SECRET_BYTES:
        raise OSError(f"{path} is damaged: {len(secret)} bytes instead of {_SECRET_BYTES}")
    return secret


def _publish(path: Path, secret: bytes) -> None:
    """Make the file appear whole or not at all, unless another process was first."""
    # By a link, which replaces nothing, unlike a rename.
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        write_bytes(draft, [secret])
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
