"""How a match, or an episode, came to an end that is not the environment's."""

from __future__ import annotations

import sys

import attrs

from gym_p2p.core.match.events import EXCLUDED, PlayerGone
from gym_p2p.core.match.return_events import SUPERSEDED
from gym_p2p.core.wire.messages import Cause
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import PeerLost, PersonGone

__all__ = ["SUPERSEDED_WORDS", "Ending", "gone_in_words", "no_more_episodes", "why_closed", "why_dropped"]

SUPERSEDED_WORDS = "this seat was taken up again by another process of this player's"

_WORDS = {
    Cause.LEFT: "they have left the match",
    Cause.CRASHED: "their process has ended",
    Cause.LOST: "nothing arrives from them any more",
    Cause.UNRESPONSIVE: "they are connected, and do not play",
    Cause.REMOVED: "what they send breaks the protocol",
    EXCLUDED: "they count this player as gone",
    SUPERSEDED: SUPERSEDED_WORDS,
}


@attrs.frozen
class Ending:
    """The episode ended, not by the environment.

    Attributes:
        reason: a :class:`~gym_p2p.core.wire.messages.Cause`'s value (``peer_left``, ``peer_crashed``,
            ``peer_lost``, ``peer_unresponsive``, ``peer_removed``), ``excluded`` (the others count this
            player as gone), ``superseded`` (by another process of
            this player's), ``peer_reset``, ``desync``, ``input_timeout``, ``protocol_error``,
            ``network_failed``, ``environment_failed``, ``failed`` or ``interrupted``.
        player: whose doing it was; ``None`` if nobody's.
        stated_reason: why, in the words of whoever left or excludes this player; ``None`` without any.
        source: who says so: ``goodbye`` (that player), ``observation``, ``peer`` or ``service``; ``None``
            where nobody is gone.
        source_player: who passed that goodbye on, or is that peer.
    """

    reason: str
    player: SeatId | None = None
    # How it is known does not make it another end.
    stated_reason: str | None = attrs.field(default=None, eq=False, kw_only=True)
    source: str | None = attrs.field(default=None, eq=False, kw_only=True)
    source_player: SeatId | None = attrs.field(default=None, eq=False, kw_only=True)

    @classmethod
    def broken_off(cls, error: BaseException) -> Ending:
        """Return the end that an exception of the environment, or a Ctrl-C in it, puts to a match."""
        return cls("interrupted" if isinstance(error, KeyboardInterrupt) else "environment_failed")

    def __str__(self) -> str:
        if self.reason not in _WORDS:
            return self.reason
        if self.reason == SUPERSEDED:
            return f"{SUPERSEDED_WORDS}, says {self.player!r}"
        says = {"service": ", says the service", "peer": f", says {self.source_player!r}"}
        told = says.get(self.source or "", "") if self.reason != EXCLUDED else ""
        return f"{self.player!r} is gone: {_in_words(self.reason, self.stated_reason)}{told}"

    @property
    def loss(self) -> Cause | None:
        """How the player came to be gone whose loss it is; ``None`` if it is not one."""
        return Cause(self.reason) if self.reason in set(Cause) else None


def why_closed() -> str:
    """Return why a wrapper is closed now, in the documents' words: ``normal``, unless on an error's way.

    An ``env.close()`` in a ``with`` or ``finally`` block cleans up whatever happened; the others, and the
    documents, would take a crash of the user's program for a goodbye.
    """
    return _reason_of(sys.exception(), otherwise="normal")


def why_dropped() -> str:
    """Return why a wrapper that was never closed is dropped now, or left over at the program's end."""
    if hasattr(sys, "ps1"):  # an interactive program goes on after an exception
        return "dropped"
    return _reason_of(getattr(sys, "last_value", None), otherwise="dropped")


def _reason_of(error: BaseException | None, *, otherwise: str) -> str:
    if isinstance(error, PersonGone):  # nobody's program has failed
        return error.reason
    if error is None or isinstance(error, StopIteration | GeneratorExit | SystemExit):
        return otherwise
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def gone_in_words(gone: PlayerGone) -> str:
    """Return why somebody is gone, as it may stand in an error."""
    return _in_words(gone.reason, gone.stated_reason)


def no_more_episodes(lost: PeerLost, gone: PlayerGone | None, *, first: bool) -> PeerLost:
    """Return what ``reset`` raises where no episode begins in a match, with what is true of that.

    Args:
        lost: how it was learnt.
        gone: who is gone, or for whom this player is; ``None`` where that is not known.
        first: whether it was to be the first episode.
    """
    text, reason = "", None if gone is None else gone.reason
    if reason == SUPERSEDED:
        text = f"{SUPERSEDED_WORDS}, says {lost.peer!r}: the match goes on there"
    elif reason == EXCLUDED:
        counts = f"player {lost.peer!r} counts this player as gone"
        stated = "" if gone is None or gone.stated_reason is None else f" ({gone.stated_reason})"
        text = f"{counts}{stated}; the match is over here: make a new wrapper to play another one"
    elif not first:
        begins = "no other episode begins without them, whatever on_peer_loss says: make a new wrapper"
        text = f"player {lost.peer!r} is gone: {lost.reason}; {begins}"
    return PeerLost(lost.peer, lost.reason, match_over=True, text=text)


def _in_words(reason: str, stated: str | None) -> str:
    words = _WORDS[reason]
    return words if stated in {None, "normal", reason} else f"{words} ({stated})"
