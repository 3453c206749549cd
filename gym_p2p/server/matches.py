"""The matches that a service has made, in a file of its data directory: ``.matches.jsonl``, a line for each.

An upload token says all that the service has to know of a match, and so the service forgets a match with its
last player. With the file an operator can give a player another token once theirs has expired. It grows with
the study, and nothing trims it.
"""

from __future__ import annotations

from pathlib import Path

import attrs
import msgspec

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError
from gym_p2p.files.lines import append_line, read_lines
from gym_p2p.files.problems import disk_problem
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.tokens import UploadClaims

__all__ = ["MATCHES", "MatchesFile", "fresh_claims", "told_player"]

_LOG = client_log(__name__)

MATCHES = ".matches.jsonl"


class MatchesFile:
    """The file; made at the first match, in a folder that exists."""

    def __init__(self, directory: Path) -> None:
        self._path = directory.absolute() / MATCHES

    def keep(self, claims: UploadClaims) -> None:
        """Write down a match by what one of its players' tokens says. A disk that is full stops no match."""
        try:
            append_line(self._path, msgspec.json.encode(claims))
        except OSError as error:
            _LOG.error("matches are not written to %s: %s", self._path, disk_problem(error))


def fresh_claims(directory: Path, match: str, player: str, *, expires_at: float) -> UploadClaims:
    """Return what a player's new upload token says.

    Args:
        directory: the service's data directory.
        match: the match's id, or the name of its folder.
        player: the player's id, as text or as JSON; or their subject, as the documents have it.
        expires_at: Unix seconds.

    Raises:
        ConfigurationError: there was no such match here, or no such player in it.
    """
    try:
        lines = read_lines(directory / MATCHES, UploadClaims)
        claims = next((made for made in lines if match in {made.match_id, made.folder}), None)
    except OSError as error:
        raise ConfigurationError(
            "data_dir", f"cannot read {directory / MATCHES}: {disk_problem(error)}"
        ) from error
    if claims is None:
        raise ConfigurationError(
            "match",
            f"no match {match!r} was made here; wanted a document's gameId, or the name of its folder",
        )
    return attrs.evolve(claims, player_id=told_player(claims, player), expires_at=expires_at)


def told_player(claims: UploadClaims, text: str) -> SeatId:
    """Return the player of a match whom a text names.

    Raises:
        ConfigurationError: nobody, or not one alone.
    """
    subjects = dict(zip(claims.player_ids, claims.subject_ids, strict=False))
    exact = [p for p in claims.player_ids if msgspec.json.encode(p).decode() == text]
    named = exact or [p for p in claims.player_ids if text in {str(p), subjects.get(p)}]
    if len(named) != 1:
        everybody = ", ".join(
            f"{msgspec.json.encode(p).decode()} ({subjects.get(p)})" for p in claims.player_ids
        )
        raise ConfigurationError("player", f"wanted one of {everybody}, got {text!r}")
    return named[0]
