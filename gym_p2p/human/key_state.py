"""Which keys count as held in a frame. Bytes, time and actions are others' to know.

A key that was pressed and released between two frames counts for one. What is held when the page loses the
focus is released: its release may happen elsewhere, unseen.
"""

from __future__ import annotations

from collections.abc import Collection

import attrs

from gym_p2p.human.messages import Keys

__all__ = ["KeyState", "Sample"]


@attrs.frozen
class Sample:
    """What a frame is played with.

    Attributes:
        held: the codes, in the order in which they were pressed.
        seq: of the newest message of keys that is in it; 0 before the first.
    """

    held: tuple[str, ...]
    seq: int


@attrs.define(eq=False)
class KeyState:
    """The keys of one person.

    Args:
        known: the codes of the controls; others are dropped.

    Attributes:
        events: how many presses of known keys there were.
        dropped: how many of others.
    """

    known: Collection[str]
    events: int = attrs.field(default=0, init=False)
    dropped: int = attrs.field(default=0, init=False)
    _seq: int = attrs.field(default=0, init=False)
    _held: tuple[str, ...] = attrs.field(default=(), init=False)
    _pressed: dict[str, None] = attrs.field(factory=dict, init=False)
    """Since the last frame, in the order of the presses."""

    def receive(self, message: Keys) -> bool:
        """Take in what a page says of its keys; return whether it was news."""
        if message.seq <= self._seq:
            return False
        self._seq = message.seq
        for pressed in message.pressed:
            if pressed.code in self.known:
                self.events += 1
                self._pressed.pop(pressed.code, None)
                self._pressed[pressed.code] = None
            else:
                self.dropped += 1
        self._held = tuple(dict.fromkeys(code for code in message.held if code in self.known))
        return True

    def release(self) -> None:
        """Let go of everything, also of what was pressed and not yet played."""
        self._held = ()
        self._pressed.clear()

    def restart(self) -> None:
        """Begin with a page that counts from 1 again."""
        self.release()
        self._seq = 0

    @property
    def pressed(self) -> bool:
        """Whether a key was pressed since the last frame."""
        return bool(self._pressed)

    def sample(self) -> Sample:
        """Return what this frame is played with; the next one begins."""
        over = tuple(code for code in self._pressed if code not in self._held)
        self._pressed.clear()
        return Sample((*over, *self._held), self._seq)
