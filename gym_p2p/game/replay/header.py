"""What a recorded match was, apart from what happened in it: the first line of its file."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import msgspec
import pettingzoo

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import DamagedReplay, UnreadableReplay
from gym_p2p.game.env.describe import split_versions
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.recipe import Recipe, recipe_of
from gym_p2p.game.replay.records import FORMAT, FORMAT_VERSION, READ_VERSIONS
from gym_p2p.version import __version__

__all__ = ["SUFFIX", "ReplayHeader", "here", "read_header", "replay_header"]

SUFFIX = ".p2preplay"


@attrs.frozen(kw_only=True)
class ReplayHeader:
    """What a match was, apart from what happened in it. Plain data.

    Attributes:
        match_id: the match.
        player_id: whose recording this is; None if nobody's in particular.
        seats: the seats in the order of all that is recorded by seat.
        players: who sat there, as ``{"player_id": …, "subject_id": …, "seats": […]}``.
        environment: how to make it again; None if that is not known.
        watchers: seats that only watched.
        isolated: whether the global random generators were isolated.
        snapshots: the name of the snapshot strategy that state digests were taken with.
        description: what the players had agreed on (:meth:`Game.describe`), without the versions.
        versions: of Python and of every package that takes part.
        sync: how the frames were kept together.
        recorded_ms: when, in Unix time.
        split: which parts of the action were whose, where that was said (``seats=``); else None, and the file
            does not have it.
        version: of the file's format, which says how digests of states come about.
    """

    match_id: str
    player_id: SeatId | None
    seats: tuple[SeatId, ...]
    players: tuple[dict[str, Any], ...]
    environment: Recipe | None
    watchers: int
    isolated: bool
    snapshots: str | None
    description: dict[str, str]
    versions: dict[str, str]
    sync: dict[str, Any]
    recorded_ms: int
    split: Any = None
    version: int = FORMAT_VERSION


def replay_header(
    game: Game,
    *,
    match_id: str,
    recorded_ms: int,
    player_id: SeatId | None = None,
    players: Sequence[Mapping[str, Any]] = (),
    sync: Mapping[str, Any] | None = None,
    environment: Recipe | None = None,
    isolated: bool = False,
    snapshots: str | None = None,
) -> ReplayHeader:
    """Return the header of a match of this game, before its first reset; see :class:`ReplayHeader`.

    Without an ``environment``, how to make it again is what it knows of itself.
    """
    description, versions = here(game)
    return ReplayHeader(
        match_id=match_id,
        player_id=player_id,
        seats=game.seats,
        players=tuple(dict(player) for player in players),
        environment=environment or recipe_of(game.env),
        watchers=game.watchers,
        isolated=isolated,
        snapshots=snapshots,
        description=description,
        versions=versions,
        sync=dict(sync or {}),
        recorded_ms=recorded_ms,
        split=game.split,
    )


def here(game: Game) -> tuple[dict[str, str], dict[str, str]]:
    """Return what describes this game, and the versions of all that takes part in it, as of now."""
    description, versions = split_versions(game.describe())
    ours = {"python": platform.python_version(), "gym_p2p": __version__}
    return description, {**ours, "pettingzoo": pettingzoo.__version__, **versions}


def read_header(line: bytes, path: object) -> ReplayHeader:
    """Return what a recording's first line says.

    Raises:
        UnreadableReplay: it is none, or that of a newer version.
        DamagedReplay: it is none that this version writes.
    """
    try:
        fields = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise UnreadableReplay(path, f"is no recorded match: its first line is not that of a {SUFFIX} file")
    version = fields.get("version")
    if type(version) is not int or version not in READ_VERSIONS:
        known = " and ".join(map(str, READ_VERSIONS))
        raise UnreadableReplay(path, f"has format version {version!r}, and this gym_p2p reads {known}")
    try:
        return msgspec.convert(fields, ReplayHeader)
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        raise DamagedReplay(path, "the header", f"it is not as this version writes it ({error})") from error
