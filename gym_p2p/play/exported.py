"""What a player brings to a match, as it stands in the documents: the configuration, the probe, the software.

Knows which of it is for nobody's eyes; refuses to know what becomes of it.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gym_p2p.config import P2PConfig, to_mapping
from gym_p2p.config.names import name_of
from gym_p2p.core.api.rooms import MatchFound, MatchPlayer
from gym_p2p.core.record.building import unique_names
from gym_p2p.core.record.player_identity import (
    PlayedBy,
    PlayerIdentity,
    foreign,
    played_by_of,
    played_by_seat_of,
    software_of,
)
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.version import __version__

__all__ = ["exported_config", "exported_probe", "identities", "introduction", "software"]


def software() -> dict[str, str]:
    """Return what this player runs on."""
    return {"gym_p2p": __version__, "python": platform.python_version(), "platform": platform.platform()}


def introduction(
    *,
    clock_base_ms: float | None = None,
    played_by: PlayedBy | None = None,
    played_by_seat: Mapping[str, PlayedBy] | None = None,
) -> dict[str, Any]:
    """Return what the other players are told about this one for their documents.

    Args:
        clock_base_ms: Unix minus monotonic time; ``None`` takes this machine's as of now.
        played_by: who acts for this one; ``None`` where nobody says.
        played_by_seat: at which seats of theirs somebody else does, by their texts; ``None`` is nowhere.
    """
    if clock_base_ms is None:
        clock_base_ms = (time.time_ns() - time.monotonic_ns()) / 1e6
    ours = software()
    told: dict[str, Any] = {
        "software": {"version": ours["gym_p2p"], "platform": ours["platform"]},
        "clock": clock_base_ms,
    }
    if played_by is not None:
        told["played_by"] = played_by
    if played_by_seat:
        told["played_by_seat"] = dict(played_by_seat)
    return told


def identities(
    found: MatchFound, seats: Sequence[SeatId], about: Mapping[SeatId, Mapping[str, Any] | None]
) -> tuple[PlayerIdentity, ...]:
    """Return who plays, as far as is known.

    Args:
        found: the match.
        seats: of the environment.
        about: what every player said about themselves, by their id; ``None`` for nothing.
    """
    names = unique_names(seats)
    return tuple(
        _identity(player, names, about[player.player_id], local=player.player_id == found.player_id)
        for player in found.players
    )


def _identity(
    player: MatchPlayer, names: Mapping[SeatId, str], told: Mapping[str, Any] | None, *, local: bool
) -> PlayerIdentity:
    version, platform_name = software_of(told)
    seats = [names.get(seat, str(seat)) for seat in player.seats]
    return PlayerIdentity(
        player_id=names.get(player.player_id, str(player.player_id)),
        subject_id=foreign(player.subject_id),
        seats=seats,
        local=local,
        version=version or foreign((player.client or "").removeprefix("gym_p2p/")),
        platform=platform_name,
        played_by=played_by_of(told),
        played_by_seat=played_by_seat_of(told, seats),
    )


def exported_config(config: P2PConfig) -> dict[str, Any]:
    """Return the configuration as it is exported: without secrets, this machine's folders, and who it is of.

    Who a player is stands among the players, by the service's account, which may give pseudonyms.
    """
    exported = to_mapping(config)
    del exported["subject_id"]
    # Of paths, the last part: where a player's folders lie is told to nobody.
    exports = exported["exports"]
    for group, name in ((exports, "directory"), (exports, "fallback"), (exported, "record")):
        if isinstance(group[name], str):
            group[name] = Path(group[name]).name
    for option in ("pre_match", "on_pause"):
        if callable(exported[option]):
            exported[option] = name_of(exported[option])
    sync = exported["sync"]
    if callable(sync["stand_in"]):
        sync["stand_in"] = name_of(sync["stand_in"])
    if sync["snapshot_hooks"] is not None:
        hooks = sync["snapshot_hooks"]
        sync["snapshot_hooks"] = [hook if isinstance(hook, str) else name_of(hook) for hook in hooks]
    return exported


def exported_probe(found: MatchFound) -> dict[str, Any] | None:
    """Return what was measured before the match as it is exported, both sides' values."""
    if found.probe is None:
        return None
    return {
        "queue": found.queue,
        "waitedMs": found.probe.waited_s * 1e3,
        "pairs": [
            {
                "subjects": list(pair.subjects),
                "rttMs": pair.rtt_ms,
                "reports": {subject: _exported_report(report) for subject, report in pair.reports.items()},
            }
            for pair in found.probe.pairs
        ],
    }


def _exported_report(report: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "rttMs": report.get("rtt_ms"),
        "samplesMs": report.get("samples_ms"),
        "jitterMs": report.get("jitter_ms"),
        "loss": report.get("loss"),
        "path": report.get("path"),
    }
