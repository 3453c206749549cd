"""Configuration as values: validated when built, so that a built configuration is a valid one.

Every class goes to and from a plain mapping (:func:`to_mapping`, :func:`from_mapping`), because a
wrapper's constructor arguments must be plain data (``env.spec`` travels as JSON) and because a network
process gets its configuration over a pipe.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

import attrs

from gym_p2p.errors import ConfigurationError

__all__ = [
    "DEFAULT_SERVER_URL",
    "ExportConfig",
    "IceServer",
    "LinkConfig",
    "LinkEmulation",
    "MatchmakingConfig",
    "P2PConfig",
    "ServiceConfig",
    "SyncConfig",
    "TelemetryConfig",
    "config_from_options",
    "from_mapping",
    "to_mapping",
]

DEFAULT_SERVER_URL = "http://127.0.0.1:8765"
DEFAULT_ROOM = "default"

_T = TypeVar("_T")


def _number(low: float, high: float) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    def check(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigurationError(attribute.name, f"wanted a number, got {value!r}")
        if not low <= value <= high:
            raise ConfigurationError(attribute.name, f"wanted {low:g} to {high:g}, got {value!r}")

    return check


def _integer(low: int, high: int) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    def check(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigurationError(attribute.name, f"wanted a whole number, got {value!r}")
        if not low <= value <= high:
            raise ConfigurationError(attribute.name, f"wanted {low} to {high}, got {value!r}")

    return check


def _one_of(*allowed: str) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    def check(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value not in allowed:
            raise ConfigurationError(attribute.name, f"wanted one of {', '.join(allowed)}, got {value!r}")

    return check


def _optional(
    inner: Callable[[Any, attrs.Attribute[Any], Any], None],
) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None:
            inner(instance, attribute, value)

    return check


def _either(
    *checks: Callable[[Any, attrs.Attribute[Any], Any], None],
) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """Pass what one of the checks passes; the first one's complaint is raised."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        problems: list[ConfigurationError] = []
        for one in checks:
            try:
                one(instance, attribute, value)
            except ConfigurationError as problem:
                problems.append(problem)
            else:
                return
        raise problems[0]

    return check


