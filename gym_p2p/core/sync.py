"""The user's half of a match: which frame can be played, with which inputs.

Inputs in; advances out. Knows every player's inputs of the running episode; refuses to know the network
(its news comes as events) and the environment (inputs are bytes; whoever polls carries out the step).

Frames: an input given at frame ``f`` with delay ``d`` takes effect at ``f + d``; the first ``d`` frames
have the player's default input. In lockstep frame ``f`` is played once every player's input of it is
here, so that a played frame is final. Waiting consumes no frame, and asking again changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import attrs

from gym_p2p.core.events import GiveInput, InputsArrived, PlayerFinished, PlayerGone

__all__ = ["Advance", "Lockstep", "Over"]


@attrs.frozen
class Advance:
    """Play this frame with these inputs, one for each player."""

    frame: int
    inputs: tuple[bytes, ...]


@attrs.frozen
class Over:
    """The episode cannot go on past ``frame``: a player's input of it will never come.

    Attributes:
        reason: ``peer_left``, ``peer_lost`` or ``peer_reset`` (he went on to the next episode).
        player: who did it, or was lost.
    """

    frame: int
    reason: str
    player: int


class Lockstep:
    """One episode in lockstep.

    Args:
        local: the local player's index.
        players: how many there are.
        input_delay: frames between giving an input and its effect.
        default_input: the local player's input of the first ``input_delay`` frames.
    """

    def __init__(self, *, local: int, players: int, input_delay: int, default_input: bytes) -> None:
        self._local = local
        self._waiting: list[deque[bytes]] = [deque() for _ in range(players)]
        self._limits: dict[int, tuple[int, str, int]] = {}
        self._frame = 0
        self._given = 0
        self._delay = input_delay
        self._default = default_input

    @property
    def frame(self) -> int:
        """The next frame to be played: the state is the one before its inputs."""
        return self._frame

    def begin(self) -> Sequence[GiveInput]:
        """Start the episode: return the inputs of the delayed frames, to be given first."""
        return [self._own(self._default) for _ in range(self._delay)]

    def give(self, data: bytes) -> GiveInput | None:
        """Give the local input for the current frame; ``None`` if it was given before."""
        if self._given > self._frame + self._delay:
            return None
        return self._own(data)

    def receive(self, event: InputsArrived | PlayerFinished | PlayerGone) -> None:
        """Take in what the network half tells."""
        match event:
            case InputsArrived(player, _, inputs, _):
                self._waiting[player].extend(inputs)
            case PlayerFinished(player, frames):
                self._limits.setdefault(player, (frames, "peer_reset", player))
            case PlayerGone(player, reason, frames, _, lost):
                self._limits[player] = (frames, reason, player if lost is None else lost)

    def poll(self) -> Advance | Over | None:
        """Return the next frame to play, or that there is none any more; ``None`` is "not yet"."""
        waiting = self._waiting
        if all(waiting):
            inputs = tuple([queue.popleft() for queue in waiting])
            self._frame += 1
            return Advance(self._frame - 1, inputs)
        for player, (frames, reason, whose_doing) in self._limits.items():
            if frames <= self._frame and not waiting[player]:
                return Over(self._frame, reason, whose_doing)
        return None

    def _own(self, data: bytes) -> GiveInput:
        self._waiting[self._local].append(data)
        self._given += 1
        return GiveInput(self._given - 1, data)
