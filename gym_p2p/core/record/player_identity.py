"""Who the players of a match are, as it stands in the documents.

It knows what the service and the players themselves say of them, none of which is trusted to be short or
printable; it refuses to know how that came here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, cast, get_args

from msgspec import field

from gym_p2p.core.record.parts import DocumentPart
from gym_p2p.core.wire.foreign_text import printable

__all__ = ["PlayedBy", "PlayerIdentity", "foreign", "played_by_of", "played_by_seat_of", "software_of"]

PlayedBy = Literal["person", "policy"]
"""Who acts for a player: a person at a page, or a program."""

_MAX_TEXT = 128
"""Of a version, or of a platform's name; as long as a subject's id."""


class PlayerIdentity(DocumentPart, frozen=True, kw_only=True):
    """One player of a match."""

    player_id: str
    """The player's id in the match, as text: their first seat."""
    subject_id: str | None
    """Who that is to the service, by the service's account, a pseudonym where it gives those; null where it
    does not tell."""
    seats: list[str]
    """The seats that the player takes, as texts, in the environment's order."""
    local: bool
    """Whether the document is this player's own account."""
    version: str | None
    """The player's version of this software, or what else they run, by their own account; null is unknown."""
    platform: str | None
    """The system on which the player runs it, by their own account; null is unknown."""
    played_by: PlayedBy | None = None
    """Who acts for the player, by their own account: a person at a page, or a program; null is unknown."""
    played_by_seat: dict[str, PlayedBy] = field(default_factory=dict)
    """Of the player's seats, by their texts, those where somebody else acts than ``playedBy`` says, by their
    own account: a program beside a person."""


def foreign(value: object) -> str | None:
    """Return a text that a player says of themselves as it may be kept; ``None`` for what is no text."""
    return printable(value, _MAX_TEXT) if isinstance(value, str) and value else None


def played_by_of(about: Mapping[str, Any] | None) -> PlayedBy | None:
    """Return who acts for a player by what they sent with the handshake; ``None`` is unknown."""
    told = (about or {}).get("played_by")
    return cast("PlayedBy", told) if told in get_args(PlayedBy) else None


def played_by_seat_of(about: Mapping[str, Any] | None, seats: Collection[str]) -> dict[str, PlayedBy]:
    """Return at which seats of a player somebody else acts than for the player, by what they sent.

    Args:
        about: of the handshake.
        seats: the player's, as texts: of others nobody is told anything.
    """
    told = (about or {}).get("played_by_seat")
    fields = told if isinstance(told, Mapping) else {}
    return {seat: who for seat in seats if (who := played_by_of({"played_by": fields.get(seat)})) is not None}


def software_of(about: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
    """Return a player's version and platform by what they sent with the handshake; ``None`` is unknown."""
    told = (about or {}).get("software")
    fields = told if isinstance(told, Mapping) else {}
    return foreign(fields.get("version")), foreign(fields.get("platform"))
