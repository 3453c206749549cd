"""The settings of a player: how frames are kept together, telemetry, exports, and all of them together."""

from __future__ import annotations

import os
from typing import Any, Literal

import attrs

from gym_p2p.config.checks import (
    absolute_path,
    in_range,
    is_a,
    is_boolean,
    is_function,
    is_pair_of_functions,
    is_path,
    is_path_or_boolean,
    is_text,
    one_of,
    optional,
    require_no_password,
    secret_text,
    whole_in_range,
)
from gym_p2p.config.event_names import is_event_prefix, is_namespace
from gym_p2p.config.link import LinkConfig
from gym_p2p.config.public_ids import public_id
from gym_p2p.config.secret import Secret, as_secret
from gym_p2p.errors import ConfigurationError

__all__ = [
    "DEFAULT_SERVER_URL",
    "MAX_PREDICTION_WINDOW",
    "ExportConfig",
    "P2PConfig",
    "SyncConfig",
    "TelemetryConfig",
]

DEFAULT_SERVER_URL = "http://127.0.0.1:8765"
DEFAULT_ROOM = "default"

MAX_PREDICTION_WINDOW = 60
"""Frames; how far ahead of the others a player can be follows from it (:mod:`gym_p2p.core.match.claims`)."""

THINKING_S = 300.0
"""How long somebody may think before an action, or take between two episodes, where nothing sets a pace."""

PAUSE_MOST_S = 7.0
PAUSE_MOST_FRAMES = 10
"""How long a paced match stands for one player who is connected: well above what a garbage collection, a disk
or a debugger's stop takes (five seconds are to be borne), and short enough for the others to be still there.
Whatever ``reconnect_timeout_s`` is: that is for paths, and nobody who can be heard is to use it up."""

BREAK_S = 60.0
"""Between two episodes of a paced match: the environment's reset, a learner's update, a look at the score."""


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # as it comes back from JSON


