"""The settings of the service: where it listens, how its queues are run, who may come in."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs

from gym_p2p.config.checks import (
    absolute_path,
    in_range,
    is_a,
    is_boolean,
    is_path,
    is_text,
    one_of,
    optional,
    secret_text,
    whole_in_range,
)
from gym_p2p.config.ice import IceServer, ice_servers, require_turn_credentials
from gym_p2p.config.secret import Secret, as_secret
from gym_p2p.errors import ConfigurationError

__all__ = ["DEFAULT_DATA_DIR", "MatchmakingConfig", "PseudonymChoice", "ServiceConfig"]

DEFAULT_DATA_DIR = "p2p-server-data"


@attrs.frozen(kw_only=True)
class MatchmakingConfig:
    """How a queue is run, whatever matchmaker chooses in it."""

    group_size: int = attrs.field(default=2, validator=whole_in_range(2, 16))
    """Players in a match; each pair of them is probed."""
    give_up_after_s: float | None = attrs.field(default=60.0, validator=optional(in_range(0.1, 86_400)))
    """How long anybody waits for a match; ``None`` lets them wait until they leave."""
    relay_after_s: float | None = attrs.field(default=None, validator=optional(in_range(0, 86_400)))
    """From which wait on a pair that found no direct way is probed over a relay; ``None``: there is none."""
    probe: Literal["threshold", "always", "never"] = attrs.field(
        default="threshold", validator=one_of("threshold", "always", "never")
    )
    """Whether pairs are probed: if the matchmaker has a threshold, always, or never."""
    cooldown_s: float = attrs.field(default=30.0, validator=in_range(0.1, 3600))
    """How long a failed or rejected pair is put off: a bad minute on a wireless link is no ban."""
    pass_over_s: float = attrs.field(default=5.0, validator=in_range(0.1, 3600))
    """How long a pair is put off for which the hook voted "next"."""
    trust_measured_s: float = attrs.field(default=60.0, validator=in_range(0, 3600))
    """How long a measured pair needs no other probe."""
    probe_timeout_s: float = attrs.field(default=20.0, validator=in_range(0.1, 600))
    """A probe without a result has failed by then; above the 18 s in which every probe ends by itself."""
    probe_budget: int = attrs.field(default=12, validator=whole_in_range(1, 10_000))
    """Probes of one subject within the window: what the service grants a client."""
    probe_budget_window_s: float = attrs.field(default=600.0, validator=in_range(1, 86_400))
    hook_timeout_s: float = attrs.field(default=5.0, validator=in_range(0.1, 600))
    """A hook that has not answered by then has rejected."""


def _data_dir(path: str | os.PathLike[str]) -> str:
    resolved: str = absolute_path("data_dir", path)
    return resolved


PseudonymChoice = bool | str | Mapping[str, str] | Callable[[str], str | None]
"""Where pseudonyms come from: see :attr:`ServiceConfig.pseudonyms`."""


def _pseudonyms(choice: Any) -> Any:
    return (
        MappingProxyType(dict(choice)) if isinstance(choice, Mapping) else absolute_path("pseudonyms", choice)
    )


def _is_choice(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    wanted = "true, false, the path of a table, a mapping of subjects to pseudonyms, or a function"
    if not (isinstance(value, bool | Mapping) or (isinstance(value, str) and value) or callable(value)):
        raise ConfigurationError(attribute.name, f"wanted {wanted}, got a {type(value).__name__}")


def _texts(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


def _origins(_instance: Any, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    for origin in value:
        if not isinstance(origin, str) or not origin.startswith(("http://", "https://")) or "*" in origin:
            raise ConfigurationError(
                attribute.name, f"wanted origins such as 'https://lab.example', never '*', got {origin!r}"
            )


_MIN_SECRET_CHARS = 32
"""128 bits in hexadecimal."""


@attrs.frozen(kw_only=True)
class ServiceConfig:
    """The settings of ``gym-p2p serve``.

    Without a ``join_secret`` the service is a laboratory: whoever reaches it takes part, under any name that
    they like. So it then listens on loopback alone, unless ``open`` shows that this is meant.
    """

    host: str = attrs.field(default="127.0.0.1", validator=is_text)
    """The address to listen on; beyond loopback it takes a ``join_secret``, or ``open``."""
    open: bool = attrs.field(default=False, validator=is_boolean)
    """Let every machine that reaches the service take part; not together with ``join_secret``."""
    join_secret: Secret | None = attrs.field(
        default=None, converter=as_secret, validator=optional(secret_text(_MIN_SECRET_CHARS)), repr=False
    )
    """Signs the join tokens; with it nobody takes part without one."""
    experiment: str = attrs.field(default="default", validator=is_text)
    """What a join token has to be for."""
    private_candidates: bool | None = attrs.field(default=None, validator=optional(is_boolean))
    """Whether the players may send each other loopback and private addresses: right on one machine or in one
    network, wrong on the Internet. ``None``: in a laboratory yes, with a ``join_secret`` no."""
    turn_secret: Secret | None = attrs.field(
        default=None, converter=as_secret, validator=optional(secret_text(_MIN_SECRET_CHARS)), repr=False
    )
    """Shared with the TURN servers (coturn's ``static-auth-secret``); with it every player gets credentials
    of their own for those that have no fixed ones."""
    turn_probe_lifetime_s: float = attrs.field(default=120.0, validator=in_range(1, 86_400))
    """Of the TURN credentials for a probe. A TURN server looks at it only when an allocation begins."""
    turn_match_lifetime_s: float = attrs.field(default=600.0, validator=in_range(1, 86_400))
    """Of the TURN credentials for a match. Players get others for a path that breaks later."""
    port: int = attrs.field(default=8765, validator=whole_in_range(0, 65_535))
    """0 picks a free one."""
    data_dir: str = attrs.field(default=DEFAULT_DATA_DIR, converter=_data_dir, validator=is_path)
    """Where uploaded documents, aggregates and the token secret are kept: a folder, as seen from the working
    directory of now."""
    ice_servers: tuple[IceServer, ...] = attrs.field(default=(), converter=ice_servers)
    """Handed to the players with every match. None by default: host candidates only."""
    relay_only: bool = attrs.field(default=False, validator=is_boolean)
    """Let the players use relay candidates alone, so that they never learn each other's address."""
    relay_messages: bool = attrs.field(default=True, validator=is_boolean)
    """Pass messages of a match on between players who have no better way to each other."""
    cors_origins: tuple[str, ...] = attrs.field(default=(), converter=_texts, validator=_origins)
    """Web origins, other than the service's own, whose pages may connect."""
    max_upload_bytes: int = attrs.field(default=64 * 2**20, validator=whole_in_range(1024, 2**32))
    """The largest document, before and after decompression."""
    upload_quota_bytes: int | None = attrs.field(
        default=None, validator=optional(whole_in_range(1024, 2**60))
    )
    """What all documents together may take up in ``data_dir``; ``None`` is as much as the disk has. A player
    whose document does not fit keeps it, and hands it in once there is room."""
    token_lifetime_s: float = attrs.field(default=30 * 86_400.0, validator=in_range(1, 10 * 365 * 86_400))
    """How long after a match its documents are accepted (a player's machine may be off for a while)."""
    register_timeout_s: float | None = attrs.field(default=10.0, validator=optional(in_range(0.1, 3600)))
    """A socket that has not registered by then is dropped; ``None`` keeps it."""
    events_per_s: float = attrs.field(default=30.0, validator=in_range(0.1, 1e6))
    """Sustained events from one socket; what goes beyond is dropped, with an error in reply."""
    event_burst: int = attrs.field(default=100, validator=whole_in_range(1, 1_000_000))
    """Events that one socket may send at once: two peers' trickled candidates fit in."""
    pseudonyms: PseudonymChoice = attrs.field(
        default=False, converter=_pseudonyms, validator=_is_choice, repr=False, hash=False
    )
    """Whether players, spectators, documents and logs of decisions know the subjects by pseudonyms alone.
    ``True`` makes them with a key in ``data_dir``, the same for as long as that is kept; a table (a mapping,
    or the path of a CSV or JSON file) gives them, and so does a function of a subject's id, which answers at
    once. Whoever has none by these (``None``) gets one made with the key. ``data_dir`` keeps who is who."""
    matchmaking: MatchmakingConfig = attrs.field(factory=MatchmakingConfig, validator=is_a(MatchmakingConfig))
    """How the queues are run; their ``group_size`` is each queue's number of seats."""
    log_decisions: bool = attrs.field(default=True, validator=is_boolean)
    """Whether the queues' decisions are appended to ``decisions.jsonl`` in the data directory."""
    joins_per_s: float = attrs.field(default=1.0, validator=in_range(0.01, 1e6))
    """Sustained joins of rooms and queues by one subject."""
    join_burst: int = attrs.field(default=3, validator=whole_in_range(1, 1_000_000))
    """Joins of one subject at once: a refused one and its repetition fit in."""
    connects_per_s: float = attrs.field(default=50.0, validator=in_range(0.1, 1e6))
    """Sustained new connections from one address; those beyond it are answered 429. Behind a proxy on this
    machine the address is the one in its ``X-Forwarded-For``; behind another one, all players have one."""
    connect_burst: int = attrs.field(default=256, validator=whole_in_range(1, 1_000_000))
    """New connections from one address at once: a laboratory that comes back after a restart fits in."""

    def __attrs_post_init__(self) -> None:
        """Refuse what only looks safe, and what could not work."""
        if self.turn_secret is None:
            require_turn_credentials(self.ice_servers, "or a turn_secret that they are made from")
        if self.relay_only and not any(server.is_turn for server in self.ice_servers):
            raise ConfigurationError(
                "relay_only", "wanted a TURN server among ice_servers: without one nobody could connect"
            )
        if self.open and self.join_secret is not None:
            raise ConfigurationError("open", "not together with a join secret: either all come in, or some")
        if not (self.open or self.join_secret is not None or self.on_loopback):
            raise ConfigurationError(
                "host",
                f"{self.host} is reached by other machines, and without join_secret everybody there could "
                "take part under any name: set one, or say that this is meant (open)",
            )

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine reaches the service."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def passes_private_candidates(self) -> bool:
        """Whether loopback and private addresses are passed on, with the default worked out."""
        return self.join_secret is None if self.private_candidates is None else self.private_candidates