def _boolean(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(attribute.name, f"wanted true or false, got {value!r}")


def _text(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(attribute.name, f"wanted a non-empty text, got {value!r}")


def _urls(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(kw_only=True)
class IceServer:
    """A STUN or TURN server, as in W3C's ``RTCIceServer``."""

    urls: tuple[str, ...] = attrs.field(converter=_urls)
    username: str | None = None
    credential: str | None = attrs.field(default=None, repr=False)

    @urls.validator
    def _check_urls(self, _attribute: attrs.Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
        for url in value:
            if not isinstance(url, str) or url.split(":", 1)[0] not in {"stun", "stuns", "turn", "turns"}:
                raise ConfigurationError("urls", f"wanted stun:, stuns:, turn: or turns: URLs, got {url!r}")


def _ice_servers(value: Any) -> tuple[IceServer, ...]:
    return tuple(s if isinstance(s, IceServer) else from_mapping(IceServer, s) for s in value)


@attrs.frozen(kw_only=True)
class LinkEmulation:
    """Delay, jitter and loss added to every datagram that this peer sends (demos and experiments).

    Both peers have to be given the same values for a symmetric path. It acts below ICE, so that
    measured round trips see it too.
    """

    one_way_ms: float = attrs.field(default=0.0, validator=_number(0, 10_000))
    jitter_ms: float = attrs.field(default=0.0, validator=_number(0, 10_000))
    """Mean of an exponentially distributed extra delay."""
    loss: float = attrs.field(default=0.0, validator=_number(0, 1))
    """Probability that a datagram is dropped."""
    seed: int = attrs.field(default=0, validator=_integer(0, 2**63 - 1))

    @property
    def active(self) -> bool:
        """Whether this changes anything."""
        return self.one_way_ms > 0 or self.jitter_ms > 0 or self.loss > 0


@attrs.frozen(kw_only=True)
class LinkConfig:
    """How peers reach each other."""

    ice_servers: tuple[IceServer, ...] = attrs.field(default=(), converter=_ice_servers)
    """Used in addition to those that the service hands out. None by default: host candidates only."""
    relay_only: bool = attrs.field(default=False, validator=_boolean)
    connect_timeout_s: float = attrs.field(default=15.0, validator=_number(0.1, 600))
    """From the match being found to every channel being open."""
    emulation: LinkEmulation = attrs.field(factory=LinkEmulation)


@attrs.frozen(kw_only=True)
class SyncConfig:
    """How the players' frames are kept together."""

    mode: Literal["auto", "lockstep", "rollback"] = attrs.field(
        default="auto", validator=_one_of("auto", "lockstep", "rollback")
    )
    """``lockstep``: a step waits for every player's input of its frame. ``rollback``: it returns at once,
    missing inputs are predicted, and what was played on a wrong one is played again. ``auto``: rollback if
    frames are paced (``fps``), every player's copy can be saved and restored exactly, and that fits into a
    frame; else lockstep."""
    input_delay: int | Literal["auto"] = attrs.field(
        default=0, validator=_either(_integer(0, 60), _one_of("auto"))
    )
    """Frames between giving an input and its effect; the first ones have the default action. ``auto``
    follows the measured delay and jitter (needs ``fps``)."""
    prediction_window: int = attrs.field(default=8, validator=_integer(1, 60))
    """Frames that are played on predicted inputs before a step waits. GGRS's default."""
    prediction: str = attrs.field(default="repeat_last", validator=_text)
    """The predictor of missing inputs: ``repeat_last``, ``default``, or a registered one."""
    view: Literal["predicted", "confirmed"] = attrs.field(
        default="predicted", validator=_one_of("predicted", "confirmed")
    )
    """What ``step`` shows where inputs are predicted: the frame of now, with provisional rewards, or the
    confirmed ones, final, each once and in order, as many frames late as the network makes them."""
    snapshot_hooks: Any = attrs.field(default=None)
    """The environment's own way to be saved and restored, tried first: ``(save, load)``, each the name of a
    method of ``env.unwrapped``, or a callable ``save(env) -> state`` and ``load(env, state)``."""
    isolate_random: bool = attrs.field(default=False, validator=_boolean)
    """Give an environment that draws from ``random`` or ``numpy.random`` streams of its own, seeded by
    ``reset`` and part of its state."""
    fps: float | None = attrs.field(default=None, validator=_optional(_number(0.01, 10_000)))
    """Paces ``step`` in real time; ``None`` is as fast as the players can."""
    checksum_interval: int | None = attrs.field(default=None, validator=_optional(_integer(1, 1_000_000)))
    """Frames between two compared checksums; ``None`` is half a second's worth (30 frames unpaced)."""
    on_peer_loss: Literal["truncate", "raise", "default_action", "stand_in"] = attrs.field(
        default="truncate", validator=_one_of("truncate", "raise", "default_action", "stand_in")
    )
    """When a player is gone: end the episode, raise ``PeerLost``, or play on without him, his seats taken by
    their default actions or by ``stand_in``."""
    stand_in: Any = attrs.field(default=None)
    """Plays the seats of players who are gone: ``stand_in(seat, observation, frame) -> action``, a function
    of its arguments alone and the same one at every player; a callable, or ``module:function``."""
    on_desync: Literal["continue", "truncate"] = attrs.field(
        default="continue", validator=_one_of("continue", "truncate")
    )
    disconnect_timeout_s: float = attrs.field(default=2.0, validator=_number(0.1, 600))
    """Silence after which a peer is lost. GGRS's default."""
    disconnect_notice_s: float = attrs.field(default=0.5, validator=_number(0.05, 600))
    """Silence after which a peer counts as interrupted. Below ``disconnect_timeout_s``."""
    input_timeout_s: float = attrs.field(default=300.0, validator=_number(0.1, 86_400))
    """The longest wait for a peer that is connected but gives no input (he may be thinking)."""
    room_timeout_s: float = attrs.field(default=300.0, validator=_number(0.1, 86_400))
    """The longest wait in a room for the other players."""

    @disconnect_notice_s.validator
    def _below_timeout(self, _attribute: attrs.Attribute[float], value: float) -> None:
        if value >= self.disconnect_timeout_s:
            raise ConfigurationError(
                "disconnect_notice_s",
                f"wanted less than disconnect_timeout_s ({self.disconnect_timeout_s:g})",
            )

    @input_delay.validator
    def _needs_frames(self, _attribute: attrs.Attribute[Any], value: Any) -> None:
        if value == "auto" and self.fps is None:
            raise ConfigurationError("input_delay", "'auto' needs fps: a delay in frames needs their length")

    @stand_in.validator
    def _stands_in(self, _attribute: attrs.Attribute[Any], value: Any) -> None:
        if (value is not None) != (self.on_peer_loss == "stand_in"):
            raise ConfigurationError("stand_in", "goes with on_peer_loss='stand_in', and that with it")

    @property
    def checked_every(self) -> int:
        """Frames between two compared checksums, with the default worked out."""
        if self.checksum_interval is not None:
            return self.checksum_interval
        return max(1, round(self.fps / 2)) if self.fps is not None else 30


@attrs.frozen(kw_only=True)
class TelemetryConfig:
    """How latency is measured while playing."""

    poll_interval_ms: float = attrs.field(default=1000.0, validator=_number(10, 3_600_000))
    max_samples: int = attrs.field(default=600, validator=_integer(1, 10_000_000))
    warning_ms: float = attrs.field(default=150.0, validator=_number(0, 60_000))
    critical_ms: float = attrs.field(default=300.0, validator=_number(0, 60_000))


@attrs.frozen(kw_only=True)
class ExportConfig:
    """Where the documents of a session go."""

    directory: str | None = "p2p-exports"
    """``None`` writes no files."""
    checkpoint_interval_s: float = attrs.field(default=10.0, validator=_number(0.1, 3600))
    upload: bool = attrs.field(default=True, validator=_boolean)


@attrs.frozen(kw_only=True)
class P2PConfig:
    """Everything that a wrapper can be told, beyond the environment and the seat."""

    server_url: str = attrs.field(default=DEFAULT_SERVER_URL, validator=_text)
    room: str = attrs.field(default=DEFAULT_ROOM, validator=_text)
    """Where the players meet who name the same one."""
    queue: str | None = attrs.field(default=None, validator=_optional(_text))
    """Instead of a room: where strangers wait, are probed, and are matched by the latency between them."""
    pre_match: Any = attrs.field(default=None)
    """This player's own say before a match of the queue is made: a callable that is given the proposed match
    (``MatchProposed``) and returns True, False or a ``Verdict``, or its name as ``module:function``, or the
    largest round trip in ms that he would play at. ``None`` accepts what the service finds."""
    on_refusal: Literal["raise", "requeue"] = attrs.field(
        default="raise", validator=_one_of("raise", "requeue")
    )
    """After his own refusal: give up with ``MatchRefused``, or wait for somebody else."""
    token: str | None = attrs.field(default=None, repr=False)
    """What lets this player in, where the service asks for one; ``None`` is ``GYM_P2P_TOKEN``'s, if set."""
    subject_id: str | None = None
    """Who this player is to the service; ``None`` makes up an anonymous one."""
    network: Literal["thread", "process"] = attrs.field(
        default="process", validator=_one_of("thread", "process")
    )
    link: LinkConfig = attrs.field(factory=LinkConfig)
    sync: SyncConfig = attrs.field(factory=SyncConfig)
    telemetry: TelemetryConfig = attrs.field(factory=TelemetryConfig)
    exports: ExportConfig = attrs.field(factory=ExportConfig)
    record: str | None = attrs.field(default=None, validator=_optional(_text))
    """Where the match is recorded: a ``.p2preplay`` file, or a folder that gets
    ``<match>/<player>.p2preplay``. ``None`` records nothing."""

    @queue.validator
    def _either_room_or_queue(self, _attribute: attrs.Attribute[str | None], value: str | None) -> None:
        if value is not None and self.room != DEFAULT_ROOM:
            raise ConfigurationError("queue", f"a match comes from a room ({self.room!r}) or from a queue")

    @pre_match.validator
    def _only_in_a_queue(self, _attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and self.queue is None:
            raise ConfigurationError("pre_match", "is asked about matches of a queue: name one with queue=")


@attrs.frozen(kw_only=True)
class MatchmakingConfig:
    """How a queue is run, whatever matchmaker chooses in it."""

    group_size: int = attrs.field(default=2, validator=_integer(2, 16))
    """Players in a match; each pair of them is probed."""
    give_up_after_s: float | None = attrs.field(default=60.0, validator=_optional(_number(0.1, 86_400)))
    """How long anybody waits for a match; ``None`` lets them wait until they leave."""
    relay_after_s: float | None = attrs.field(default=None, validator=_optional(_number(0, 86_400)))
    """From which wait on a pair that found no direct way is probed over a relay; ``None``: there is none."""
    probe: Literal["threshold", "always", "never"] = attrs.field(
        default="threshold", validator=_one_of("threshold", "always", "never")
    )
    """Whether pairs are probed: if the matchmaker has a threshold, always, or never."""
    cooldown_s: float = attrs.field(default=30.0, validator=_number(0.1, 3600))
    """How long a failed or rejected pair is put off: a bad minute on a wireless link is no ban."""
    pass_over_s: float = attrs.field(default=5.0, validator=_number(0.1, 3600))
    """How long a pair is put off for which the hook said "next"."""
    trust_measured_s: float = attrs.field(default=60.0, validator=_number(0, 3600))
    """How long a measured pair needs no other probe."""
    probe_timeout_s: float = attrs.field(default=20.0, validator=_number(0.1, 600))
    """A probe without a result has failed by then; above the 18 s in which every probe ends by itself."""
    probe_budget: int = attrs.field(default=12, validator=_integer(1, 10_000))
    """Probes of one subject within the window: what the service grants a client."""
    probe_budget_window_s: float = attrs.field(default=600.0, validator=_number(1, 86_400))
    hook_timeout_s: float = attrs.field(default=5.0, validator=_number(0.1, 600))
    """A hook that has not answered by then has rejected."""


def _texts(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


def _origins(_instance: Any, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    for origin in value:
        if not isinstance(origin, str) or not origin.startswith(("http://", "https://")) or "*" in origin:
            raise ConfigurationError(
                attribute.name, f"wanted origins such as 'https://lab.example', never '*', got {origin!r}"
            )


def _secret(_instance: Any, attribute: attrs.Attribute[Any], value: str | None) -> None:
    if value is None:
        return
    if not isinstance(value, str) or len(value) < _MIN_SECRET_CHARS:  # never shown, not even a wrong one
        raise ConfigurationError(attribute.name, f"wanted at least {_MIN_SECRET_CHARS} characters")


_MIN_SECRET_CHARS = 32
"""128 bits in hexadecimal."""


@attrs.frozen(kw_only=True)
class ServiceConfig:
    """What ``gym-p2p serve`` can be told.

    Without a ``join_secret`` the service is a laboratory: whoever reaches it takes part, under any name that
    he likes. So it then listens on loopback alone, unless ``open`` says that this is meant.
    """

    host: str = attrs.field(default="127.0.0.1", validator=_text)
    """The address to listen on; beyond loopback it takes a ``join_secret``, or ``open``."""
    open: bool = attrs.field(default=False, validator=_boolean)
    """Let every machine that reaches the service take part; not together with ``join_secret``."""
    join_secret: str | None = attrs.field(default=None, validator=_secret, repr=False)
    """Signs the join tokens; with it nobody takes part without one."""
    experiment: str = attrs.field(default="default", validator=_text)
    """What a join token has to be for."""
    private_candidates: bool | None = attrs.field(default=None, validator=_optional(_boolean))
    """Whether the players may tell each other loopback and private addresses: right on one machine or in one
    network, wrong on the Internet. ``None``: in a laboratory yes, with a ``join_secret`` no."""
    turn_secret: str | None = attrs.field(default=None, validator=_secret, repr=False)
    """Shared with the TURN servers (coturn's ``static-auth-secret``); with it every player gets credentials
    of his own for those that have no fixed ones."""
    turn_probe_lifetime_s: float = attrs.field(default=120.0, validator=_number(1, 86_400))
    """Of the TURN credentials for a probe. A TURN server looks at it only when an allocation begins."""
    turn_match_lifetime_s: float = attrs.field(default=600.0, validator=_number(1, 86_400))
    """Of the TURN credentials for a match."""
    port: int = attrs.field(default=8765, validator=_integer(0, 65_535))
    """0 picks a free one."""
    data_dir: str = attrs.field(default="p2p-server-data", validator=_text)
    """Where uploaded documents, aggregates and the token secret are kept."""
    ice_servers: tuple[IceServer, ...] = attrs.field(default=(), converter=_ice_servers)
    """Handed to the players with every match. None by default: host candidates only."""
    relay_only: bool = attrs.field(default=False, validator=_boolean)
    """Tell the players to use relay candidates alone, so that they never learn each other's address."""
    cors_origins: tuple[str, ...] = attrs.field(default=(), converter=_texts, validator=_origins)
    """Web origins, other than the service's own, whose pages may connect."""
    max_upload_bytes: int = attrs.field(default=64 * 2**20, validator=_integer(1024, 2**32))
    """The largest document, before and after decompression."""
    token_lifetime_s: float = attrs.field(default=30 * 86_400.0, validator=_number(1, 10 * 365 * 86_400))
    """How long after a match its documents are accepted (a player's machine may be off for a while)."""
    register_timeout_s: float | None = attrs.field(default=10.0, validator=_optional(_number(0.1, 3600)))
    """A socket that has not said who it is by then is dropped; ``None`` keeps it."""
    events_per_s: float = attrs.field(default=30.0, validator=_number(0.1, 1e6))
    """Sustained events from one socket; what goes beyond is dropped and told so."""
    event_burst: int = attrs.field(default=100, validator=_integer(1, 1_000_000))
    """Events that one socket may send at once: two peers' trickled candidates fit in."""
    matchmaking: MatchmakingConfig = attrs.field(factory=MatchmakingConfig)
    """How the queues are run; their ``group_size`` is each queue's number of seats."""
    log_decisions: bool = attrs.field(default=True, validator=_boolean)
    """Whether the queues' decisions are appended to ``decisions.jsonl`` in the data directory."""
    joins_per_s: float = attrs.field(default=1.0, validator=_number(0.01, 1e6))
    """Sustained joins of rooms and queues by one subject."""
    join_burst: int = attrs.field(default=3, validator=_integer(1, 1_000_000))
    """Joins of one subject at once: a refused one and its repetition fit in."""
    connects_per_s: float = attrs.field(default=50.0, validator=_number(0.1, 1e6))
    """Sustained new connections from one address; those beyond it are answered 429. Behind a proxy on this
    machine the address is the one in its ``X-Forwarded-For``; behind another one, all players have one."""
    connect_burst: int = attrs.field(default=256, validator=_integer(1, 1_000_000))
    """New connections from one address at once: a laboratory that comes back after a restart fits in."""

    def __attrs_post_init__(self) -> None:
        """Refuse what only looks safe."""
        if self.open and self.join_secret is not None:
            raise ConfigurationError("open", "not together with a join secret: either all come in, or some")
        if not (self.open or self.join_secret is not None or self.on_loopback):
            raise ConfigurationError(
                "host",
                f"{self.host} is reached by other machines: set a join secret, or let everybody in (open)",
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


def to_mapping(config: Any) -> dict[str, Any]:
    """Return a configuration as nested dicts of plain data (tuples become lists)."""
    return attrs.asdict(config, value_serializer=lambda _i, _a, v: list(v) if isinstance(v, tuple) else v)


def from_mapping(cls: type[_T], mapping: Mapping[str, Any]) -> _T:
    """Build a configuration class from a mapping.

    Raises:
        ConfigurationError: an unknown name (with the nearest known one), or a value out of range.
    """
    known = {field.name: field for field in attrs.fields(cls)}  # type: ignore[arg-type]  # all are attrs classes
    unknown = [name for name in mapping if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
        raise ConfigurationError(unknown[0], f"no such option of {cls.__name__}{hint}")
    values = dict(mapping)
    for name, field in known.items():
        nested = _NESTED.get((cls.__name__, name))
        if nested is not None and isinstance(values.get(name), Mapping):
            values[name] = from_mapping(nested, values[name])
        if field.default is attrs.NOTHING and name not in values:
            raise ConfigurationError(name, f"is required by {cls.__name__}")
    return cls(**values)


_NESTED: dict[tuple[str, str], type[Any]] = {
    ("LinkConfig", "emulation"): LinkEmulation,
    ("ServiceConfig", "matchmaking"): MatchmakingConfig,
    ("P2PConfig", "link"): LinkConfig,
    ("P2PConfig", "sync"): SyncConfig,
    ("P2PConfig", "telemetry"): TelemetryConfig,
    ("P2PConfig", "exports"): ExportConfig,
}

_FLAT: dict[str, tuple[str, str]] = {
    "sync": ("sync", "mode"),
    "exports": ("exports", "directory"),
}
"""Options of a wrapper that have another name than the field they set."""


def config_from_options(options: Mapping[str, Any]) -> P2PConfig:
    """Build a configuration from a wrapper's flat keyword options.

    Every field of :class:`P2PConfig` and of the classes in it is an option by its own name, but for
    ``sync`` (the mode) and ``exports`` (the directory).

    Raises:
        ConfigurationError: an unknown option (with the nearest known one), or a value out of range.
    """
    places = dict(_FLAT)
    for field in attrs.fields(P2PConfig):
        nested = _NESTED.get(("P2PConfig", field.name))
        if nested is None:
            places[field.name] = ("", field.name)
            continue
        for inner in attrs.fields(nested):
            if (field.name, inner.name) not in _FLAT.values():
                places[inner.name] = (field.name, inner.name)
    tree: dict[str, Any] = {}
    for name, value in options.items():
        if name not in places:
            near = difflib.get_close_matches(name, places, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(places))}"
            raise ConfigurationError(name, f"no such option{hint}")
        group, field_name = places[name]
        (tree.setdefault(group, {}) if group else tree)[field_name] = value
    return from_mapping(P2PConfig, tree)
