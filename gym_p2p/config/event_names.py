"""What a service's events are called on a server that it shares with a host's own."""

from __future__ import annotations

import re
from typing import Any

import attrs

from gym_p2p.errors import ConfigurationError

__all__ = ["EventNames", "is_event_prefix", "is_namespace"]

_PREFIX = re.compile(r"(?:[A-Za-z][A-Za-z0-9_:.-]{0,31})?")


def is_event_prefix(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Validate a field: what can stand before the name of an event."""
    if not isinstance(value, str) or _PREFIX.fullmatch(value) is None:
        wanted = "nothing, or a letter and up to 31 more letters, digits and _ : . -"
        raise ConfigurationError(attribute.name, f"wanted {wanted}, got {value!r}")


def is_namespace(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Validate a field: a namespace of Socket.IO's."""
    if not isinstance(value, str) or not value.startswith("/"):
        raise ConfigurationError(attribute.name, f"wanted '/' or a name that begins so, got {value!r}")


@attrs.frozen
class EventNames:
    """What a service's events are called where a host has mounted it among its own.

    Attributes:
        prefix: stands before every name, in both directions.
        namespace: Socket.IO's, in which they are.

    Raises:
        ConfigurationError: neither can be so.
    """

    prefix: str = attrs.field(default="", validator=is_event_prefix)
    namespace: str = attrs.field(default="/", validator=is_namespace)

    def of(self, event: str) -> str:
        """Return what an event is called there."""
        return self.prefix + event

    @property
    def another_prefix(self) -> str:
        """One that is not this one, to be named to whom this one does not suit."""
        return "p2p_" if self.prefix != "p2p_" else "peers_"
