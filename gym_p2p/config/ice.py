"""STUN and TURN servers, as players and service are configured with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from gym_p2p.config.checks import is_text, optional, secret_text
from gym_p2p.config.mappings import from_mapping
from gym_p2p.errors import ConfigurationError

__all__ = ["IceServer", "ice_servers"]


def _urls(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(kw_only=True)
class IceServer:
    """A STUN or TURN server, as in W3C's ``RTCIceServer``."""

    urls: tuple[str, ...] = attrs.field(converter=_urls)
    username: str | None = attrs.field(default=None, validator=optional(is_text))
    credential: str | None = attrs.field(default=None, validator=optional(secret_text(1)), repr=False)

    @urls.validator
    def _check_urls(self, _attribute: attrs.Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
        for url in value:
            if not isinstance(url, str) or url.split(":", 1)[0] not in {"stun", "stuns", "turn", "turns"}:
                raise ConfigurationError("urls", f"wanted stun:, stuns:, turn: or turns: URLs, got {url!r}")


def ice_servers(value: Any) -> tuple[IceServer, ...]:
    """Convert servers, or the mappings of servers.

    >>> ice_servers([{"urls": "stun:stun.example"}])
    (IceServer(urls=('stun:stun.example',), username=None),)

    Raises:
        ConfigurationError: it is no list of them.
    """
    if isinstance(value, str | Mapping | IceServer) or not isinstance(value, Iterable):
        kind = type(value).__name__  # not what came: it may hold a credential
        raise ConfigurationError("ice_servers", f"wanted a list of servers, got a {kind}")
    return tuple(s if isinstance(s, IceServer) else from_mapping(IceServer, s) for s in value)
