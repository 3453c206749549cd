"""Where a match's documents and its recording go, and how the recording is begun."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gym_p2p.config import P2PConfig
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.errors import ConfigurationError, DamagedReplay, UnreadableReplay
from gym_p2p.exports.documents import document_path, match_path
from gym_p2p.exports.journal import journal_path
from gym_p2p.exports.recovery import discard
from gym_p2p.exports.spool import waiting
from gym_p2p.files.names import path_component
from gym_p2p.files.private import check_directory, check_place
from gym_p2p.files.problems import disk_problem
from gym_p2p.files.state import state_folder
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.recipe import Recipe
from gym_p2p.game.replay.header import SUFFIX, read_header, replay_header
from gym_p2p.game.replay.partial import partial_path
from gym_p2p.game.replay.records import MAX_HEADER_BYTES
from gym_p2p.game.replay.writer import ReplayWriter, check_replay_path
from gym_p2p.play.exported import exported_config

__all__ = [
    "check_fallback",
    "check_places",
    "check_record",
    "discard_left",
    "fallback_of",
    "match_folder_of",
    "open_replay",
]

_log = logging.getLogger(__name__)


def match_folder_of(found: MatchFound, config: P2PConfig, at_ms: int) -> Path | None:
    """Return where a match's documents go; ``None`` where none are written."""
    if config.exports.directory is None:
        return None
    return _match_path(Path(config.exports.directory), found, at_ms)


def fallback_of(folder: Path | None, config: P2PConfig) -> Path | None:
    """Return where what goes into a match's folder goes once that takes no more; ``None``: nowhere.

    Args:
        folder: the match's; ``None`` where none is written.
        config: names the fallback.
    """
    if folder is None or config.exports.fallback is False:
        return None
    if isinstance(config.exports.fallback, str):
        return Path(config.exports.fallback) / folder.name
    state = state_folder()
    return None if state is None else state / "exports" / folder.name


def check_record(config: P2PConfig) -> None:
    """Refuse early what could not be recorded to.

    Raises:
        ConfigurationError: no file can be written there, or there is one already.
    """
    if not isinstance(config.record, str):
        return
    if config.record.endswith(SUFFIX):
        check_replay_path(config.record)
    else:
        check_directory(config.record, option="record")


def check_fallback(config: P2PConfig) -> None:
    """Refuse early a folder to go on in, where somebody has named one, that takes nothing either.

    Raises:
        ConfigurationError: no file can be written there.
    """
    if isinstance(config.exports.fallback, str):
        check_place(config.exports.fallback, option="exports_fallback")


def check_places(config: P2PConfig) -> None:
    """Refuse early what could not be written, before it is known whether a match is taken up again.

    Raises:
        ConfigurationError: no file can be written there, or there is one already.
    """
    if config.exports.directory is not None:
        check_place(config.exports.directory)
    check_fallback(config)
    if not config.sync.rejoin_timeout_s:  # else the file may be of the match that is taken up again
        check_record(config)


def discard_left(found: MatchFound, config: P2PConfig, folder: Path | None, at_ms: int) -> None:
    """Remove the journal and the recording that this player's process before this one left of a match.

    Also one that it has ended, as who was told that the match is over for them does. Both are made anew from
    the beginning. What had gone on in the fallback goes, too: it would stand in the way of what has to move
    there now. What cannot be removed is logged.
    """
    path = _replay_path(found, config, folder, at_ms)
    left: list[Callable[[], None]] = []
    for place in _there(folder, fallback_of(folder, config)):
        # First what says that a document is to be made of the journal: others who play here look for that.
        left.append(partial(_withdraw, place, document_path(place, found.player_id, "multiplayer")))
        left.append(partial(discard, journal_path(place, found.player_id)))
    if path is not None:
        places = _there(path.parent, _fallback_of_replay(path, found, config, folder, at_ms))
        left += [partial(partial_path(place / path.name).unlink, missing_ok=True) for place in places]
        left += [partial(_remove_ended, place / path.name, found) for place in places]
    for remove in left:
        try:
            remove()
        except OSError as error:
            told = disk_problem(error)
            _log.warning("what was left of the match %s stays there: %s", found.match_id, told)


def _there(*places: Path | None) -> list[Path]:
    return [place for place in places if place is not None]


def _withdraw(folder: Path, document: Path) -> None:
    """Let nobody hand in a document that is not there yet."""
    for entry in waiting(folder.parent, folder):
        if entry.document.name == document.name:
            entry.withdraw()


def _remove_ended(path: Path, found: MatchFound) -> None:
    """Remove a recording that was ended, if it is this player's of this match; any other one stays."""
    try:
        with path.open("rb") as file:
            header = read_header(file.readline(MAX_HEADER_BYTES), path)
    except (FileNotFoundError, UnreadableReplay, DamagedReplay):
        return
    if (header.match_id, header.player_id) == (found.match_id, found.player_id):
        path.unlink(missing_ok=True)


def open_replay(
    game: Game,
    found: MatchFound,
    config: P2PConfig,
    *,
    folder: Path | None,
    at_ms: int,
    snapshots: str | None,
    environment: Recipe | None,
) -> ReplayWriter | None:
    """Begin to record a match; ``None`` where it is not recorded.

    A match that is recorded because nobody said otherwise is played all the same where that cannot be.

    Args:
        game: before its first reset.
        found: the match.
        config: with the path, if there is one.
        folder: where the documents go; ``None`` where none are written.
        at_ms: the Unix time in milliseconds.
        snapshots: the strategy's name where the players compare states.
        environment: how the environment was made, where that is known better than it knows itself.

    Raises:
        ConfigurationError: no file can be written where the user wants one.
    """
    path = _replay_path(found, config, folder, at_ms)
    if path is None:
        return None
    header = replay_header(
        game,
        match_id=found.match_id,
        recorded_ms=at_ms,
        player_id=found.player_id,
        players=[
            {"player_id": p.player_id, "subject_id": p.subject_id, "seats": list(p.seats)}
            for p in found.players
        ],
        sync=exported_config(config)["sync"],
        environment=environment,
        isolated=config.sync.isolate_random,
        snapshots=snapshots,
    )
    try:
        fallback = _fallback_of_replay(path, found, config, folder, at_ms)
        return ReplayWriter(path, header, checked_every=config.sync.checked_every, fallback=fallback)
    except ConfigurationError as error:
        if isinstance(config.record, str):
            raise
        _log.warning("the match is not recorded: %s", error.problem)
        return None


def _replay_path(found: MatchFound, config: P2PConfig, folder: Path | None, at_ms: int) -> Path | None:
    if not config.record:
        return None
    if isinstance(config.record, str):
        path = Path(config.record)
        if path.suffix == SUFFIX:
            return path
        folder = _match_path(path, found, at_ms)
    return None if folder is None else folder / f"{path_component(found.player_id)}{SUFFIX}"


def _fallback_of_replay(
    path: Path, found: MatchFound, config: P2PConfig, folder: Path | None, at_ms: int
) -> Path | None:
    return fallback_of(_match_path(path.parent, found, at_ms) if folder is None else folder, config)


def _match_path(directory: Path, found: MatchFound, at_ms: int) -> Path:
    place = found.queue or found.room
    return match_path(directory, found.match_id, made_at_ms=found.made_at_ms, place=place, now_ms=at_ms)