@attrs.frozen(kw_only=True)
class SyncConfig:
    """How the players' frames are kept together."""

    mode: Literal["auto", "lockstep", "rollback"] = attrs.field(
        default="auto", validator=one_of("auto", "lockstep", "rollback")
    )
    """``lockstep``: a step waits for every player's input of its frame. ``rollback``: it returns at once,
    missing inputs are predicted, and what was played on a wrong one is played again. ``auto``: rollback if
    frames are paced (``fps``), every player's copy can be saved and restored exactly, and that fits into a
    frame; else lockstep."""
    input_delay: int | Literal["auto"] = attrs.field(default=0, validator=whole_in_range(0, 60, also="auto"))
    """Frames between giving an input and its effect; the first ones have the default action. ``auto``
    follows the measured delay and jitter (needs ``fps``)."""
    prediction_window: int = attrs.field(default=8, validator=whole_in_range(1, MAX_PREDICTION_WINDOW))
    """Frames that are played on predicted inputs before a step waits. GGRS's default."""
    prediction: str = attrs.field(default="repeat_last", validator=is_text)
    """The predictor of missing inputs: ``repeat_last``, ``default``, or a registered one."""
    view: Literal["predicted", "confirmed"] = attrs.field(
        default="predicted", validator=one_of("predicted", "confirmed")
    )
    """What ``step`` shows where inputs are predicted: the frame of now, with provisional rewards, or the
    confirmed ones, final, each once and in order, as many frames late as the network makes them."""
    snapshot_hooks: Any = attrs.field(default=None, converter=_pair, validator=optional(is_pair_of_functions))
    """The environment's own way to be saved and restored, tried first: ``(save, load)``, each the name of a
    method of ``env.unwrapped``, or a callable ``save(env) -> state`` and ``load(env, state)``."""
    isolate_random: bool = attrs.field(default=False, validator=is_boolean)
    """Give an environment that draws from ``random`` or ``numpy.random`` streams of its own, seeded by
    ``reset`` and part of its state."""
    fps: float | None = attrs.field(default=None, validator=optional(in_range(0.01, 10_000)))
    """Paces ``step`` in real time; ``None`` is as fast as the players can."""
    checksum_interval: int | None = attrs.field(
        default=None, validator=optional(whole_in_range(1, 1_000_000))
    )
    """Frames between two compared checksums; ``None`` is half a second's worth (30 frames unpaced)."""
    on_peer_loss: Literal["truncate", "raise", "default_action", "stand_in"] = attrs.field(
        default="truncate", validator=one_of("truncate", "raise", "default_action", "stand_in")
    )
    """When a player is gone: end the episode, raise ``PeerLost``, or play it on, with the seats taken by
    their default actions (or the first that an action mask allows) or by ``stand_in``. Without a player whose
    seats were all over before, the episode is played on in any case. The next one begins without them in no
    case: ``reset`` raises ``PeerLost``, or directly after the step that ended the episode gives its outcome
    once more, and the next call raises; those who are left play on with new wrappers."""
    stand_in: Any = attrs.field(default=None)
    """Plays the seats of players who are gone, or away: ``stand_in(seat, observation, frame) -> action``, a
    function of its arguments alone and the same one at every player; a callable, or ``module:function``.
    Players compare functions by their names, and objects (also in ``functools.partial``) by their ``repr``,
    which has to say all that makes them act: one that has the default one is refused. Of a method that of its
    object is compared where it has one of its own, else the name alone."""
    on_desync: Literal["continue", "truncate"] = attrs.field(
        default="continue", validator=one_of("continue", "truncate")
    )
    disconnect_timeout_s: float = attrs.field(default=2.0, validator=in_range(0.1, 600))
    """Silence after which a peer is lost. GGRS's default."""
    disconnect_notice_s: float = attrs.field(default=0.5, validator=in_range(0.05, 600))
    """Silence after which a peer counts as interrupted. Below ``disconnect_timeout_s``."""
    reconnect_timeout_s: float = attrs.field(default=10.0, validator=in_range(0, 600))
    """How long a path that carries nothing is waited for, and rebuilt meanwhile, before the player at its
    other end is lost; the match pauses. 0 rebuilds nothing, and waits for ``disconnect_timeout_s``, which is
    the least in any case. The shortest time among the players counts for all."""
    rejoin_timeout_s: float = attrs.field(default=0.0, validator=in_range(0, 3600))
    """How long a player whose process has ended is waited for, who may come back in another one; meanwhile
    see ``while_away``. 0: they are lost. The shortest time among the players counts for all."""
    while_away: Literal["pause", "default_action", "stand_in"] = attrs.field(
        default="pause", validator=one_of("pause", "default_action", "stand_in")
    )
    """Meanwhile: the match pauses, or one of the others gives the inputs of the seats of who is away, their
    default actions or what ``stand_in`` does, until they are back. The same at every player."""
    input_timeout_s: float | None = attrs.field(default=None, validator=optional(in_range(0.1, 86_400)))
    """The longest wait for the input of a player who is connected and does not play; they are lost then.
    ``None`` is seven seconds (ten frames, where these take longer) if frames are paced (``fps``), whether the
    player does not play or their program stands still. It is five minutes if they are not, or if the players
    take turns: they may be thinking. Where frames are paced, the sum of the waits for one player is bounded
    too, by four times as much beyond what they play."""
    reset_timeout_s: float | None = attrs.field(default=None, validator=optional(in_range(0.1, 86_400)))
    """The longest wait at ``reset`` for a player who is connected and does not call it. ``None`` is
    ``input_timeout_s`` if that is given, or else one minute if frames are paced, and five if they are not."""
    room_timeout_s: float = attrs.field(default=300.0, validator=in_range(0.1, 86_400))
    """The longest wait in a room for the other players."""

    @disconnect_notice_s.validator
    def _below_timeout(self, _attribute: attrs.Attribute[float], value: float) -> None:
        if value >= self.disconnect_timeout_s:
            notice, timeout = "disconnect_notice_s", "disconnect_timeout_s"
            if value == attrs.fields(SyncConfig).disconnect_notice_s.default:  # the other one was chosen
                raise ConfigurationError(timeout, f"wanted more than {notice} ({value:g})")
            raise ConfigurationError(notice, f"wanted less than {timeout} ({self.disconnect_timeout_s:g})")

    @while_away.validator
    def _waits(self, _attribute: attrs.Attribute[str], value: str) -> None:
        if value != "pause" and self.rejoin_timeout_s == 0:
            raise ConfigurationError(
                "while_away", "wants rejoin_timeout_s: else nobody who is away is waited for"
            )

    @input_delay.validator
    def _needs_frames(self, _attribute: attrs.Attribute[Any], value: Any) -> None:
        if value == "auto" and self.fps is None:
            raise ConfigurationError("input_delay", "'auto' needs fps: a delay in frames needs their length")

    @stand_in.validator
    def _stands_in(self, _attribute: attrs.Attribute[Any], value: Any) -> None:
        if (value is not None) != ("stand_in" in {self.on_peer_loss, self.while_away}):
            raise ConfigurationError(
                "stand_in", "goes with on_peer_loss='stand_in' or while_away='stand_in', and they with it"
            )

    def input_limit_s(self, *, takes_turns: bool) -> float:
        """Return the longest wait for an input, with the default worked out.

        Args:
            takes_turns: whether a step is one player's turn.
        """
        if self.input_timeout_s is not None:
            return self.input_timeout_s
        if self.fps is None or takes_turns:
            return THINKING_S
        return min(THINKING_S, max(PAUSE_MOST_S, PAUSE_MOST_FRAMES / self.fps))

    def reset_limit_s(self, *, takes_turns: bool) -> float:
        """Return the longest wait for a ``reset``, with the default worked out.

        Args:
            takes_turns: whether a step is one player's turn.
        """
        if self.reset_timeout_s is not None:
            return self.reset_timeout_s
        if self.input_timeout_s is not None:
            return self.input_timeout_s
        return max(BREAK_S, self.input_limit_s(takes_turns=takes_turns))

    @property
    def checked_every(self) -> int:
        """Frames between two compared checksums, with the default worked out."""
        if self.checksum_interval is not None:
            return self.checksum_interval
        return max(1, round(self.fps / 2)) if self.fps is not None else 30


