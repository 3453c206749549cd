"""How a player came to be gone, by all that was said of it, and who said so.

Knows goodbyes, what the survivors reported, and what was seen here; refuses to know which inputs there are of
whoever is gone: that is :mod:`gym_p2p.core.match.membership`'s to agree on.

A player's own words come first: they arrived over their link, or bear their seal. Without them counts what
those who are left say, and of that the most definite, so that all of them, who hold the same reports, say the
same.
"""

from __future__ import annotations

from collections.abc import Mapping

from gym_p2p.core.match.events import EXCLUDED, PlayerGone, Source
from gym_p2p.core.match.peer import Loss, Peer
from gym_p2p.core.match.return_events import SUPERSEDED
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.core.wire.messages import Cause, Goodbye, Holdings

__all__ = ["OUT", "agreed_loss", "gone_event", "reported_cause"]

OUT = frozenset({EXCLUDED, SUPERSEDED})
"""The reasons of a ``PlayerGone`` that are about us, and say nothing of that player."""

_BY_STRENGTH = (
    Cause.LEFT,
    Cause.AWAY,
    Cause.SUPERSEDED,
    Cause.LOST,
    Cause.UNRESPONSIVE,
    Cause.CRASHED,
    Cause.REMOVED,
)
"""Silence is the least that can be seen; who saw more knows more. A goodbye that nobody shows is nothing."""


def gone_event(peer: Peer, frames: int, *, local: int, players: int) -> PlayerGone:
    """Return what there is to say of a player who is gone.

    Args:
        peer: they.
        frames: how many inputs there are of theirs.
        local: our index.
        players: how many there are.
    """
    goodbye, loss, excluded = _own_words(peer), peer.loss, peer.excludes_us
    if excluded is not None:  # whatever is heard of it later: for us the match has ended there
        out = SUPERSEDED if excluded is Cause.SUPERSEDED else EXCLUDED
        return PlayerGone(peer.index, out, frames, excluded.value, None, Source.PEER, peer.index)
    if goodbye is None:
        return PlayerGone(peer.index, loss.cause.value, frames, None, None, loss.source, loss.via)
    reason, lost = goodbye.cause.value, goodbye.lost
    if lost is not None and not (lost < players and lost != peer.index):
        lost = None  # nobody: what they left for cannot be told
    if lost == local:
        reason, lost = EXCLUDED, None
    stated = printable(goodbye.reason)
    return PlayerGone(peer.index, reason, frames, stated, lost, Source.GOODBYE, peer.carrier)


def agreed_loss(peer: Peer, reports: Mapping[int | None, Holdings]) -> Loss:
    """Return how a player came to be gone, by their own words, or else by our report and those of the others.

    Args:
        peer: they.
        reports: by who made them; ``None`` is ours.
    """
    best = peer.loss
    if best.words is not None:
        return best
    for reporter, report in reports.items():
        told = next((cause for player, _, cause in report.held if player == peer.index), best.cause)
        if reporter is not None and _BY_STRENGTH.index(told) > _BY_STRENGTH.index(best.cause):
            best = Loss(told, Source.PEER, reporter)
    return best


def reported_cause(peer: Peer) -> Cause:
    """Return how a player came to be gone, as it is reported to others."""
    goodbye = _own_words(peer)
    if goodbye is None:
        return peer.loss.cause
    return goodbye.cause if goodbye.lost is None else Cause.LEFT


def _own_words(peer: Peer) -> Goodbye | None:
    """Return a player's goodbye, also one that promised nothing; ``None`` where there is none."""
    return peer.loss.words if peer.goodbye is None else peer.goodbye
