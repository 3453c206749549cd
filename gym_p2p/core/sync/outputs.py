"""What a session wants done and what it has found: requests, to be carried out in order, and events.

Values only. States are named by their frame: S(f) is the one before frame f's inputs.
"""

from __future__ import annotations

import msgspec

from gym_p2p.core.sync.input_track import Misprediction

__all__ = ["Advance", "FramesConfirmed", "Load", "Over", "RolledBack", "Save", "Stalled", "SyncOutput"]


# Requests.


class Save(msgspec.Struct, frozen=True, gc=False):
    """Keep the present state as S(frame), in place of an earlier one of that number."""

    frame: int


class Load(msgspec.Struct, frozen=True, gc=False):
    """Return to the S(frame) that was saved last; drop the saved states after it."""

    frame: int


class Advance(msgspec.Struct, frozen=True, gc=False):
    """Play this frame with these inputs, one for each player.

    Attributes:
        predicted: the players whose input is a guess; what comes of the frame is provisional as long as
            its :class:`FramesConfirmed` has not come.
        again: whether the frame was played before: its outcome replaces the earlier one.
        absent: the players who are gone, whose input is their default one.
    """

    frame: int
    inputs: tuple[bytes, ...]
    predicted: tuple[int, ...] = ()
    again: bool = False
    absent: tuple[int, ...] = ()


# Events.


class RolledBack(msgspec.Struct, frozen=True):
    """Guesses were wrong; the requests that follow correct what was played.

    Attributes:
        frame: the first frame that was played wrongly.
        current: the next frame to be played, at that time: ``current - frame`` is the depth.
        loaded: the frame whose state is loaded: below ``frame`` only with sparse saving.
        mispredictions: every wrong guess that was found, oldest first.
    """

    frame: int
    current: int
    loaded: int
    mispredictions: tuple[Misprediction, ...]

    @property
    def depth(self) -> int:
        """How many frames were played on wrong grounds."""
        return self.current - self.frame


class Stalled(msgspec.Struct, frozen=True):
    """The frame cannot be guessed any more: the inputs of these players are too far behind. Once a frame."""

    frame: int
    waiting_for: tuple[int, ...]


class FramesConfirmed(msgspec.Struct, frozen=True):
    """The frames from ``start`` on are final, with these inputs: everybody holds them (in lockstep: we do).

    It comes after the requests that correct those frames. Every frame comes once, in order.
    """

    start: int
    inputs: tuple[tuple[bytes, ...], ...]

    @property
    def end(self) -> int:
        """The frame after the last one."""
        return self.start + len(self.inputs)


class Over(msgspec.Struct, frozen=True):
    """The episode cannot go on past ``frame``: a player's input of it will never come.

    It comes once. The state is S(frame), final, and the same at all players who are left.

    Attributes:
        reason: that of a :class:`~gym_p2p.core.match.events.PlayerGone`, or ``peer_reset`` (that player went
            on to the next episode).
        player: who did it, or was lost.
    """

    frame: int
    reason: str
    player: int


SyncOutput = Save | Load | Advance | RolledBack | Stalled | FramesConfirmed | Over