DEFAULT_MAX_SAMPLES = 600
"""Ten minutes at one a second."""


@attrs.frozen(kw_only=True)
class TelemetryConfig:
    """How latency is measured while playing."""

    poll_interval_ms: float = attrs.field(default=1000.0, validator=in_range(10, 3_600_000))
    max_samples: int = attrs.field(default=DEFAULT_MAX_SAMPLES, validator=whole_in_range(1, 10_000_000))
    warning_ms: float = attrs.field(default=150.0, validator=in_range(0, 60_000))
    critical_ms: float = attrs.field(default=300.0, validator=in_range(0, 60_000))


def _directory(path: str | os.PathLike[str] | None) -> str | None:
    resolved: str | None = absolute_path("directory", path)
    return resolved


def _record(path: Any) -> str | bool:
    return _path_or_boolean("record", path)


def _fallback(path: Any) -> str | bool:
    return _path_or_boolean("fallback", path)


def _path_or_boolean(option: str, path: Any) -> str | bool:
    resolved: str | bool = False if path is None else absolute_path(option, path)
    return resolved


@attrs.frozen(kw_only=True)
class ExportConfig:
    """Where the documents of a session go."""

    directory: str | None = attrs.field(
        default="p2p-exports", converter=_directory, validator=optional(is_path)
    )
    """A folder, as seen from the working directory of now; ``None`` writes no files."""
    fallback: str | bool = attrs.field(default=True, converter=_fallback, validator=is_path_or_boolean)
    """Where what is written goes on once that folder takes no more of it (a full disk, a folder made
    read-only): a folder, the user's state folder (``True``: ``$XDG_STATE_HOME/gym_p2p``, or
    ``~/.local/state/gym_p2p``), or nowhere (``False``, ``None``)."""
    checkpoint_interval_s: float = attrs.field(default=10.0, validator=in_range(0.1, 3600))
    upload: bool = attrs.field(default=True, validator=is_boolean)


