"""What players have to agree on before they play: in the handshake, and at the barrier before an episode.

Pure functions: every player computes the same from the same messages. Refuses to know who sent what when.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from gym_p2p.core.match.events import Difference, EpisodeRefused
from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES
from gym_p2p.core.wire.messages import MAX_DIFFERENCES, PROTOCOL_VERSION, Hello, Ready, Refuse, encode
from gym_p2p.errors import ProtocolError

__all__ = [
    "Seeds",
    "Term",
    "barrier_refusal",
    "episode_seed",
    "handshake_differences",
    "label_of",
    "refusal",
    "term_differences",
]


class Term(enum.StrEnum):
    """A field of what has to be agreed on; compared, and sent, under this name whatever its label."""

    GAME = "game"
    """A mapping of topics to texts."""
    RELEASE = "release"
    CHECKSUM_INTERVAL = "checksum_interval"
    ABSENT_PLAYERS = "absent_players"
    """How the others play on without a player."""


_LABELS: Mapping[str, str] = {
    Term.RELEASE: "gym_p2p",
    Term.CHECKSUM_INTERVAL: "checksum interval",
    Term.ABSENT_PLAYERS: "when a player is gone",
}
"""What people read; nothing is compared by it."""

_NOTHING = "(nothing)"


class Seeds:
    """The seeds of a match's episodes: those that a player insists on, and a series after each.

    So an explicit seed makes all episodes after it reproducible, as Gymnasium wants it of ``reset``.

    Args:
        match_seed: what the series begins from before anybody insists on a seed.
    """

    def __init__(self, match_seed: int) -> None:
        self._base = match_seed
        self._drawn = 0

    def agreed(self, ready: Mapping[int, Ready]) -> int:
        """Return the seed of the episode that these players are ready for."""
        insisted = next((r.seed for r in ready.values() if r.seed is not None), None)
        if insisted is not None:
            self._base, self._drawn = insisted, 0
            return insisted
        self._drawn += 1
        return episode_seed(self._base, self._drawn)


def episode_seed(base: int, number: int) -> int:
    """Return the seed of the n-th episode after ``base`` for which nobody insists on one: 31 bits."""
    digest = blake2b(f"{base}/{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def handshake_differences(ours: Mapping[str, Any], hello: Hello) -> tuple[Difference, ...]:
    """Return what the peer is going to play otherwise than we are.

    Raises:
        ProtocolError: they do not say what they are going to play.
    """
    if hello.version != PROTOCOL_VERSION:
        return (("protocol version", str(PROTOCOL_VERSION), str(hello.version)),)
    must, theirs = ours.get("must", {}), hello.description.get("must")
    if not isinstance(theirs, dict):
        raise ProtocolError("handshake without a description")
    return term_differences(must, theirs)


def term_differences(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], *, only: Collection[Term] | None = None
) -> tuple[Difference, ...]:
    """Return in what two sides' terms differ, ours first, then what only they have.

    Args:
        ours: by field; a mapping is compared topic by topic.
        theirs: the same, as it was received.
        only: the fields that bind; ``None`` is all of them.
    """
    rows: list[Difference] = []
    for field in [*ours, *(field for field in theirs if field not in ours)]:
        if only is None or field in only:
            rows += _rows(field, ours.get(field, _NOTHING), theirs.get(field, _NOTHING))
    return tuple((_text(what), _text(our), _text(their)) for what, our, their in rows if our != their)


def refusal(differences: Sequence[Difference]) -> Refuse:
    """Return the message that lists the differences: as many of them as it may hold."""
    message = Refuse(tuple(differences[:MAX_DIFFERENCES]))
    while len(encode(message)) > MAX_CTRL_BYTES:
        message = Refuse(message.differences[: len(message.differences) // 2])
    return message


def _text(text: str) -> str:
    """Return a text that can be encoded and printed: JSON may bring half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode()


def label_of(field: str) -> str:
    """Return what people read for a field; its own name where there is nothing better."""
    return _LABELS.get(field, field)


def _rows(field: str, ours: Any, theirs: Any) -> Iterator[Difference]:
    if not (isinstance(ours, Mapping) and isinstance(theirs, Mapping)):
        yield label_of(field), str(ours), str(theirs)
        return
    for topic in [*ours, *(topic for topic in theirs if topic not in ours)]:
        yield str(topic), str(ours.get(topic, _NOTHING)), str(theirs.get(topic, _NOTHING))


def barrier_refusal(local: int, ready: Mapping[int, Ready]) -> EpisodeRefused | None:
    """Compare what the players want at the barrier; all players come to the same verdict."""
    for what, wanted in (
        ("seed", {i: str(r.seed) for i, r in ready.items() if r.seed is not None}),
        ("options", {i: json.dumps(dict(r.options), sort_keys=True) for i, r in ready.items() if r.options}),
    ):
        if len(set(wanted.values())) <= 1:
            continue
        own = wanted.get(local)
        other = next(i for i, value in sorted(wanted.items()) if i != local and value != own)
        label = f"{what} of episode {ready[local].episode}"
        return EpisodeRefused(other, ((label, own or "(any)", wanted[other]),))
    return None
