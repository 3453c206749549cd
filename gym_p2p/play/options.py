"""The options of both wrappers, with their types: what a type checker sees of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from gym_p2p.core.api.queues import MatchProposed
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.play.paused import Paused

__all__ = ["P2POptions"]


class P2POptions(TypedDict, total=False):
    """The options of both wrappers; what they mean and their defaults are in :mod:`gym_p2p.config`."""

    server_url: str
    server_prefix: str
    server_namespace: str
    room: str
    queue: str | None
    pre_match: Callable[[MatchProposed], object] | str | float | None
    on_pause: Callable[[Paused | None], object] | str | None
    on_refusal: Literal["raise", "requeue"]
    rejoin: bool
    subject_id: str | None
    token: str | None
    spectators: int
    network: Literal["thread", "process"]
    ice_servers: Sequence[Mapping[str, Any]]
    relay_only: bool
    connect_timeout_s: float
    relay: Literal["service", "players", "none"]
    relay_above_ms: float
    emulation: Mapping[str, Any]
    sync: Literal["auto", "lockstep", "rollback"]
    input_delay: int | Literal["auto"]
    prediction_window: int
    prediction: str
    view: Literal["predicted", "confirmed"]
    snapshot_hooks: tuple[Any, Any] | None
    isolate_random: bool
    fps: float | None
    checksum_interval: int | None
    on_peer_loss: Literal["truncate", "raise", "default_action", "stand_in"]
    stand_in: Callable[[SeatId, Any, int], Any] | str | None
    on_desync: Literal["continue", "truncate"]
    disconnect_timeout_s: float
    reconnect_timeout_s: float
    rejoin_timeout_s: float
    while_away: Literal["pause", "default_action", "stand_in"]
    disconnect_notice_s: float
    input_timeout_s: float | None
    reset_timeout_s: float | None
    room_timeout_s: float
    poll_interval_ms: float
    max_samples: int
    warning_ms: float
    critical_ms: float
    exports: str | None
    exports_fallback: str | bool
    checkpoint_interval_s: float
    upload: bool
    record: str | bool