def _without_password(_instance: Any, attribute: attrs.Attribute[Any], value: str) -> None:
    require_no_password(attribute.name, value)


@attrs.frozen(kw_only=True)
class P2PConfig:
    """All settings of a wrapper, beyond the environment and the seat."""

    server_url: str = attrs.field(default=DEFAULT_SERVER_URL, validator=[is_text, _without_password])
    server_prefix: str = attrs.field(default="", validator=is_event_prefix)
    """What stands before the names of the service's events, where a host has mounted it so."""
    server_namespace: str = attrs.field(default="/", validator=is_namespace)
    """The namespace of Socket.IO's in which a host has mounted it."""
    room: str = attrs.field(default=DEFAULT_ROOM, validator=public_id)
    """Where the players meet who name the same one."""
    queue: str | None = attrs.field(default=None, validator=optional(public_id))
    """Instead of a room: where strangers wait, are probed, and are matched by the latency between them."""
    pre_match: Any = attrs.field(default=None)
    """This player's own vote before a match of the queue is made: a callable that is given the proposed match
    (``MatchProposed``) and returns True, False or a ``Verdict``, or its name as ``module:function``, or the
    largest round trip in ms that they would play at. ``None`` accepts what the service finds."""
    on_refusal: Literal["raise", "requeue"] = attrs.field(
        default="raise", validator=one_of("raise", "requeue")
    )
    """After this player's own refusal: give up with ``MatchRefused``, or wait for somebody else."""
    on_pause: Any = attrs.field(default=None, validator=optional(is_function))
    """Called with what the match stands for (``Paused``) when it pauses, and with ``None`` when that is over:
    a callable, or its name as ``module:function``."""
    token: Secret | None = attrs.field(
        default=None, converter=as_secret, validator=optional(secret_text()), repr=False
    )
    """What lets this player in, where the service wants one; ``None`` is ``GYM_P2P_TOKEN``'s, if set."""
    rejoin: bool = attrs.field(default=True, validator=is_boolean)
    """Whether a match is taken up again that a process of this player's was killed in, with the same service,
    place, subject, seats and environment, where ``rejoin_timeout_s`` lets the others wait for that."""
    subject_id: str | None = attrs.field(default=None, validator=optional(public_id))
    """Who this player is to the service; ``None`` makes up an anonymous one."""
    spectators: int = attrs.field(default=0, validator=whole_in_range(0, 16))
    """To how many this player shows the match; they get every confirmed frame, and take no part in it."""
    network: Literal["thread", "process"] = attrs.field(
        default="process", validator=one_of("thread", "process")
    )
    link: LinkConfig = attrs.field(factory=LinkConfig, validator=is_a(LinkConfig))
    sync: SyncConfig = attrs.field(factory=SyncConfig, validator=is_a(SyncConfig))
    telemetry: TelemetryConfig = attrs.field(factory=TelemetryConfig, validator=is_a(TelemetryConfig))
    exports: ExportConfig = attrs.field(factory=ExportConfig, validator=is_a(ExportConfig))
    record: str | bool = attrs.field(default=True, converter=_record, validator=is_path_or_boolean)
    """Where the match is recorded, so that it can be played again: beside the documents, where these have a
    folder (``True``); in a ``.p2preplay`` file, or a folder that gets one of each match, as seen from the
    working directory of now; or nowhere (``False``, ``None``)."""

    @queue.validator
    def _either_room_or_queue(self, _attribute: attrs.Attribute[str | None], value: str | None) -> None:
        if value is not None and self.room != DEFAULT_ROOM:
            raise ConfigurationError("queue", f"a match comes from a room ({self.room!r}) or from a queue")

    @pre_match.validator
    def _only_in_a_queue(self, _attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and self.queue is None:
            raise ConfigurationError("pre_match", "votes on the matches of a queue: name one with queue=")
