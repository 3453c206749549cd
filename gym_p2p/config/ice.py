"""STUN and TURN servers, as players and service are configured with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from gym_p2p.config.checks import is_text, optional, secret_text
from gym_p2p.config.mappings import from_mapping
from gym_p2p.config.secret import Secret, as_secret
from gym_p2p.errors import ConfigurationError

__all__ = ["IceServer", "ice_servers", "require_turn_credentials"]


_URL = re.compile(r"(stun|turn)s?:[^\s/?@]+(\?transport=\w+)?")
"""RFC 7064 and 7065, loosely."""


def _urls(value: str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        return (value,)
    return tuple(value)


@attrs.frozen(kw_only=True)
class IceServer:
    """A STUN or TURN server, as in W3C's ``RTCIceServer``."""

    urls: tuple[str, ...] = attrs.field(converter=_urls)
    username: str | None = attrs.field(default=None, validator=optional(is_text), repr=False)
    credential: Secret | None = attrs.field(
        default=None, converter=as_secret, validator=optional(secret_text(1)), repr=False
    )

    @property
    def is_turn(self) -> bool:
        """Whether it relays, for who has credentials."""
        return any(url.startswith(("turn:", "turns:")) for url in self.urls)

    @urls.validator
    def _check_urls(self, _attribute: attrs.Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
        if not value:
            raise ConfigurationError("urls", "wanted at least one URL")
        for url in value:
            if isinstance(url, str) and "@" in url:  # not shown: it may hold a credential
                raise ConfigurationError(
                    "urls", "wanted no '@': a TURN server's have username and credential"
                )
            if not isinstance(url, str) or _URL.fullmatch(url) is None:
                raise ConfigurationError("urls", f"wanted stun:, stuns:, turn: or turns: URLs, got {url!r}")


def require_turn_credentials(servers: Iterable[IceServer], otherwise: str = "") -> None:
    """Refuse TURN servers without username and credential, as W3C's ``RTCPeerConnection`` does.

    Args:
        servers: among them STUN servers, which want none.
        otherwise: what would do too, to be said.

    Raises:
        ConfigurationError: one has none.
    """
    for server in servers:
        if server.is_turn and (server.username is None or server.credential is None):
            words = " ".join(filter(None, ["wanted username and credential of the TURN server", otherwise]))
            raise ConfigurationError("ice_servers", f"{words}: {', '.join(server.urls)}")


def ice_servers(value: Any) -> tuple[IceServer, ...]:
    """Convert servers, or the mappings of servers.

    >>> ice_servers([{"urls": "stun:stun.example"}])
    (IceServer(urls=('stun:stun.example',)),)

    Raises:
        ConfigurationError: it is no list of them.
    """
    if isinstance(value, str | Mapping | IceServer) or not isinstance(value, Iterable):
        raise ConfigurationError("ice_servers", f"wanted a list of servers, got a {_kind(value)}")
    return tuple(_ice_server(server, index) for index, server in enumerate(value))


def _ice_server(value: Any, index: int) -> IceServer:
    if isinstance(value, IceServer):
        return value
    if not isinstance(value, Mapping):
        wanted = "a mapping such as {'urls': 'stun:stun.example'}"
        raise ConfigurationError("ice_servers", f"[{index}]: wanted {wanted}, got a {_kind(value)}")
    try:
        return from_mapping(IceServer, value)
    except ConfigurationError as error:
        raise ConfigurationError("ice_servers", f"[{index}]: {error}") from None


def _kind(value: Any) -> str:
    return type(value).__name__  # not what came: it may hold a credential
