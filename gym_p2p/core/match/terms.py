"""What has to be agreed on before anybody plays together, or watches: compared by field, shown by label.

Knows the fields; refuses to know how they travel, and what a game's topics are.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from gym_p2p.core.match.events import Difference
from gym_p2p.core.wire.foreign_text import printable

__all__ = ["Term", "file_names", "label_of", "shown", "term_differences"]


class Term(enum.StrEnum):
    """A field of the terms; sent and compared under this name, whatever its label."""

    GAME = "game"
    """A mapping of topics to texts."""
    RELEASE = "release"
    FPS = "fps"
    CHECKSUM_INTERVAL = "checksum_interval"
    ABSENT_PLAYERS = "absent_players"
    """How the others play on without a player."""
    WHILE_AWAY = "while_away"
    """What is done while a player is away."""
    STAND_IN = "stand_in"
    """Who plays the seats of players who are gone or away."""


_LABELS: Mapping[str, str] = {Term.RELEASE: "gym_p2p", Term.ABSENT_PLAYERS: "on_peer_loss"}
"""What people read where it is not the field itself, as an option is; nothing is compared by it."""

_FOLLOWS: Mapping[str, str] = {Term.CHECKSUM_INTERVAL: Term.FPS}
"""What comes from another field unless it is given: where that one differs already, it would only confuse."""

_NOTHING = "(nothing)"

_LAST_PART = re.compile(r"[/\\]")
"""Whoever sends more than a file's name tells where it lies on their machine, which is nobody's business."""

_MAX_TEXT = 2_000
"""What differs in an environment's arguments or spaces may stand far behind."""


def label_of(field: str) -> str:
    """Return what people read for a field; its own name where there is nothing better."""
    return _LABELS.get(field, field)


def file_names(description: Mapping[str, Any]) -> Any:
    """Return what a side's description says of the names of its files; ``None`` where it says nothing."""
    about = description.get("about")
    return about.get("files") if isinstance(about, Mapping) else None


def term_differences(
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    *,
    only: Collection[Term] | None = None,
    files: tuple[Any, Any] = (None, None),
) -> tuple[Difference, ...]:
    """Return in what two sides' terms differ: what, ours, theirs; what only they have comes last.

    Args:
        ours: by field; a mapping is compared topic by topic.
        theirs: the same, as it was received.
        only: the fields that bind; ``None`` is all of them.
        files: of both sides the names of files whose contents are compared, by field or topic, for people to
            read; as they were received.
    """
    rows: list[Difference] = []
    for field in [*ours, *(field for field in theirs if field not in ours)]:
        first = _FOLLOWS.get(field)
        if first is not None and ours.get(first) != theirs.get(first):
            continue
        if only is None or field in only:
            rows += _rows(field, ours.get(field, _NOTHING), theirs.get(field, _NOTHING))
    return tuple([_readable(*row, files) for row in rows if row[1] != row[2]])


def _rows(field: str, ours: Any, theirs: Any) -> Iterator[Difference]:
    if not (isinstance(ours, Mapping) and isinstance(theirs, Mapping)):
        yield field, str(ours), str(theirs)
        return
    for topic in [*ours, *(topic for topic in theirs if topic not in ours)]:
        yield str(topic), str(ours.get(topic, _NOTHING)), str(theirs.get(topic, _NOTHING))


def _readable(field: str, ours: str, theirs: str, files: tuple[Any, Any]) -> Difference:
    ours, theirs = (
        f"{text}, of file {name!r}" if (name := _name_of_file(names, field)) else text
        for text, names in zip((ours, theirs), files, strict=True)
    )
    return shown((label_of(field), ours, theirs))


def _name_of_file(names: Any, field: str) -> str | None:
    name = names.get(field) if isinstance(names, Mapping) else None
    return _LAST_PART.split(name)[-1] if isinstance(name, str) else None


def shown(difference: Difference) -> Difference:
    """Return a difference as it may stand in an error: what a peer says of it is theirs to choose."""
    what, ours, theirs = difference
    return printable(what), printable(ours, _MAX_TEXT), printable(theirs, _MAX_TEXT)
